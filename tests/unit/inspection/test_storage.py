from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from converter.errors import DamagedInputError
from converter.inspection.storage import Storage, is_array_name, is_kernel_name, read_storage
from converter.model import Array, Disk, Filesystem, Partition, TableType, Volume
from tests.unit.machines import holds, lab


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
    volumes=(Volume("/dev/my-vg/data", "my-vg", "data", 1 << 20, uuid="v" * 32),),
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
        ("/dev/nvme0n2", "/dev/sdb"),
        ("ID=ata-1-part1", None),
        ("/dev/disk/by-path/pci-1-part1", None),
        ("/dev/disk/by-partlabel/root\\x20disk", "/dev/sda1"),
        ("/dev/disk/by-label/\\x72oot", "/dev/sda1"),
        ("/dev/disk/by-id/dm-name-my--vg-data", "/dev/my-vg/data"),
        ("/dev/disk/by-id/dm-uuid-LVM-x", None),
        (f"/dev/disk/by-id/dm-uuid-LVM-{'g' * 32}{'v' * 32}", "/dev/my-vg/data"),
        (f"/dev/disk/by-id/dm-uuid-LVM-{'g' * 32}{'w' * 32}", None),
        (f"/dev/disk/by-id/dm-uuid-LVM-{'g' * 32}", None),
        ("UUID=pv", None),
        ("partuuid=aaaa-14", "/dev/sda14"),
        ("host:/x=y", None),
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
    assert is_array_name("/dev/md0")
    assert is_array_name("/dev/md/name")
    assert not is_array_name("/dev/mdadm")


def storage(**more: Any) -> Storage:
    return replace(STORAGE, **more)


class TestOneDisk:
    ONE = storage(disks=STORAGE.disks[:1])

    @pytest.mark.parametrize("link", ["by-id/ata-1", "by-path/pci-0", "by-diskseq/1"])
    def test_links_can_only_mean_that(self, link: str) -> None:
        assert self.ONE.resolve(f"/dev/disk/{link}-part1") == "/dev/sda1"
        assert self.ONE.resolve(f"/dev/disk/{link}-part9") is None


class TestNames:
    def test_of_the_root_s_disk_shift_the_others(self) -> None:
        named = STORAGE.naming([], {"/dev/sdb1": "/dev/sda1"})
        assert named.resolve("/dev/sdb14") == "/dev/sda14"
        assert named.resolve("/dev/sda1") is None

    def test_that_are_certain_need_the_same_partition(self) -> None:
        assert STORAGE.naming([], {"/dev/sdb2": "/dev/sda1"}).disk_names == {}
        assert STORAGE.naming([], {"UUID=x": "/dev/sda1"}).disk_names == {}

    def test_that_are_known_are_not_overruled(self) -> None:
        named = STORAGE.naming([], {"/dev/vdb1": "/dev/sda1"})
        again = named.knowing({"/dev/vdb": "/dev/sdb", "/dev/hda": "/dev/sdb"})
        assert again.disk_names == {"/dev/vdb": "/dev/sda", "/dev/hda": "/dev/sdb"}


