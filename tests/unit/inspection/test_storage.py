from __future__ import annotations

import pytest

from converter.inspection.storage import Storage, is_kernel_name
from converter.model import Disk, Filesystem, Partition, TableType, Volume


def partition(number: int, uuid: str, name: str = "") -> Partition:
    return Partition(number, number << 20, 1 << 20, "83", name, uuid)


STORAGE = Storage(
    disks=(
        Disk(
            "/dev/sda",
            1 << 30,
            TableType.GPT,
            "x",
            boot_code=True,
            partitions=(partition(1, "AAAA-01", "root disk"), partition(14, "aaaa-14")),
        ),
        Disk("/dev/sdb", 1 << 30, TableType.NONE, "", boot_code=False, partitions=()),
    ),
    filesystems=(
        Filesystem("/dev/sda1", "ext4", "0b1c-UUID", "root"),
        Filesystem("/dev/sdb", "LVM2_member", "pv"),
        Filesystem("/dev/my-vg/data", "xfs", "f00d", "data"),
    ),
    volumes=(Volume("/dev/my-vg/data", "my-vg", "data", 1 << 20),),
)


@pytest.mark.parametrize(
    ("spec", "device"),
    [
        ("/dev/sda1", "/dev/sda1"),
        ("/dev/hda1", "/dev/sda1"),
        ("/dev/vda14", "/dev/sda14"),
        ("/dev/xvda1", "/dev/sda1"),
        ("/dev/nvme0n1p1", "/dev/sda1"),
        ("/dev/nvme1n1", "/dev/sdb"),
        ("/dev/sdb", "/dev/sdb"),
        ("/dev/sda2", None),
        ("/dev/sdb1", None),
        ("/dev/sdc1", None),
        ("/dev/sdaa1", None),
        ("/dev/sr0", None),
        ("/dev/fd0", None),
        ("UUID=0b1c-uuid", "/dev/sda1"),
        ('UUID="0b1c-UUID"', "/dev/sda1"),
        ("LABEL=root", "/dev/sda1"),
        ("LABEL=ROOT", None),
        ("LABEL=", None),
        ("PARTUUID=AAAA-14", "/dev/sda14"),
        ("PARTLABEL=root disk", "/dev/sda1"),
        ("/dev/disk/by-uuid/0b1c-UUID", "/dev/sda1"),
        ("/dev/disk/by-label/data", "/dev/my-vg/data"),
        ("/dev/mapper/my--vg-data", "/dev/my-vg/data"),
        ("/dev/my-vg/data", "/dev/my-vg/data"),
        ("/dev/mapper/my-vg-data", None),
        ("tmpfs", None),
        ("", None),
    ],
)
def test_names_in_the_guest_mean_devices(spec: str, device: str | None) -> None:
    assert STORAGE.resolve(spec) == device


def test_kernel_names_are_told_from_stable_ones() -> None:
    assert is_kernel_name("/dev/sda1")
    assert is_kernel_name("/dev/nvme0n1p3")
    assert not is_kernel_name("/dev/mapper/vg-root")
    assert not is_kernel_name("/dev/disk/by-id/scsi-1")
    assert not is_kernel_name("UUID=1")
