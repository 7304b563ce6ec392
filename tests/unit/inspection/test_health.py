from __future__ import annotations

from dataclasses import replace

import pytest

from converter.formats import fstab
from converter.guest.memory import MemoryGuest
from converter.inspection.health import (
    judge_disks,
    judge_layout,
    judge_rootless,
    judge_start,
    judge_swap_files,
    judge_system,
    judge_windows,
)
from converter.inspection.storage import Storage
from converter.model import (
    Array,
    Disk,
    Filesystem,
    Finding,
    Mount,
    Partition,
    Severity,
    TableType,
    Volume,
    VolumeGroup,
)

ROOT = Filesystem("/dev/sda1", "ext4", "r")
MOUNTS = (Mount("/", "/dev/sda1", "ext4", "r"),)
MARKED = bytes(4086) + b"S1SUSPEND\0" + bytes(4096)
GROUP = "Unsupported configuration - Logical volume group activation failed"


def storage(*filesystems: Filesystem, **more: object) -> Storage:
    return replace(Storage((), (ROOT, *filesystems), ()), **more)  # type: ignore[arg-type]


def codes(*findings: Finding) -> list[tuple[str, Severity]]:
    assert all(finding.message and finding.hint for finding in findings)
    return [(finding.code, finding.severity) for finding in findings]


def test_nothing_to_be_said() -> None:
    assert judge_disks(storage()) == ()
    assert judge_system(storage(), MOUNTS, fstab.parse("UUID=r / ext4\n")) == ()
    assert judge_rootless(storage()) == ()


@pytest.mark.parametrize("kind", ["crypto_LUKS", "BitLocker", "FileVault"])
def test_encryption(kind: str) -> None:
    found = storage(Filesystem("/dev/sda2", kind, "x"))
    assert codes(*judge_layout(found)) == [("encrypted-volume", Severity.ERROR)]
    assert codes(*judge_disks(found)) == [("encrypted-volume", Severity.ERROR)]
    assert codes(*judge_rootless(found)) == [("encrypted-volume", Severity.ERROR)]


@pytest.mark.parametrize(
    ("files", "lines", "expected"),
    [
        ({"/swapfile": MARKED}, "/swapfile none swap sw 0 0\n", ["/swapfile"]),
        ({"/swap/a": MARKED}, "/swap/b swap swap\n/swap/a swap swap\n", ["/swap/a"]),
        ({"/swapfile": bytes(4086) + b"SWAPSPACE2"}, "/swapfile none swap\n", []),
        ({"/swapfile": b"S1SUSPEND"}, "/swapfile none swap\n", []),
        ({"/swapfile": MARKED}, "UUID=s none swap\n", []),
        ({"/swapfile/x": ""}, "/swapfile none swap\n", []),
    ],
)
def test_hibernation_to_a_file(
    files: dict[str, bytes | str], lines: str, expected: list[str]
) -> None:
    found = judge_swap_files(MemoryGuest(files), fstab.parse(lines))
    assert codes(*found) == [("guest-hibernated", Severity.ERROR)] * len(expected)
    assert all(path in item.message for path, item in zip(expected, found, strict=True))


def test_a_filesystem_of_several_devices() -> None:
    there = [Filesystem(f"/dev/sd{disk}1", "btrfs", "b", member=disk, devices=3) for disk in "bcd"]
    assert judge_disks(storage(*there)) == ()
    assert codes(*judge_disks(storage(*there[:2]))) == [("filesystem-incomplete", Severity.WARNING)]
    [alone] = judge_rootless(storage(there[1]))
    assert (alone.code, alone.severity) == ("filesystem-incomplete", Severity.ERROR)
    assert "the btrfs on /dev/sdc1 is on 3 devices, of which 1 are there" in alone.message


def test_hibernation() -> None:
    found = storage(Filesystem("/dev/sda2", "swsuspend", "x"))
    assert codes(*judge_disks(found)) == [("guest-hibernated", Severity.ERROR)]


def test_arrays() -> None:
    members = tuple(Filesystem(f"/dev/sd{x}", "linux_raid_member", "aa-bb") for x in "bc")
    whole = Array("/dev/md127", "raid1", "aa:bb", "web:0", 2, 2)
    assert judge_disks(storage(*members, arrays=(whole,))) == ()
    degraded = storage(*members, arrays=(replace(whole, present=1),))
    assert codes(*judge_disks(degraded)) == [("array-degraded", Severity.WARNING)]
    assert codes(*judge_disks(storage(*members))) == [("array-inactive", Severity.WARNING)]
    assert codes(*judge_rootless(storage(*members))) == [("array-inactive", Severity.WARNING)]


