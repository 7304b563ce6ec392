r"""Device elements of a boot configuration store (BCD): which partition something is on.

16 bytes with the GUID of an object with more options come first, then a device: its type (4 bytes),
flags, its size with these (4 bytes each), 4 unused. A partition (type 6, 72 bytes) goes on with
its own identifier (16 bytes: the GUID in a GPT, the byte offset in an MBR), the kind of disk (0:
a local one), the kind of table (0: GPT, 1: MBR), and the identifier of the disk (16 bytes: GUID, or
a signature of 4). Type 5 is the partition that the boot manager was started from. Type 0 with a
disk of the kind 3 is a RAM disk, filled from a file, whose path (its version, its size, its kind, 4
bytes each) starts with the device that the file is on. Only what is known is read; the bytes of all
else, and around it, stay.

Sources: what boot loaders that write such elements agree on (GRUB's ntboot, ntloader, ReactOS'
boot library), and stores that Windows made. Nothing of it is documented by Microsoft.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from converter.formats.mounted_devices import MbrPlace

_OPTIONS: Final = 16
_HEADER: Final = struct.Struct("<IIII")
_PARTITION: Final = struct.Struct("<16sII16s16x")
_SIZE: Final = _HEADER.size + _PARTITION.size
_MBR_PARTITION: Final = struct.Struct("<Q8x")
_MBR_DISK: Final = struct.Struct("<I12x")
_LOCAL: Final = 0
_RAM_DISK: Final = 3
# In a RAM disk's element: the kind of disk, its path, and the device that this starts with.
_RAM_DISK_AT: Final = _OPTIONS + _HEADER.size
_PATH: Final = struct.Struct("<III")
_PATH_AT: Final = 0x38
_NESTED_AT: Final = _PATH_AT + _PATH.size


class DeviceType(IntEnum):
    """The types that are read here."""

    DISK = 0
    BOOT = 5
    PARTITION = 6


class _Table(IntEnum):
    GPT = 0
    MBR = 1


@dataclass(frozen=True, slots=True)
class GptPartition:
    """A partition in a GPT, by the identifiers of its disk and of itself."""

    disk: uuid.UUID
    partition: uuid.UUID


@dataclass(frozen=True, slots=True)
class Device:
    """What a device element says.

    `partition` is None where it names none that is read here. `path` is that of the file that a RAM
    disk is filled from, "" for any other device.
    """

    data: bytes
    is_boot: bool = False
    partition: GptPartition | MbrPlace | None = None
    path: str = ""

    def at(self, place: MbrPlace) -> bytes:
        """Give the element for a partition on an MBR disk; a RAM disk's file is on that then."""
        if self.path:
            return self.data[:_NESTED_AT] + _pack(place) + self.data[_NESTED_AT + _SIZE :]
        return self.data[:_OPTIONS].ljust(_OPTIONS, b"\0") + _pack(place)


def parse(data: bytes) -> Device:
    """Read a device element; one that is not understood names nothing."""
    found = _partition(data, _OPTIONS)
    if found is not None and len(data) == _OPTIONS + _SIZE:
        return Device(data, partition=found)
    if _type(data, _OPTIONS) == DeviceType.BOOT:
        return Device(data, is_boot=True)
    path = _ram_disk_path(data)
    if path:
        return Device(data, partition=_partition(data, _NESTED_AT), path=path)
    return Device(data)


def _pack(place: MbrPlace) -> bytes:
    return _HEADER.pack(DeviceType.PARTITION, 0, _SIZE, 0) + _PARTITION.pack(
        _MBR_PARTITION.pack(place.offset), _LOCAL, _Table.MBR, _MBR_DISK.pack(place.signature)
    )


def _type(data: bytes, at: int) -> int | None:
    if len(data) < at + _HEADER.size:
        return None
    kind: int = _HEADER.unpack_from(data, at)[0]
    return kind


def _partition(data: bytes, at: int) -> GptPartition | MbrPlace | None:
    """Read the device at `at`, if it is a partition."""
    if len(data) < at + _SIZE:
        return None
    kind, _, size, _ = _HEADER.unpack_from(data, at)
    if (kind, size) != (DeviceType.PARTITION, _SIZE):
        return None
    partition, disk_kind, table, disk = _PARTITION.unpack_from(data, at + _HEADER.size)
    if disk_kind == _LOCAL and table == _Table.GPT:
        return GptPartition(uuid.UUID(bytes_le=disk), uuid.UUID(bytes_le=partition))
    if disk_kind == _LOCAL and table == _Table.MBR:
        return MbrPlace(_MBR_DISK.unpack(disk)[0], _MBR_PARTITION.unpack(partition)[0])
    return None


def _ram_disk_path(data: bytes) -> str:
    """Give the path of the file that a RAM disk is filled from; "" for what is no such device."""
    if _type(data, _OPTIONS) != DeviceType.DISK or _partition(data, _NESTED_AT) is None:
        return ""
    (kind,) = struct.unpack_from("<I", data, _RAM_DISK_AT)
    _, size, _ = _PATH.unpack_from(data, _PATH_AT)
    end = _PATH_AT + size
    if kind != _RAM_DISK or end > len(data):
        return ""
    text = data[_NESTED_AT + _SIZE : end]
    return text.decode("utf-16-le", "replace").partition("\0")[0]
