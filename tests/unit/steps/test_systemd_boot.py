from __future__ import annotations

import pytest

from converter.steps import systemd_boot
from tests.unit.inspection.test_systemd_boot import arch

PATH = "/boot/loader/loader.conf"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("default arch\ntimeout 30\n", "default arch\ntimeout 5\n"),
        ("timeout menu-force\n", "timeout 5\n"),
        ("timeout 3\n", "timeout 3\n"),
        ("timeout menu-hidden\n", "timeout menu-hidden\n"),
        ("#timeout 30\n", "#timeout 30\n"),
        ("", ""),
    ],
)
def test_the_time_in_the_menu(old: str, new: str) -> None:
    found = arch(old)
    found.convert(systemd_boot.STEP)
    assert found.text(PATH) == new
