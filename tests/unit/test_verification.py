from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from converter import verification
from converter.errors import ConversionError
from converter.guest.memory import MemoryGuest, Node
from converter.inspection import Inspection
from converter.inspection.storage import Storage
from converter.model import (
    BootEntry,
    BootMode,
    ConvertTable,
    Facts,
    FileKind,
    Filesystem,
    Initramfs,
    Plan,
    TableType,
    WriteFile,
)
from converter.steps.step import Options
from tests.unit.disk.test_conversion import mbr_image, primary
from tests.unit.samples import FACTS, KERNEL, LINUX

if TYPE_CHECKING:
    from tests.unit.machines import Files

INITRD = "/boot/initrd.img-6.1.0-13-amd64"
STORAGE = Storage(
    disks=FACTS.disks,
    filesystems=(Filesystem("/dev/sda1", "ext4", "1", "root"), Filesystem("/dev/sdb", "swap", "2")),
    volumes=(),
)
FILES: Files = {
    KERNEL.image: "",
    INITRD: "",
    "/etc/fstab": "UUID=1 / ext4\nUUID=2 none swap\n",
}


def entry(*arguments: str, initramfs: str = INITRD) -> BootEntry:
    return BootEntry("Debian", "gnulinux", KERNEL.image, initramfs, arguments)


def facts(default: BootEntry | None, **more: Any) -> Facts:
    assert LINUX.bootloader is not None
    bootloader = replace(LINUX.bootloader, default=default)
    return replace(FACTS, os=replace(LINUX, bootloader=bootloader, **more))


def problems(
    monkeypatch: pytest.MonkeyPatch,
    after: Facts = facts(entry("root=UUID=1", "ro")),  # noqa: B008 - it is frozen
    files: Files | None = None,
    planned: Plan = Plan(()),  # noqa: B008 - it is frozen
    *,
    done: Plan = Plan(()),  # noqa: B008 - it is frozen
    options: Options | None = None,
) -> str:
    """Give what `verify` complains of, "" if it does not."""
    monkeypatch.setattr(verification, "make_plan", lambda *_arguments: planned)
    guest = MemoryGuest({**FILES, **(files or {})})
    before = Inspection(facts(entry("root=/dev/sda1")), STORAGE, ())
    try:
        inspection = Inspection(after, STORAGE, ())
        verification.verify(guest, before, inspection, done, options=options)
    except ConversionError as error:
        return error.message
    return ""


