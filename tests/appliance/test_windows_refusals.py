"""Windows guests that cannot be converted: each is told why, after one look, and left as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.windows.build import build
from images.windows.guest import Firmware, State, Windows
from tests.command import converter
from tests.windows.comparison import file_digest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance

UEFI = Firmware.UEFI
# The first error is what is wrong; what follows from it may be told as well.
REFUSED = {
    "registry-dirty": Windows("2019", UEFI, frozenset({State.LOST_HIVE})),
    "guest-hibernated": Windows("10", UEFI, frozenset({State.FAST_STARTED})),
    "encrypted-volume": Windows("11", UEFI, frozenset({State.BITLOCKER})),
    "dynamic-disk": Windows("2012r2", states=frozenset({State.DYNAMIC_DISK})),
    "hyper-v-role": Windows("2022", UEFI, frozenset({State.HYPER_V})),
    "windows-language": Windows("2016", states=frozenset({State.GERMAN})),
    "windows-nano": Windows("2016", UEFI, frozenset({State.NANO})),
    "several-roots": Windows("2025", states=frozenset({State.DUAL_BOOT})),
    "space-too-little": Windows("2008r2", states=frozenset({State.LOW_SPACE})),
}
# Of these the disk's first blocks tell, and no appliance is needed.
AT_ONCE = ("encrypted-volume", "dynamic-disk")


@pytest.mark.parametrize("code", REFUSED)
def test_refusal(code: str, tmp_path: Path) -> None:
    disk, log = build(REFUSED[code], tmp_path), tmp_path / "check.log"
    before = file_digest(disk)
    done = converter("check", disk, "--json", "--log", log)
    assert done.code == 3, done.stderr
    assert done.document["verdict"] == "refused"
    errors = [item for item in done.document["findings"] if item["severity"] == "error"]
    assert errors[0]["code"] == code
    assert errors[0]["hint"]
    starts = log.read_text("utf-8").count("appliance: starting with")
    assert starts == (0 if code in AT_ONCE else 1)
    assert file_digest(disk) == before
