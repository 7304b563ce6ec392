"""The whole matrix of Windows guests on real disks, converted by the command, and read by others.

`make thorough` has all of them, which is an hour or more; `-k 2019` or `-k busy` has a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.windows.conversion import Case, check_conversion
from tests.windows.guests import GUESTS, TO_MBR, by_name

if TYPE_CHECKING:
    from pathlib import Path

    from images.windows.guest import Windows

pytestmark = [pytest.mark.appliance, pytest.mark.thorough]


@pytest.mark.parametrize("windows", GUESTS, ids=by_name)
def test_every_guest(windows: Windows, tmp_path: Path) -> None:
    check_conversion(Case(windows, is_repeated=True), tmp_path)


@pytest.mark.parametrize("windows", TO_MBR, ids=by_name)
def test_a_vhdx_gets_an_mbr(windows: Windows, tmp_path: Path) -> None:
    check_conversion(Case(windows, "vhdx", has_mbr=True, is_repeated=True), tmp_path)