class TestArrays:
    UUID = "0bacc5df:969178df:42fc3437:f23d24a8"
    ONE = (Array("/dev/md127", "raid1", UUID, "web:0", 2, 2),)
    TWO = (*ONE, Array("/dev/md126", "raid1", "1:2:3:4", "web:data", 2, 2))

    @pytest.mark.parametrize(
        ("spec", "device"),
        [
            ("/dev/md0", "/dev/md127"),
            ("/dev/md/0", "/dev/md127"),
            ("/dev/md/data", "/dev/md126"),
            ("/dev/md127", None),
            ("/dev/md9", None),
            ("/dev/md/other", None),
            ("/dev/disk/by-id/md-name-web:data", "/dev/md126"),
            (f"/dev/disk/by-id/md-uuid-{UUID}", "/dev/md127"),
            (f"/dev/disk/by-id/md-uuid-{UUID}-part2", "/dev/md127p2"),
            (f"/dev/disk/by-id/md-uuid-{UUID}-part3", None),
            ("/dev/disk/by-id/md-name-web:0-part2", "/dev/md127p2"),
        ],
    )
    def test_by_the_name_they_have_themselves(self, spec: str, device: str | None) -> None:
        parts = (Filesystem("/dev/md127p2", "ext4", "m"),)
        assert storage(arrays=self.TWO, filesystems=parts).resolve(spec) == device

    @pytest.mark.parametrize("spec", ["/dev/md0", "/dev/md127", "/dev/md9", "/dev/md_d0"])
    def test_a_number_means_the_only_one(self, spec: str) -> None:
        assert storage(arrays=self.ONE).resolve(spec) == "/dev/md127"
        assert storage(arrays=self.ONE).resolve("/dev/md/other") is None

    def test_by_the_configuration(self) -> None:
        text = f"ARRAY /dev/md5 UUID={self.UUID.upper()}\nARRAY /dev/md6 UUID=9:9\n"
        named = storage(arrays=self.TWO).naming_arrays(text)
        assert named.resolve("/dev/md5") == "/dev/md127"
        assert named.resolve("/dev/md6") == "/dev/md126"  # the only one left
        assert named.resolve("/dev/md/data") == "/dev/md126"

    def test_partitions_of_arrays(self) -> None:
        parts = (*STORAGE.filesystems, Filesystem("/dev/md127p2", "ext4", "e"))
        found = storage(arrays=self.ONE, filesystems=parts)
        assert found.resolve("/dev/md0p2") == "/dev/md127p2"
        assert found.resolve("/dev/md0p3") is None

    def test_members_are_no_filesystems(self) -> None:
        members = tuple(
            Filesystem(f"/dev/sd{x}", "linux_raid_member", "aa-bb", "web:0", x) for x in "cd"
        )
        found = storage(filesystems=(*members, *STORAGE.filesystems))
        assert found.resolve("UUID=aa-bb") is None
        assert found.resolve("LABEL=web:0") is None


def test_a_filesystem_on_several_devices_is_one() -> None:
    pool = tuple(Filesystem(f"/dev/sd{x}", "btrfs", "u", "l", f"member-{x}") for x in "abc")
    copy = Filesystem("/dev/sdd", "btrfs", "u", "l", "member-a")
    found = storage(filesystems=(*pool, copy))
    assert [fs.device for fs in found.whole_filesystems()] == ["/dev/sda", "/dev/sdd"]
    assert found.resolve("UUID=U") == "/dev/sda"


def test_volumes_that_are_not_active_are_not_there() -> None:
    volume = replace(STORAGE.volumes[0], is_active=False)
    assert storage(volumes=(volume,)).resolve("/dev/mapper/my--vg-data") is None


class TestReading:
    def test_everything_in_its_order(self) -> None:
        volumes = (
            Volume("/dev/vg/a", "vg", "a", 1, is_snapshot=True),
            Volume("/dev/vg/b", "vg", "b", 1),
            Volume("/dev/vg/c", "vg", "c", 1, is_active=False),
        )
        machine = lab(
            [holds("ext4", "1"), holds("linux_raid_member", "a")],
            holds("xfs", "2"),
            on={
                "/dev/md127": holds("LVM2_member", "pv"),
                "/dev/vg/a": holds("ext4", "3"),
                "/dev/vg/b": holds("ext4", "3"),
            },
            volumes=volumes,
            arrays=[Array("/dev/md127", "raid1", "a", "", 2, 2)],
        )
        found = read_storage(machine)
        assert [fs.device for fs in found.filesystems] == [
            "/dev/sda1", "/dev/sda2", "/dev/sdb", "/dev/md127", "/dev/vg/b", "/dev/vg/a",
        ]  # fmt: skip
        assert found.resolve("UUID=3") == "/dev/vg/b"
        assert [group.name for group in found.groups] == ["vg"]

    def test_lvm_and_raid_are_only_asked_for_where_they_are(self) -> None:
        machine = lab([holds("ext4", "1")], volumes=[Volume("/dev/vg/a", "vg", "a", 1)])
        found = read_storage(machine)
        assert (found.volumes, found.groups, found.arrays) == ((), (), ())

    def test_a_table_that_makes_no_sense(self) -> None:
        machine = lab([holds("ext4", "1")], [holds("ext4", "2")])
        broken = dict(machine.disks)["/dev/sdb"]
        broken.put(446, b"\0\0\0\0\x83\0\0\0" + b"\xff" * 8)
        found = read_storage(machine)
        assert found.disks[1].table is TableType.NONE
        assert [device for device, _why in found.unreadable] == ["/dev/sdb"]
        dict(machine.disks)["/dev/sda"].put(446, b"\0\0\0\0\x83\0\0\0" + b"\xff" * 8)
        with pytest.raises(DamagedInputError) as caught:
            read_storage(machine)
        assert caught.value.code == "partition-table-damaged"