def test_twins() -> None:
    found = storage(Filesystem("/dev/sdb1", "ext4", "R"))
    (finding,) = judge_disks(found)
    assert codes(finding) == [("duplicate-uuid", Severity.WARNING)]
    assert "/dev/sda1, /dev/sdb1" in finding.message


def test_a_snapshot_is_no_twin() -> None:
    snapshot = Volume("/dev/vg/s", "vg", "s", 1, is_snapshot=True)
    found = storage(Filesystem("/dev/vg/s", "ext4", "r"), volumes=(snapshot,))
    assert judge_disks(found) == ()


def test_members_of_one_filesystem_are_no_twins() -> None:
    pool = (Filesystem("/dev/sdb", "btrfs", "b", member="1"),
            Filesystem("/dev/sdc", "btrfs", "b", member="2"))  # fmt: skip
    assert judge_disks(storage(*pool)) == ()


def test_tables_that_cannot_be_read() -> None:
    found = storage(unreadable=(("/dev/sdb", "entries beyond its end"),))
    assert codes(*judge_disks(found)) == [("partition-table-unreadable", Severity.WARNING)]


class TestGroups:
    VOLUME = Volume("/dev/vg/data", "vg", "data", 1, is_active=False)
    LOST = VolumeGroup("vg", "u", is_complete=False)

    @pytest.mark.parametrize(
        ("line", "severity"),
        [
            ("/dev/vg/data /data ext4\n", Severity.ERROR),
            ("/dev/mapper/vg-data /data ext4\n", Severity.ERROR),
            ("/dev/mapper/vg-data none swap sw\n", Severity.ERROR),
            ("UUID=unknown /data ext4\n", Severity.ERROR),
            ("/dev/vg/data /data ext4 nofail\n", Severity.WARNING),
            ("/dev/vg/data /data ext4 noauto\n", Severity.WARNING),
            ("/dev/other/data /data ext4\n", Severity.WARNING),
            ("UUID=r / ext4\n", Severity.WARNING),
        ],
    )
    def test_that_is_incomplete(self, line: str, severity: Severity) -> None:
        found = storage(volumes=(self.VOLUME,), groups=(self.LOST,))
        (finding,) = judge_system(found, MOUNTS, fstab.parse(line))
        assert codes(finding) == [("volume-group-inactive", severity)]
        assert finding.service_message == GROUP

    def test_that_holds_the_root(self) -> None:
        root = Volume("/dev/vg/root", "vg", "root", 1)
        found = storage(volumes=(root,), groups=(self.LOST,))
        (finding,) = judge_system(found, [Mount("/", root.device, "ext4")], fstab.parse(""))
        assert finding.severity is Severity.ERROR

    def test_that_may_hold_the_root(self) -> None:
        found = storage(volumes=(self.VOLUME,), groups=(self.LOST,))
        assert codes(*judge_rootless(found)) == [("volume-group-inactive", Severity.ERROR)]

    def test_whose_name_is_there_twice(self) -> None:
        groups = (VolumeGroup("vg", "u"), VolumeGroup("vg", "v"))
        found = storage(volumes=(replace(self.VOLUME, is_active=True),), groups=groups)
        (finding,) = judge_rootless(found)
        assert "2 groups have that name" in finding.message

    def test_that_is_there_twice(self) -> None:
        members = tuple(Filesystem(f"/dev/sd{x}", "LVM2_member", "pv") for x in "bc")
        found = storage(*members, volumes=(self.VOLUME,), groups=(VolumeGroup("vg", "u"),))
        (finding,) = judge_rootless(found)
        assert "twice" in finding.message

    def test_of_which_a_volume_did_not_start(self) -> None:
        found = storage(volumes=(self.VOLUME,), groups=(VolumeGroup("vg", "u"),))
        (finding,) = judge_rootless(found)
        assert "data did not start" in finding.message

    def test_snapshots_need_not_be_active(self) -> None:
        volume = replace(self.VOLUME, is_snapshot=True)
        found = storage(volumes=(volume,), groups=(VolumeGroup("vg", "u"),))
        assert judge_rootless(found) == ()


class TestJournals:
    def test_one_that_must_be_replayed_is_said_and_no_more(self) -> None:
        found = Storage((), (replace(ROOT, is_dirty=True),), ())
        (finding,) = judge_system(found, MOUNTS, fstab.parse(""))
        assert codes(finding) == [("filesystem-dirty", Severity.WARNING)]
        assert "/ (ext4 on /dev/sda1)" in finding.message

    def test_damage_is_said(self) -> None:
        found = Storage((), (replace(ROOT, has_errors=True),), ())
        found_codes = codes(*judge_system(found, MOUNTS, fstab.parse("")))
        assert found_codes == [("filesystem-errors", Severity.WARNING)]

    def test_what_is_not_mounted_does_not_matter(self) -> None:
        found = storage(Filesystem("/dev/sdb1", "ext4", "d", is_dirty=True, has_errors=True))
        assert judge_system(found, MOUNTS, fstab.parse("")) == ()


