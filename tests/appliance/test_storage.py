"""Systems on LVM, software RAID and Btrfs, on disks that libguestfs makes itself.

One appliance makes the disks, a second sees them as an export gives them: in another order, and
with members missing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from converter.accelerator import choose
from converter.errors import GuestRefusedError
from converter.formats.superblock import read_state
from converter.guest.appliance import Appliance
from converter.inspection.health import judge_disks, judge_rootless
from converter.inspection.mounts import mount_guest
from converter.inspection.storage import Storage, read_storage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("storage")]

MIB = 1 << 20
SIZES = {"boot": 400, "second": 160, "whole": 64, "half": 64, "pool": 320, "jfs": 64, "crypt": 64}


def overlays(directory: Path, names: Sequence[str], source: Path) -> list[Path]:
    made = []
    for name in names:
        overlay, link = directory / f"{name}.qcow2", directory / f"{name}.raw"
        if not link.exists():
            link.symlink_to(source / link.name)
        process.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(link), str(overlay)]
        )
        made.append(overlay)
    return made


def start(disks: Sequence[Path], directory: Path) -> Appliance:
    return Appliance(disks, settings=choose().libguestfs_settings, directory=directory)


def put_system(handle: Any, top: str, table: str) -> None:
    for directory in ("etc", "usr/bin", "boot", "data", "home"):
        handle.mkdir_p(f"{top}/{directory}")
    handle.write(f"{top}/etc/fstab", table)
    handle.write(f"{top}/etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    handle.ln_s("usr/bin", f"{top}/bin")


def make_lvm(handle: Any) -> None:
    """Boot partition and half of a volume group on one disk, the other half on another."""
    handle.part_init("/dev/sda", "mbr")
    handle.part_add("/dev/sda", "p", 2048, 2048 + 100 * 2048 - 1)
    handle.part_add("/dev/sda", "p", 2048 + 100 * 2048, -2048)
    handle.mkfs("ext2", "/dev/sda1", label="my boot")
    handle.pvcreate("/dev/sda2")
    handle.pvcreate("/dev/sdb")
    handle.vgcreate("my-vg", ["/dev/sda2", "/dev/sdb"])
    for name, size in (("root-fs", 100), ("data", 300), ("swap", 16)):
        handle.lvcreate(name, "my-vg", size)
    handle.mkfs("ext4", "/dev/my-vg/root-fs")
    handle.mkfs("xfs", "/dev/my-vg/data")
    handle.mkswap("/dev/my-vg/swap", label="swap space")
    handle.mount("/dev/my-vg/root-fs", "/")
    put_system(
        handle,
        "",
        "/dev/mapper/my--vg-root--fs / ext4 defaults 0 1\n"
        "LABEL=my\\040boot /boot ext2\n"
        "/dev/my-vg/data /data xfs\n"
        "/dev/mapper/my--vg-swap none swap sw\n",
    )
    handle.umount_all()


def make_btrfs(handle: Any) -> None:
    """As snapper has it: the default subvolume is a snapshot, and there are others."""
    handle.mkfs("btrfs", "/dev/sde", label="pool")
    handle.mount("/dev/sde", "/")
    for subvolume in ("/@", "/@/.snapshots", "/@/home"):
        handle.btrfs_subvolume_create(subvolume)
    handle.mkdir("/@/.snapshots/1")
    handle.mkdir("/@/.snapshots/2")
    handle.btrfs_subvolume_create("/@/.snapshots/1/snapshot")
    put_system(
        handle,
        "/@/.snapshots/1/snapshot",
        "LABEL=pool / btrfs defaults 0 0\nLABEL=pool /home btrfs subvol=/@/home 0 0\n",
    )
    handle.btrfs_subvolume_snapshot("/@/.snapshots/1/snapshot", "/@/.snapshots/2/snapshot")
    rows = handle.btrfs_subvolume_list("/")
    number = next(
        row["btrfssubvolume_id"]
        for row in rows
        if row["btrfssubvolume_path"] == "@/.snapshots/1/snapshot"
    )
    handle.btrfs_subvolume_set_default(number, "/")
    handle.umount_all()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("disks")
    made = directory / "made"
    made.mkdir()
    disks = []
    for name, size in SIZES.items():
        qcow2 = made / f"{name}.qcow2"
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", str(qcow2), f"{size}M"])
        disks.append(qcow2)
    with start(disks, directory) as machine:
        handle = machine._handle
        make_lvm(handle)
        handle.md_create("/dev/md/data", ["/dev/sdc", "/dev/sdd"], level="raid1")
        handle.mkfs("ext3", handle.list_md_devices()[0])
        make_btrfs(handle)
        handle.mkfs("jfs", "/dev/sdf")
        handle.luks_format("/dev/sdg", "secret", 0)
    for name, qcow2 in zip(SIZES, disks, strict=True):
        process.run(
            ["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(qcow2),
             str(directory / f"{name}.raw")]
        )  # fmt: skip
    return directory


@pytest.fixture(scope="module")
def machine(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """Give all disks but one of an array, and the volume group's second before its first."""
    directory = tmp_path_factory.mktemp("whole")
    names = ["second", "boot", "half", "jfs", "crypt", "pool"]
    with start(overlays(directory, names, raw), directory) as machine:
        yield machine


