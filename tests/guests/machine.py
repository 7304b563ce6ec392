"""A guest in memory together with the disks it is on: filesystems are mounted as in the appliance.

Each filesystem is a tree of nodes. Mounting one puts its nodes into the guest's tree, unmounting
takes them back, with what was changed. A Btrfs subvolume is a part of its filesystem's tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.memory import MemoryGuest, Node
from converter.guest.protocol import Code
from converter.model import (
    Array,
    FileKind,
    Filesystem,
    Space,
    Subvolume,
    Volume,
    VolumeGroup,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.guests.disks import SparseDisk

# Types that the appliance can mount.
_MOUNTABLE = {"ext2", "ext3", "ext4", "xfs", "btrfs", "jfs", "vfat", "ntfs"}
Tree = dict[str, Node]


@dataclass
class Device:
    """What is on a partition or volume; `tree` has the paths of a filesystem's root.

    `default` is the subvolume that is mounted unless another one is asked for. `mkfs` are options
    of mkfs(8), where it is written onto a real disk.
    """

    found: Filesystem
    tree: Tree = field(default_factory=lambda: {"/": Node(FileKind.DIRECTORY, mode=0o755)})
    subvolumes: Mapping[str, int] = field(default_factory=dict)
    default: str = ""
    mkfs: Sequence[str] = ()


@dataclass(frozen=True)
class _Mounted:
    path: str
    device: Device
    subvolume: str
    loaded: Tree


class Machine(MemoryGuest):
    """A `Guest` and its `BlockDevices`."""

    def __init__(
        self,
        disks: Mapping[str, SparseDisk],
        devices: Sequence[Device],
        volumes: Sequence[Volume] = (),
    ) -> None:
        """Make a machine with nothing mounted."""
        super().__init__()
        self.disks = disks
        self._devices = {device.found.device: device for device in devices}
        self._volumes = tuple(volumes)
        self._mounted: list[_Mounted] = []
        self._mount_points: set[str] = set()

    def label(self, labels: Mapping[str, bytes], *, unlabelled: Sequence[str]) -> None:
        """Give all that is mounted its SELinux label, by the longest directory in `labels`."""
        for path, node in self._nodes.items():
            if not path.startswith(tuple(unlabelled)):
                best = max((d for d in labels if f"{path}/".startswith(d)), key=len)
                attributes = {"security.selinux": labels[best] + b"\0"}
                self._nodes[path] = replace(node, attributes=attributes)

    def contents(self, name: str) -> Device:
        """Give what is on the device `name`."""
        return self._devices[name]

    def devices(self) -> tuple[tuple[str, int], ...]:
        """See `BlockDevices`."""
        return tuple((name, disk.size) for name, disk in self.disks.items())

    def read_device(self, device: str, *, offset: int, length: int) -> bytes:
        """See `BlockDevices`."""
        name = device.rstrip("0123456789")
        disk = self.disks.get(name)
        if disk is None:
            return bytes(length)
        number = device.removeprefix(name)
        start = next((part.start for part in disk.parts if str(part.number) == number), 0)
        return disk.read(start + offset, length)

    def filesystems(self) -> tuple[Filesystem, ...]:
        """See `BlockDevices`."""
        return tuple(device.found for device in self._devices.values())

    def partitions(self) -> tuple[str, ...]:
        """See `BlockDevices`."""
        return tuple(name for name in self._devices if re.fullmatch(r"/dev/sd[a-z]\d+", name))

    def probe(self, device: str) -> Filesystem:
        """See `BlockDevices`."""
        there = self._devices.get(device)
        return Filesystem(device, "") if there is None else there.found

    def arrays(self) -> tuple[Array, ...]:
        """See `BlockDevices`."""
        return ()

    def groups(self) -> tuple[VolumeGroup, ...]:
        """See `BlockDevices`."""
        names = dict.fromkeys(volume.group for volume in self._volumes)
        return tuple(VolumeGroup(name, f"uuid-of-{name}") for name in names)

    def volumes(self) -> tuple[Volume, ...]:
        """See `BlockDevices`."""
        return self._volumes

    def subvolumes(self, device: str) -> tuple[Subvolume, ...]:
        """See `BlockDevices`."""
        there = self._devices[device]
        numbers = {"": 5, **there.subvolumes}
        return tuple(
            Subvolume(number, path, is_default=path == there.default)
            for path, number in numbers.items()
        )

    def space(self, path: str) -> Space:
        """See `BlockDevices`."""
        if not paths.is_directory(self, path):
            raise GuestError(Code.MISSING, f"{path}: no such directory in the guest")
        return Space(size=8 << 30, free=4 << 30)

    def make_mount_point(self, path: str) -> None:
        """See `BlockDevices`."""
        self._mount_points.add(path)
        self._nodes.setdefault(path, Node(FileKind.DIRECTORY, mode=0o755))

    def mount(self, device: str, path: str, *, options: str) -> None:
        """See `BlockDevices`."""
        there = self._devices.get(device)
        if there is None or there.found.type not in _MOUNTABLE:
            raise GuestError(Code.FAILED, f"{device}: cannot be mounted")
        place = paths.resolve(self, path)
        if not paths.is_directory(self, place):
            raise GuestError(Code.FAILED, f"{path}: the mount point does not exist")
        subvolume = _subvolume(there, options)
        loaded = {
            _join(place, inside): node
            for inside, node in _below(there.tree, f"/{subvolume}" if subvolume else "/").items()
        }
        if not loaded:
            raise GuestError(Code.FAILED, f"{device}: no subvolume {subvolume}")
        self._mounted.append(_Mounted(place, there, subvolume, loaded))
        self._nodes |= loaded

    def unmount(self) -> None:
        """See `BlockDevices`."""
        for mounted in reversed(self._mounted):
            now = _below(self._nodes, mounted.path)
            old = _below(mounted.loaded, mounted.path)
            prefix = f"/{mounted.subvolume}" if mounted.subvolume else "/"
            for inside in now.keys() | old.keys():
                is_mount_point = mounted.path == "/" and inside in self._mount_points
                if is_mount_point or now.get(inside) == old.get(inside):
                    continue
                if inside in now:
                    mounted.device.tree[_join(prefix, inside)] = now[inside]
                else:
                    del mounted.device.tree[_join(prefix, inside)]
            for inside in now:
                if inside != "/":
                    del self._nodes[_join(mounted.path, inside)]
            self._nodes[mounted.path] = Node(FileKind.DIRECTORY, mode=0o755)
        self._mounted.clear()
        empty = Node(FileKind.DIRECTORY, mode=0o755)
        self._nodes = dict.fromkeys(["/", *self._mount_points], empty)


def _subvolume(device: Device, options: str) -> str:
    """Give the subvolume that mount options choose (btrfs(5)): by name, by id, or the default."""
    for option in options.split(","):
        key, _, value = option.partition("=")
        if key == "subvol":
            return value.strip("/")
        if key == "subvolid":
            ids = {number: name for name, number in device.subvolumes.items()} | {5: "", 0: ""}
            return ids.get(int(value), "missing")
    return device.default


def _join(directory: str, path: str) -> str:
    return path if directory == "/" else directory + (path if path != "/" else "")


def _below(tree: Mapping[str, Node], directory: str) -> Tree:
    """Give what is in and below `directory`, which itself becomes `/`."""
    if directory == "/":
        return dict(tree)
    prefix = f"{directory}/"
    found = {path[len(directory) :]: node for path, node in tree.items() if path.startswith(prefix)}
    return {"/": tree[directory], **found} if directory in tree else {}