@pytest.mark.parametrize(
    ("table", "kind", "expected"),
    [
        (TableType.MBR, "42", True),
        (TableType.MBR, "07", False),
        (TableType.GPT, "af9b60a0-1431-4f62-bc68-3311714a69ad", True),
        (TableType.GPT, "5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", True),
        (TableType.GPT, "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7", False),
    ],
)
def test_dynamic_disks(table: TableType, kind: str, *, expected: bool) -> None:
    disk = Disk("/dev/sda", 1 << 30, table, "", True, (Partition(1, 1 << 20, 1 << 20, kind),))  # noqa: FBT003
    found = [("dynamic-disk", Severity.ERROR)] if expected else []
    assert codes(*judge_disks(storage(disks=(disk,)))) == found
    assert codes(*judge_rootless(storage(disks=(disk,)))) == found


class TestWindows:
    """What a Windows left of NTFS when it was exported."""

    PLACES = (Mount("/C", "/dev/sda2", "ntfs"), Mount("/ESP", "/dev/sda1", "vfat"))

    @pytest.mark.parametrize(
        ("filesystem", "expected"),
        [
            (Filesystem("/dev/sda2", "ntfs"), []),
            (Filesystem("/dev/sda2", "ntfs", is_dirty=True), [Severity.ERROR]),
            (Filesystem("/dev/sda2", "ntfs", has_errors=True), [Severity.WARNING]),
            (Filesystem("/dev/sda2", "ntfs", is_dirty=True, has_errors=True), [Severity.ERROR]),
            (Filesystem("/dev/sda1", "vfat", is_dirty=True), []),
            (Filesystem("/dev/sdb1", "ntfs", is_dirty=True), []),
        ],
    )
    def test_is_told(self, filesystem: Filesystem, expected: list[Severity]) -> None:
        found = judge_windows(Storage((), (filesystem,), ()), self.PLACES)
        assert [finding.severity for finding in found] == expected
        assert all(item.hint and "/C (NTFS on /dev/sda2)" in item.message for item in found)


class TestStart:
    """What the first blocks of all disks tell of a machine that cannot start."""

    PARTITION = Partition(1, 1 << 20, 1 << 20, "83", active=True)

    def disk(self, *, table: TableType = TableType.MBR, boots: bool = False) -> Disk:
        partitions = () if table is TableType.NONE else (self.PARTITION,)
        return Disk("/dev/sda", 1 << 30, table, "", boots, partitions)

    def judged(self, disk: Disk, *kinds: str, **more: object) -> list[str]:
        filesystems = tuple(Filesystem(f"/dev/sda{n}", kind) for n, kind in enumerate(kinds))
        found = replace(Storage((disk,), filesystems, ()), **more)  # type: ignore[arg-type]
        return [code for code, severity in codes(*judge_start(found)) if severity is Severity.ERROR]

    def test_the_loader_of_another_system(self) -> None:
        loader = Partition(1, 1 << 20, 1 << 20, "83bd6b9d-7f41-11dc-be0b-001560b84f0f")
        disk = replace(self.disk(table=TableType.GPT), partitions=(loader,))
        assert self.judged(disk, "") == []

    @pytest.mark.parametrize("table", [TableType.MBR, TableType.GPT])
    def test_boot_code_that_leads_on(self, table: TableType) -> None:
        assert self.judged(self.disk(table=table, boots=True), "ext4") == []

    def test_a_fat_may_hold_a_loader(self) -> None:
        assert self.judged(self.disk(), "ext4", "vfat") == []
        assert self.judged(self.disk(table=TableType.NONE), "vfat") == []

    def test_neither(self) -> None:
        assert self.judged(self.disk(), "ext4", "crypto_LUKS") == ["no-bootable-partition"]
        assert self.judged(self.disk(), "") == ["no-bootable-partition"]

    def test_a_filesystem_without_a_table_is_not_started(self) -> None:
        whole = self.disk(table=TableType.NONE, boots=True)
        assert self.judged(whole, "ext4") == ["no-bootable-partition"]

    def test_nothing_at_all(self) -> None:
        assert self.judged(self.disk(table=TableType.NONE), "") == ["no-partitions"]

    def test_tables_that_cannot_be_read_are_something(self) -> None:
        found = self.judged(
            self.disk(table=TableType.NONE), "", unreadable=(("/dev/sdb", "entries"),)
        )
        assert found == ["no-bootable-partition"]
