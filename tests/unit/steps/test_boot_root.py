from __future__ import annotations

from dataclasses import replace

import pytest

from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.model import Filesystem, Mount, Severity, Volume
from converter.steps import boot_entries, boot_root, grub2
from converter.steps.step import Context
from tests.unit.boot_samples import KERNEL, machine
from tests.unit.initramfs_samples import STORAGE, UUID, entry
from tests.unit.inspection.test_grub2 import rhel
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


def script(arguments: str, *, before: str = "") -> str:
    entry_text = f"linux /boot/vmlinuz-{KERNEL} {arguments}\n initrd /boot/i\n"
    return f"{before}set timeout=5\nmenuentry x {{\n {entry_text}}}\n"


def test_a_root_that_could_not_be_replaced_is_refused() -> None:
    guest = machine({"/boot/grub/grub.cfg": script("root=${d}1", before="set d=/dev/sda\n")})
    (finding,) = guest.plan(grub2.STEP, boot_root.STEP).findings
    assert (finding.severity, finding.code) == (Severity.ERROR, "root-device-fixed")
    assert "/dev/sda1" in finding.message


def test_a_root_in_a_variable_or_an_entry_of_its_own_was_replaced() -> None:
    text = script("$o", before='set o="root=/dev/sda1 ro"\n')
    guest = machine({"/boot/grub/grub.cfg": text})
    assert guest.plan(grub2.STEP, boot_root.STEP).findings == ()
    assert rhel().plan(grub2.STEP, boot_entries.STEP, boot_root.STEP).findings == ()
