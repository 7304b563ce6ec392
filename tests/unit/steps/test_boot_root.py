from __future__ import annotations

from dataclasses import replace

import pytest

from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.model import Filesystem, Mount, Severity, Volume
from converter.steps import boot_root
from converter.steps.step import Context
from tests.unit.initramfs_samples import STORAGE, UUID, entry
from tests.unit.samples import FACTS, LINUX

DATA = Filesystem("/dev/sda3", "ext4", UUID.format(3))
VOLUME = Volume("/dev/vg/root", "vg", "root", 1 << 30)


def findings(*arguments: str, root: str = "/dev/sda1") -> list[tuple[Severity, str]]:
    assert LINUX.bootloader is not None
    default = replace(entry(), arguments=arguments)
    linux = replace(LINUX, bootloader=replace(LINUX.bootloader, default=default))
    facts = replace(FACTS, os=linux, mounts=(Mount("/", root, "ext4", UUID.format(1)),))
    storage = replace(STORAGE, filesystems=(*STORAGE.filesystems, DATA), volumes=(VOLUME,))
    context = Context(RecordingGuest(MemoryGuest()), facts, storage)
    boot_root.STEP.run(context)
    assert context.guest.plan.changes == ()
    return [(item.severity, item.code) for item in context.guest.plan.findings]


@pytest.mark.parametrize(
    "root",
    [
        f"UUID={UUID.format(1)}",
        "PARTUUID=c0ffee-01",
        "/dev/sda1",
        # The old name of a disk that is known by another one: it is replaced.
        "/dev/sdz1",
        "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0-part1",
        # No device.
        "live:CDLABEL=x",
        "zfs:pool/root",
    ],
)
def test_a_root_that_is_found_or_replaced(root: str) -> None:
    assert findings("ro", f"root={root}") == []
    assert findings(f"root={root}", "root=UUID=gone", f"root={root}") == []


@pytest.mark.parametrize(
    "root", ["UUID=gone", "LABEL=/", "/dev/vg/rot", f"UUID={UUID.format(3)}", "/dev/sda3"]
)
def test_a_root_that_is_not_the_system(root: str) -> None:
    assert findings("ro", f"root={root}") == [(Severity.ERROR, "root-device-wrong")]


def test_a_volume_by_either_of_its_names() -> None:
    assert findings("root=/dev/vg/root", root="/dev/vg/root") == []
    assert findings("root=/dev/mapper/vg-root", root="/dev/vg/root") == []


def test_nothing_is_asked_without_a_root() -> None:
    assert findings("ro") == []
