"""A Windows in memory, with the disk that it is on: for many of them, in little time.

Files and hives are those that `images.windows` puts on disks; the table is a real one, and each
NTFS has the boot sector that its volume would have, and nothing behind it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter.guest.memory import MemoryGuest, Node
from converter.model import FileKind, Filesystem, Space
from images.windows import layout as layouts
from images.windows import tree
from images.windows.build import BITLOCKER
from images.windows.guest import State
from images.windows.layout import Partition, Role
from images.windows.programs import assembled
from images.windows.tree import Link
from tests.guests.disks import TYPES, Part, SparseDisk, make_disk
from tests.guests.machine import Device, Machine, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from images.windows.guest import Windows
    from images.windows.layout import Layout
    from images.windows.tree import Files

DISK: Final = "/dev/sda"
SECOND: Final = "/dev/sdb"
_FREE: Final = 7 << 30
# More than a table has, at either end of a disk.
_EDGE: Final = 64 << 10
_SERIAL: Final = 0x5EA1
# The cluster of the master file table, whose records have 1024 bytes.
_MFT: Final = 4
# $VOLUME_INFORMATION, with no flag set.
_NOT_DIRTY: Final = struct.pack("<II12xH2x16x", 0x70, 0x28, 0x18)


class Memory(Machine):
    """The machine; `parts` are the partitions in its table, `disk` is what they are on.

    `second` is another disk, whose only partition has the files in `data`.
    """

    def __init__(
        self,
        disk: SparseDisk,
        parts: Mapping[Partition, Tree],
        encrypted: Sequence[Role] = (),
        *,
        second: SparseDisk | None = None,
    ) -> None:
        """Make a machine with nothing mounted; `encrypted` is what blkid(8) knows nothing about."""
        self.disk, self.parts, self.second = disk, parts, second
        self.data: Tree = {"/": Node(FileKind.DIRECTORY), "/data.mdf": Node(FileKind.FILE, b"rows")}
        devices = [
            _device(partition, "" if partition.role in encrypted else "ntfs", tree)
            for partition, tree in parts.items()
        ]
        disks = {DISK: disk}
        if second is not None:
            disks[SECOND] = second
            devices.append(Device(Filesystem(f"{SECOND}1", "ntfs", "5EC0DD15C"), self.data))
        super().__init__(disks, devices)

    def read_device(self, device: str, *, offset: int, length: int) -> bytes:
        """See `BlockDevices`."""
        if device.startswith(SECOND):
            return super().read_device(device, offset=offset, length=length)
        starts = {f"{DISK}{part.number}": part.start for part in self.parts}
        return super().read_device(DISK, offset=starts.get(device, 0) + offset, length=length)

    def unmount(self) -> None:
        """See `BlockDevices`; a mount point is the machine's, and on none of its filesystems."""
        super().unmount()
        for files in self.parts.values():
            for path in self._mount_points:
                files.pop(path, None)

    def space(self, path: str) -> Space:  # noqa: ARG002 - the same everywhere
        """See `BlockDevices`."""
        return Space(size=2 * _FREE, free=_FREE)


def machine(windows: Windows, directory: Path, further: Files | None = None) -> Memory:
    """Make the machine; `further` are files that C: has besides, or instead."""
    layout = layouts.plan(windows)
    files = {part: _files(windows, layout, part) for part in layout.partitions}
    files[layout.get(Role.WINDOWS)] |= further or {}
    trees = {
        part: MemoryGuest({f"/{path}": _node(data) for path, data in here.items()})._nodes
        for part, here in files.items()
    }
    encrypted = [Role.DATA, *([Role.WINDOWS] if windows.has(State.BITLOCKER) else [])]
    disk = _disk(windows, layout, directory)
    for part in layout.partitions:
        if part.role in encrypted:
            disk.put(part.start, BITLOCKER)
    return Memory(disk, trees, encrypted)


