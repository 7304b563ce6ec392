from __future__ import annotations

from dataclasses import replace

import pytest

from converter.inspection.storage import Storage
from converter.model import Disk, Filesystem, Partition, TableType, Volume
from converter.steps.devices import is_unstable, name_of, root_name, root_of, stable_name
from tests.unit.samples import FACTS

PARTS = tuple(Partition(n, n << 20, 1 << 20, "83", uuid=f"part-{n}") for n in (1, 2, 3))
DISK = Disk("/dev/sda", 1 << 30, TableType.GPT, "x", boot_code=True, partitions=PARTS)
STORAGE = Storage(
    disks=(DISK,),
    filesystems=(
        Filesystem("/dev/sda1", "ext4", "u-1"),
        Filesystem("/dev/sda2", "swap"),
        Filesystem("/dev/sda3", "LVM2_member", "pv"),
        Filesystem("/dev/vg/root", "xfs", "u-2"),
    ),
    volumes=(Volume("/dev/vg/root", "vg", "root", 1),),
)


@pytest.mark.parametrize(
    "spec",
    ["/dev/sda1", "/dev/nvme0n1p1", "/dev/disk/by-path/x-part1", "/dev/disk/by-id/ata-x",
     "/dev/md0", "/dev/md/data", "/dev/disk/by-diskseq/1", "ID=ata-x-part1"],
)  # fmt: skip
def test_names_that_depend_on_the_machine(spec: str) -> None:
    assert is_unstable(spec)


@pytest.mark.parametrize(
    "spec",
    ["UUID=x", "LABEL=x", "PARTUUID=x", "PARTLABEL=x", "/dev/mapper/vg-root", "/dev/vg/root",
     "/dev/disk/by-uuid/x", "/dev/disk/by-label/x", "/dev/disk/by-id/dm-name-vg-root",
     "/dev/disk/by-id/md-uuid-1:2", "/dev/sr0", "/swapfile", "tmpfs", ""],
)  # fmt: skip
def test_names_that_do_not(spec: str) -> None:
    assert not is_unstable(spec)


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("/dev/sda1", "UUID=u-1"),
        ("/dev/vda2", "PARTUUID=part-2"),
        ("/dev/sda3", "PARTUUID=part-3"),
        ("/dev/vg/root", "UUID=u-2"),
        ("/dev/sda9", None),
        ("UUID=gone", None),
    ],
)
def test_names_that_hold(spec: str, name: str | None) -> None:
    assert stable_name(STORAGE, spec) == name


def test_a_uuid_that_is_there_twice_tells_nothing() -> None:
    twin = Filesystem("/dev/sdb1", "ext4", "U-1")
    doubled = replace(STORAGE, filesystems=(*STORAGE.filesystems, twin))
    assert name_of(doubled, "/dev/sda1") == "PARTUUID=part-1"
    snapshot = Filesystem("/dev/vg/snap", "xfs", "u-2")
    doubled = replace(STORAGE, filesystems=(*STORAGE.filesystems, snapshot))
    assert name_of(doubled, "/dev/vg/root") == "/dev/vg/root"


def test_a_whole_copy_is_named_as_well_as_can_be() -> None:
    copy = replace(DISK, device="/dev/sdb")
    twin = Filesystem("/dev/sdb1", "ext4", "u-1")
    doubled = replace(STORAGE, disks=(DISK, copy), filesystems=(*STORAGE.filesystems, twin))
    assert name_of(doubled, "/dev/sda1") == "UUID=u-1"
    assert name_of(doubled, "/dev/sda2") == "PARTUUID=part-2"


def test_the_root() -> None:
    assert root_of(FACTS).device == "/dev/sda1"
    assert root_name(STORAGE, FACTS) == "UUID=u-1"
    assert root_name(Storage((), (), ()), FACTS) is None
