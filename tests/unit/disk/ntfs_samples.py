"""Boot sectors of NTFS, field by field, and disks with Windows as its installer lays them out."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from converter.disk.writing import gpt
from converter.model import Partition

if TYPE_CHECKING:
    from collections.abc import Sequence

ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
MSR = "e3c9e316-0b5c-4db8-817d-f92df00215ae"
DATA = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
RECOVERY = "de94bba4-06d1-4d40-a16a-bfd50179d6ac"
DISK = "11111111-2222-3333-4444-555555555555"
SERIAL = 0x1122334455667788


def boot_sector(sectors: int, *, hidden: int = 0, serial: int = SERIAL, size: int = 512) -> bytes:
    data = bytearray(512)
    data[:11] = b"\xeb\x52\x90NTFS    "
    struct.pack_into("<HB", data, 0x0B, size, 8)
    data[0x15] = 0xF8
    struct.pack_into("<HHI", data, 0x18, 63, 255, hidden)
    struct.pack_into("<Q", data, 0x28, sectors)
    struct.pack_into("<Q", data, 0x48, serial)
    data[0x54:0x57] = b"\xfa\x33\xc0"
    data[510:] = b"\x55\xaa"
    return bytes(data)


def windows_code() -> bytes:
    """Give the second sector of a volume that Windows formatted (Vista and later)."""
    return b"\x07\x00B\0O\0O\0T\0M\0G\0R\0\x04\x00$\0I\x003\x000\0".ljust(512, b"\xcc")


def put(data: bytearray, at: int, content: bytes) -> None:
    data[at : at + len(content)] = content


def format_ntfs(
    data: bytearray, partition: Partition, *, windows: bool = True, hidden: int = 0
) -> None:
    """Put what a BIOS reads of NTFS on a partition, and the copy at its end."""
    first = boot_sector(partition.size // 512 - 1, hidden=hidden)
    put(data, partition.start, first + (windows_code() if windows else b""))
    put(data, partition.start + partition.size - 512, first)


def part(number: int, start: int, sectors: int, kind: str = DATA) -> Partition:
    identifier = f"0000000{number:x}-aaaa-bbbb-cccc-dddddddddddd"
    return Partition(number, start * 512, sectors * 512, kind, f"part {number}", identifier)


LAYOUT = (
    part(1, 64, 200, ESP),
    part(2, 264, 32, MSR),
    part(3, 320, 256),
    part(4, 576, 64, RECOVERY),
)


def windows_disk(parts: Sequence[Partition] = LAYOUT, *, sectors: int = 1024) -> bytearray:
    """Give a disk with a GPT whose third partition Windows is on; all sectors are filled."""
    data = bytearray(b"".join(struct.pack("<Q", number) * 64 for number in range(sectors)))
    for offset, piece in gpt(parts, identifier=DISK, size=len(data), boot_code=b""):
        put(data, offset, piece)
    for partition in parts:
        if partition.type in (DATA, RECOVERY):
            format_ntfs(data, partition)
    return data