@pytest.fixture(scope="module")
def storage(machine: Appliance) -> Storage:
    return read_storage(machine)


def test_everything_on_the_disks_is_told(storage: Storage) -> None:
    found = {fs.device: (fs.type, fs.label) for fs in storage.filesystems}
    (array,) = storage.arrays
    wanted = {
        "/dev/sda": ("LVM2_member", ""),
        "/dev/sdb1": ("ext2", "my boot"),
        "/dev/sdb2": ("LVM2_member", ""),
        "/dev/sdd": ("jfs", ""),
        "/dev/sde": ("crypto_LUKS", ""),
        "/dev/sdf": ("btrfs", "pool"),
        array.device: ("ext3", ""),
        "/dev/my-vg/root-fs": ("ext4", ""),
        "/dev/my-vg/data": ("xfs", ""),
        "/dev/my-vg/swap": ("swap", "swap space"),
    }
    assert found == {**wanted, "/dev/sdc": ("linux_raid_member", found["/dev/sdc"][1])}
    assert not any(fs.is_dirty or fs.has_errors for fs in storage.filesystems)


def test_volumes_and_groups(storage: Storage) -> None:
    assert [(group.name, group.is_complete) for group in storage.groups] == [("my-vg", True)]
    assert all(volume.is_active and not volume.is_snapshot for volume in storage.volumes)
    sizes = {volume.name: volume.size for volume in storage.volumes}
    assert sizes == {"root-fs": 100 * MIB, "data": 300 * MIB, "swap": 16 * MIB}


def test_an_array_with_one_member_is_started(storage: Storage) -> None:
    (array,) = storage.arrays
    assert (array.level, array.size, array.present) == ("raid1", 2, 1)
    assert storage.resolve("/dev/md/data") == array.device
    codes = [finding.code for finding in judge_disks(storage)]
    assert codes == ["encrypted-volume", "array-degraded"]


def mounted(machine: Appliance, storage: Storage, *, without: str) -> list[tuple[str, str, str]]:
    """Mount the guest as if the filesystem of another system were not there."""
    rest = tuple(fs for fs in storage.filesystems if fs.device != without)
    seen = Storage(storage.disks, rest, storage.volumes, storage.groups, storage.arrays)
    try:
        found = mount_guest(machine, machine, seen).mounts
        assert all(mount.space and mount.space.free for mount in found)
        assert machine.lstat("/etc/fstab") is not None
        return [(mount.path, mount.device, mount.subvolume) for mount in found]
    finally:
        machine.unmount()


def test_root_on_a_volume_group_of_two_disks(machine: Appliance, storage: Storage) -> None:
    assert mounted(machine, storage, without="/dev/sdf") == [
        ("/", "/dev/my-vg/root-fs", ""),
        ("/boot", "/dev/sdb1", ""),
        ("/data", "/dev/my-vg/data", ""),
    ]


def test_root_on_the_default_subvolume(machine: Appliance, storage: Storage) -> None:
    assert mounted(machine, storage, without="/dev/my-vg/root-fs") == [
        ("/", "/dev/sdf", "@/.snapshots/1/snapshot"),
        ("/home", "/dev/sdf", "@/home"),
    ]