def write(disk: SparseDisk, path: Path) -> None:
    """Write a disk to a file, most of which is a hole."""
    with path.open("wb") as file:
        file.truncate(disk.size)
        for number, data in disk.sectors.items():
            if any(data):
                file.seek(number * 512)
                file.write(data)


def _disk(windows: Windows, layout: Layout, directory: Path) -> SparseDisk:
    path = directory / "table.raw"
    layouts.write_table(layout, windows, path)
    disk = SparseDisk(windows.size)
    with path.open("rb") as file:
        for at in (0, windows.size - _EDGE):
            file.seek(at)
            disk.put(at, file.read(_EDGE))
    path.unlink()
    if not windows.is_uefi:
        disk.put(0, assembled("mbr"))
    for partition in layout.partitions:
        if partition.role not in (Role.ESP, Role.MSR):
            _put_ntfs(disk, partition, is_started=not windows.has(State.NO_BOOT_CODE))
    return disk


def second_disk() -> SparseDisk:
    """Make a disk with an MBR, and one volume for data."""
    size = 1 << 30
    partition = Partition(1, Role.DATA, _EDGE << 4, size >> 1)
    entry = Part(1, partition.start, partition.size, TYPES["windows"][0], "")
    disk = make_disk(table="mbr", size=size, signature=0x5EC0D, parts=[entry], boot="")
    _put_ntfs(disk, partition, is_started=False)
    return disk


def _put_ntfs(disk: SparseDisk, partition: Partition, *, is_started: bool) -> None:
    first = _boot_record(partition)
    disk.put(partition.start, first if is_started else first[:512])
    disk.put(partition.start + partition.size - 512, first[:512])
    disk.put(partition.start + _MFT * 4096 + 2 * 1024, _record(b"") + _record(_NOT_DIRTY))


def _record(attribute: bytes) -> bytes:
    """Give a record of the master file table."""
    head = struct.pack("<4sHH12xH", b"FILE", 0x30, 3, 0x38).ljust(0x38, b"\0")
    return (head + attribute + b"\xff\xff\xff\xff").ljust(1024, b"\0")


def _boot_record(partition: Partition) -> bytes:
    """Give the first sectors of an NTFS; mkntfs writes the same fields."""
    code = bytearray(assembled("vbr"))
    code[3:0x54] = bytes(0x51)
    code[3:11] = b"NTFS    "
    struct.pack_into("<HB", code, 0x0B, 512, 8)
    struct.pack_into("<BHHHI", code, 0x15, 0xF8, 0, 63, 255, partition.start // 512)
    struct.pack_into("<QQQ", code, 0x28, partition.size // 512 - 1, _MFT, 2 * _MFT)
    struct.pack_into("<b7xQ", code, 0x40, -10, _SERIAL + partition.number)
    return bytes(code)


def _files(windows: Windows, layout: Layout, partition: Partition) -> Files:
    files: Files = {}
    match partition.role:
        case Role.WINDOWS:
            files = tree.drive_c(windows, layout)
        case Role.SECOND_WINDOWS:
            files = tree.second_windows(windows)
        case Role.RECOVERY:
            files = tree.recovery()
        case Role.ESP:
            files = tree.esp(windows, layout)
    if partition.is_active:
        files |= tree.active_partition(windows, layout)
    return files


def _device(partition: Partition, kind: str, tree: Tree) -> Device:
    kind = {Role.ESP: "vfat", Role.MSR: ""}.get(partition.role, kind)
    found = Filesystem(f"{DISK}{partition.number}", kind, f"{_SERIAL + partition.number:016X}")
    return Device(found, tree)


def _node(data: bytes | Link | None) -> Node:
    if data is None:
        return Node(FileKind.DIRECTORY, mode=0o755)
    if isinstance(data, Link):
        return Node(FileKind.SYMLINK, data.target.encode())
    return Node(FileKind.FILE, data)
