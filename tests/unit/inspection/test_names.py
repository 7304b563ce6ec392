"""Names as Linux' devices.txt and udev's rules make them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.inspection import names
from converter.inspection.names import DiskName, Use
from converter.model import Disk, Filesystem, Partition, TableType

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PATH = "/dev/disk/by-path/pci-0000:00:10.0-scsi-0:0:0:0"


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        ("/dev/sda", ("/dev/sda", 0, 0)),
        ("/dev/sda1", ("/dev/sda", 1, 0)),
        ("/dev/sdaa12", ("/dev/sdaa", 12, 26)),
        ("/dev/hdc3", ("/dev/hdc", 3, 2)),
        ("/dev/xvda", ("/dev/xvda", 0, 0)),
        ("/dev/vdb2", ("/dev/vdb", 2, 1)),
        ("/dev/nvme0n1", ("/dev/nvme0n1", 0, 0)),
        ("/dev/nvme0n1p1", ("/dev/nvme0n1", 1, 0)),
        ("/dev/nvme0n2p1", ("/dev/nvme0n2", 1, 1)),
        ("/dev/nvme2n1p14", ("/dev/nvme2n1", 14, 2)),
        ("/dev/mmcblk0p2", ("/dev/mmcblk0", 2, 0)),
        ("/dev/cciss/c0d1p3", ("/dev/cciss/c0d1", 3, 1)),
        (f"{PATH}-part2", (PATH, 2, None)),
        (PATH, (PATH, 0, None)),
        ("/dev/disk/by-id/ata-VBOX_HARDDISK_VB1-part1",
         ("/dev/disk/by-id/ata-VBOX_HARDDISK_VB1", 1, None)),
        ("ID=wwn-0x5000-part1", ("/dev/disk/by-id/wwn-0x5000", 1, None)),
    ],
)  # fmt: skip
def test_names_of_disks(spec: str, wanted: tuple[str, int, int | None]) -> None:
    assert names.parse(spec) == DiskName(*wanted)


@pytest.mark.parametrize(
    "spec",
    [
        "/dev/mapper/vg-root", "/dev/vg/root", "/dev/md0", "/dev/md/data", "UUID=1", "LABEL=sda1",
        "/dev/disk/by-uuid/1", "/dev/disk/by-label/sda1", "/dev/disk/by-partuuid/1", "/dev/sr0",
        "/dev/fd0", "/dev/cdrom", "/dev/dm-0", "/dev/loop0", "/dev/zram0", "/dev/root",
        "/dev/disk/by-id/dm-name-vg-root", "/dev/disk/by-id/md-uuid-1:2", "/dev/sda1x", "/dev/SDA1",
        "/dev/sdabcd1", "/swapfile", "tmpfs", "none", "", "/dev/sda\n", "/dev/disk/by-id/",
        "/dev/disk/by-id/lvm-pv-uuid-x",
    ],
)  # fmt: skip
def test_names_that_hold_or_are_none_of_a_disk(spec: str) -> None:
    assert names.parse(spec) is None


@given(st.text(st.sampled_from("/devsahdvxnm0123p-iby=UUID\n")).map("/dev/".__add__))
def test_any_text_is_taken(spec: str) -> None:
    names.parse(spec)


def assign(
    disks: Sequence[Disk],
    filesystems: Sequence[Filesystem],
    uses: Sequence[Use],
    known: Mapping[str, str],
    claimed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    return names.assign(disks, filesystems, uses, known, claimed or {})


def disk(number: int, partitions: int = 1) -> Disk:
    parts = tuple(Partition(n, n << 20, 1 << 20, "83") for n in range(1, partitions + 1))
    device = f"/dev/sd{'abcdef'[number]}"
    return Disk(device, 1 << 30, TableType.MBR, "", boot_code=False, partitions=parts)


def fs(device: str, kind: str = "ext4", place: str = "") -> Filesystem:
    return Filesystem(f"/dev/{device}", kind, device, last_mounted=place)


def test_disks_are_numbered_in_the_order_they_are_given() -> None:
    found = assign(
        [disk(0), disk(1)],
        [fs("sda1"), fs("sdb1")],
        [Use("/dev/vda1", "ext4", "/"), Use("/dev/vdb1", "ext4", "/data")],
        {},
    )
    assert found == {"/dev/vda": "/dev/sda", "/dev/vdb": "/dev/sdb"}


def test_the_root_says_which_disk_its_name_means() -> None:
    uses = [Use("/dev/sdb1", "ext4", "/"), Use("/dev/sda1", "ext4", "/data")]
    only = assign([disk(0)], [fs("sda1")], uses, {"/dev/sdb": "/dev/sda"})
    assert only == {"/dev/sdb": "/dev/sda"}
    both = assign([disk(0), disk(1)], [fs("sda1"), fs("sdb1")], uses, {"/dev/sdb": "/dev/sda"})
    assert both == {"/dev/sdb": "/dev/sda", "/dev/sda": "/dev/sdb"}


def test_a_line_that_does_not_fit_a_disk_means_another() -> None:
    disks = [disk(0), disk(1, partitions=2), disk(2)]
    filesystems = [fs("sda1"), fs("sdb1", "xfs"), fs("sdb2", "swap"), fs("sdc1", "ext3")]
    uses = [Use("/dev/sda1", "ext4", "/"), Use("/dev/sdb1", "ext4", "/a")]
    assert assign(disks, filesystems, [*uses, Use("/dev/sdc2", "swap")], {}) == {
        "/dev/sda": "/dev/sda",
        "/dev/sdb": "/dev/sdc",
        "/dev/sdc": "/dev/sdb",
    }


def test_two_disks_that_fit_are_not_guessed_between() -> None:
    disks = [disk(0), disk(1), disk(2)]
    filesystems = [fs("sda1"), fs("sdb1"), fs("sdc1")]
    uses = [Use("/dev/sdf1", "ext4", "/data")]
    assert assign(disks, filesystems, uses, {"/dev/sda": "/dev/sda"}) == {"/dev/sda": "/dev/sda"}


def test_where_it_was_mounted_tells_disks_apart() -> None:
    disks = [disk(0), disk(1), disk(2)]
    filesystems = [fs("sda1", place="/"), fs("sdb1", place="/logs"), fs("sdc1", place="/data")]
    uses = [
        Use("/dev/sda1", "ext4", "/"),
        Use("/dev/sdb1", "ext4", "/data"),
        Use("/dev/sdc1", "ext4", "/logs"),
    ]
    found = assign(disks, filesystems, uses, {})
    assert found == {
        "/dev/sda": "/dev/sda",
        "/dev/sdb": "/dev/sdc",
        "/dev/sdc": "/dev/sdb",
    }


def test_a_disk_has_a_name_in_each_family() -> None:
    by_id = "/dev/disk/by-id/ata-X"
    uses = [
        Use("/dev/sda1", "ext4", "/"),
        Use(f"{by_id}-part2", "swap"),
        Use("/dev/disk/by-id/wwn-1-part2", "swap"),
        Use(f"{PATH}-part1", "auto", "/x"),
    ]
    found = assign([disk(0, partitions=2)], [fs("sda1"), fs("sda2", "swap")], uses, {})
    assert set(found.values()) == {"/dev/sda"}
    assert len(found) == 4


def test_what_is_used_by_another_name_is_not_meant() -> None:
    """Root by UUID, and data on a disk that was not given: never the root again."""
    uses = [Use("/dev/sdb1", "ext4", "/data"), Use("/dev/sda2", "swap", "swap")]
    disks = [disk(0, partitions=2)]
    filesystems = [fs("sda1"), fs("sda2", "swap")]
    assert assign(disks, filesystems, uses, {}, {"/dev/sda1": "/"}) == {"/dev/sda": "/dev/sda"}
    assert assign(disks, filesystems, uses[:1], {}, {"/dev/sda1": "/"}) == {}
    assert assign(disks, filesystems, uses[:1], {}, {"/dev/sda1": "/data"}) != {}


def test_a_disk_that_was_used_for_something_else_is_not_guessed() -> None:
    uses = [Use("/dev/sda1", "ext4", "/"), Use("/dev/sdd1", "ext4", "/data")]
    for place, found in (("/data", True), ("", True), ("/old", False)):
        filesystems = [fs("sda1", place="/sysroot"), fs("sdb1", place=place)]
        assert ("/dev/sdd" in assign([disk(0), disk(1)], filesystems, uses, {})) is found


def test_many_names_take_no_time() -> None:
    uses = [Use(f"/dev/disk/by-id/x{number}-part1", "ext4", "/x") for number in range(20_000)]
    assert len(assign([disk(0)], [fs("sda1")], uses, {})) <= 1000