@pytest.mark.parametrize(
    "root",
    ["UUID=1", "LABEL=root", "/dev/disk/by-uuid/1", "gpt-auto", "ZFS=x", "UUID=2 root=UUID=1"],
)
def test_a_guest_that_is_right(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    words = f"root={root}".split()
    assert problems(monkeypatch, facts(entry(*words))) == ""
    assert problems(monkeypatch, facts(entry("quiet"))) == ""
    without = facts(entry("root=UUID=1", initramfs=""), initramfs=None)
    assert problems(monkeypatch, without) == ""


@pytest.mark.parametrize(
    "root", ["/dev/sda1", "/dev/nvme0n1p1", "UUID=gone", "UUID=2", "/dev/mapper/vg-root"]
)
def test_a_root_that_is_not_found(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    assert f"root={root}, which is not the root" in problems(
        monkeypatch, facts(entry(f"root={root}"))
    )


@pytest.mark.parametrize(
    "line",
    [
        "UUID=1 / ext4",
        "/dev/disk/by-label/root / ext4",
        "/dev/sr0 /media/cdrom iso9660 noauto",
        "/dev/sdb1 /data ext4 nofail",
        "/dev/sdb1 /data ext4 noauto",
        "UUID=gone /data ext4 nofail",
        "/dev/mapper/cryptswap none swap sw",
        "/swapfile none swap sw",
        "tmpfs /tmp tmpfs",
        "/srv /mnt none bind",
        "host:/x=1 /mnt nfs",
        "",
    ],
)
def test_an_fstab_that_is_right(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    assert problems(monkeypatch, files={"/etc/fstab": f"{line}\n"}) == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("/dev/sda1 / ext4", "mounts /dev/sda1 as the root"),
        ("UUID=2 / ext4", "mounts UUID=2 as the root"),
        ("/dev/sdb none swap sw", "still has /dev/sdb for swap"),
        ("/dev/md0 /data ext4", "still has /dev/md0 for /data"),
        ("UUID=gone /data ext4", "UUID=gone for /data, which is on no disk"),
        ("LABEL=gone none swap", "LABEL=gone for swap, which is on no disk"),
    ],
)
def test_an_fstab_that_is_not(monkeypatch: pytest.MonkeyPatch, line: str, complaint: str) -> None:
    found = problems(monkeypatch, files={"/etc/fstab": f"{line}\n"})
    assert complaint in found
    assert bool(found) is bool(complaint)


def test_what_the_default_entry_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(KERNEL, release="6.1.0-99")
    assert "became 6.1.0-99" in problems(
        monkeypatch, facts(entry("root=UUID=1"), default_kernel=other)
    )
    assert "no default entry" in problems(monkeypatch, facts(None))
    missing = facts(entry("root=UUID=1", initramfs="/boot/gone"))
    assert "/boot/gone, which the default entry loads" in problems(monkeypatch, missing)


def test_drivers_that_are_missing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = Initramfs(INITRD, (), 1, "dracut", frozenset({"ext4"}))
    found = problems(monkeypatch, facts(entry("root=UUID=1"), initramfs=bare))
    assert f"{INITRD} lacks nvme" in found


def test_firmware_that_does_not_start_it_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    after = replace(facts(entry("root=UUID=1")), boot_modes=frozenset())
    assert "legacy-bios" in problems(monkeypatch, after)


def test_a_loader_that_was_given_up_for_uefi(monkeypatch: pytest.MonkeyPatch) -> None:
    after = replace(facts(entry("root=UUID=1")), boot_modes=frozenset({BootMode.UEFI}))
    conversion = mbr_image(primary(1, 2048, 4096)).prepared(TableType.GPT)
    assert conversion.core
    for core, expected in ((b"", False), (conversion.core, True)):
        options = Options(conversion=replace(conversion, core=core))
        found = problems(monkeypatch, after, options=options)
        assert ("does not start by legacy-bios" in found) is expected


@pytest.mark.parametrize(
    ("attributes", "expected"), [({"security.selinux": b"etc_t\0"}, ""), ({}, "SELinux label")]
)
def test_labels_that_were_planned(
    monkeypatch: pytest.MonkeyPatch, attributes: dict[str, bytes], expected: str
) -> None:
    label = (("security.selinux", b"etc_t\0"),)
    change = WriteFile("c", "r", "/etc/new", b"", 0o644, 0, 0, attributes=label)
    files: Files = {"/etc/new": Node(FileKind.FILE, attributes=attributes)}
    found = problems(monkeypatch, files=files, done=Plan((change,)))
    assert (expected in found) if expected else found == ""


@pytest.mark.parametrize(
    ("table", "expected"), [(TableType.MBR, ""), (TableType.GPT, "partition table")]
)
def test_a_table_that_was_planned(
    monkeypatch: pytest.MonkeyPatch, table: TableType, expected: str
) -> None:
    disk = FACTS.disks[0]
    change = ConvertTable("c", "r", disk.device, table, disk.partitions, (), disk.size)
    found = problems(monkeypatch, done=Plan((change,)))
    assert (expected in found) if expected else found == ""


def test_a_second_conversion_would_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    change = WriteFile("fstab-nofail", "r", "/etc/fstab", b"", 0o644, 0, 0)
    found = problems(monkeypatch, planned=Plan((change,)))
    assert "/etc/fstab would be changed again (fstab-nofail)" in found


def test_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "make_plan", lambda *_arguments: Plan(()))
    broken = Inspection(facts(None), STORAGE, ())
    with pytest.raises(ConversionError) as caught:
        verification.verify(MemoryGuest(), broken, broken, Plan(()))
    assert caught.value.code == "verification-failed"
    assert "--log" in caught.value.hint