def test_two_systems_are_two_systems(machine: Appliance, storage: Storage) -> None:
    with pytest.raises(GuestRefusedError) as caught:
        mount_guest(machine, machine, storage)
    assert caught.value.code == "several-roots"


def test_jfs_is_mounted(machine: Appliance) -> None:
    machine.mount("/dev/sdd", "/", options="rw")
    try:
        machine.write("/file", b"x", mode=0o644, uid=0, gid=0)
        assert machine.read("/file") == b"x"
        assert machine.space("/").free > MIB
    finally:
        machine.unmount()


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("/dev/sdb1", "ext2"),
        ("/dev/my-vg/root-fs", "ext4"),
        ("/dev/my-vg/data", "xfs"),
        ("/dev/sdd", "jfs"),
    ],
)
def test_what_is_mounted_is_dirty_until_it_is_unmounted(
    machine: Appliance, device: str, kind: str
) -> None:
    def is_dirty() -> bool:
        return read_state(
            kind, lambda offset, length: machine.read_device(device, offset=offset, length=length)
        ).is_dirty

    machine.mount(device, "/", options="rw")
    try:
        machine.write("/dirty", b"x" * 4096, mode=0o644, uid=0, gid=0)
        machine._handle.sync()
        assert is_dirty()
    finally:
        machine.unmount()
    assert not is_dirty()


def test_disks_are_called_what_libguestfs_calls_them(machine: Appliance) -> None:
    """The kernel may have found them in another order."""
    for device, size in machine.devices():
        assert machine._handle.blockdev_getsize64(device) == size
        known = machine.read_device(device, offset=0, length=4096)
        assert known == machine._handle.pread_device(device, 4096, 0)
    assert machine.partitions() == tuple(machine._handle.list_partitions())


@pytest.mark.parametrize("device", ["/dev/sdb", "/dev/sdc"])
def test_a_disk_with_a_volume_group_or_array_is_left_alone(machine: Appliance, device: str) -> None:
    storage = read_storage(machine)
    first = machine.read_device(device, offset=0, length=512)
    size = dict(machine.devices())[device]
    assert not machine.rewrite(device, [(0, b"x" * 512)], size=size)
    assert machine.read_device(device, offset=0, length=512) == first
    assert read_storage(machine) == storage


def test_a_disk_gets_a_table_and_another_one(raw: Path, tmp_path: Path) -> None:
    """The second piece is over the end of the first, and the last one far from both."""
    with start(overlays(tmp_path, ["jfs"], raw), tmp_path) as machine:
        first = machine.read_device("/dev/sda", offset=0, length=512)
        # One partition, the second, of 8 MiB: an entry of an MBR.
        entry = bytes((0, 0, 2, 0, 0x83, 0, 2, 0)) + struct.pack("<II", 2048, 8 * 2048)
        table = bytes(440) + b"\1\2\3\4\0\0" + bytes(16) + entry + bytes(32) + b"\x55\xaa"
        far = SIZES["jfs"] * MIB - 1000
        pieces = [(0, b"x" * 512), (440, table[440:]), (0, table[:440]), (far, b"x" * 1000)]
        size = SIZES["jfs"] * MIB
        assert not machine.rewrite("/dev/sda", pieces, size=size + 512)
        assert machine.read_device("/dev/sda", offset=0, length=512) == first
        assert machine.rewrite("/dev/sda", pieces, size=size)
        assert machine.read_device("/dev/sda", offset=0, length=512) == table
        assert machine.read_device("/dev/sda", offset=far, length=1000) == b"x" * 1000
        assert machine.partitions() == ("/dev/sda2",)
        assert machine.rewrite("/dev/sda", [(0, first)], size=size)
        assert machine.partitions() == ()


def test_a_group_with_a_disk_missing_does_not_start(raw: Path, tmp_path: Path) -> None:
    with start(overlays(tmp_path, ["boot"], raw), tmp_path) as machine:
        found = read_storage(machine)
    (finding,) = judge_rootless(found)
    assert finding.code == "volume-group-inactive"
    assert finding.service_message == (
        "Unsupported configuration - Logical volume group activation failed"
    )
    assert not any(volume.is_active for volume in found.volumes)
    assert found.resolve("/dev/mapper/my--vg-root--fs") is None
