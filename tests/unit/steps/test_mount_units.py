"""SPEC LNX-4 for mounts that are units of their own, and not lines of fstab."""

from __future__ import annotations

import pytest

from converter.steps import mount_units
from tests.unit.machines import empty, holds, lab, system
from tests.unit.steps.planning import plan_of

UNIT = "/etc/systemd/system/data.mount"
SWAP = r"/etc/systemd/system/dev-sda2.swap"


def converted(unit: str, text: str) -> tuple[str, list[str]]:
    files = system("UUID=r / ext4\n", {**empty("/data"), unit: text})
    guest = lab(
        [holds("ext4", "r", files), holds("swap", "s"), holds("ext4", "d")], [holds("xfs", "x")]
    )
    plan = plan_of(guest, mount_units.STEP)
    return guest.read(unit).decode(), [finding.code for finding in plan.findings]


@pytest.mark.parametrize(
    ("device", "wanted", "findings"),
    [
        ("/dev/sda3", "/dev/disk/by-uuid/d", []),
        ("/dev/sdb1", "/dev/disk/by-uuid/x", []),
        ("/dev/disk/by-uuid/d", "/dev/disk/by-uuid/d", []),
        ("LABEL=data", "LABEL=data", []),
        ("tmpfs", "tmpfs", []),
        ("host:/export", "host:/export", []),
        ("/dev/sdc1", "/dev/sdc1", ["unit-device-missing"]),
    ],
)
def test_a_mount(device: str, wanted: str, findings: list[str]) -> None:
    text = "[Unit]\nDescription=x\n\n[Mount]\n# What=/dev/sda9\nWhat = {}\nWhere=/data\n"
    assert converted(UNIT, text.format(device)) == (text.format(wanted), findings)


@pytest.mark.parametrize(
    ("device", "findings"),
    [("/dev/sda2", ["unit-device-missing"]), ("/swapfile", []), ("/dev/disk/by-uuid/s", [])],
)
def test_swap_is_told(device: str, findings: list[str]) -> None:
    text = f"[Swap]\nWhat={device}\n"
    assert converted(SWAP, text) == (text, findings)
