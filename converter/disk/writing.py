"""Partition tables as they are written: the PC's MBR, and GPT with its backup (UEFI 2.10, 5).

The bytes only: where they go, in pieces of offset and data, in the order they are to be written in.
The first sector of a disk tells which table counts, so it is a piece of its own: what the new table
needs is written before it, and what is left of the old one is wiped behind it. Numbers and
identifiers are kept exactly as they are given, which is why this is not left to a library that
chooses them.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from typing import TYPE_CHECKING, Final

from converter.disk.boot_code import AREA, SIGNATURE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.model import Partition

SECTOR: Final = 512
# 128 entries of 128 bytes, the least that UEFI asks for, and a header.
ENTRIES: Final = 128
GPT_SECTORS: Final = 1 + ENTRIES * 128 // SECTOR
_ENTRY: Final = struct.Struct("<B3sB3sII")
_HEADER: Final = struct.Struct("<8sIIIIQQQQ16sQIII")
_GPT_ENTRY: Final = struct.Struct("<16s16sQQQ72s")
_LEGACY_BOOTABLE: Final = 1 << 2
_NAME_LIMIT: Final = 36
# Cylinder, head and sector of what lies beyond the reach of such an address.
_BEYOND: Final = b"\xfe\xff\xff"
_PROTECTIVE: Final = 0xEE

Piece = tuple[int, bytes]


def mbr(partitions: Sequence[Partition], *, signature: int, boot_code: bytes) -> bytes:
    """Give the first sector of a disk with at most four `partitions`, numbered 1 to 4."""
    entries = [bytes(_ENTRY.size)] * 4
    for partition in partitions:
        entries[partition.number - 1] = _ENTRY.pack(
            0x80 if partition.active else 0,
            _BEYOND,
            int(partition.type, 16),
            _BEYOND,
            partition.start // SECTOR,
            partition.size // SECTOR,
        )
    return _first_sector(boot_code, signature, entries)


def _first_sector(boot_code: bytes, signature: int, entries: Sequence[bytes]) -> bytes:
    code = boot_code[:AREA].ljust(AREA, b"\0")
    return code + struct.pack("<IH", signature, 0) + b"".join(entries) + SIGNATURE


def gpt(
    partitions: Sequence[Partition], *, identifier: str, size: int, boot_code: bytes
) -> tuple[Piece, ...]:
    """Give the pieces of a GPT on a disk of `size` bytes: backup, table, protective MBR."""
    last = size // SECTOR - 1
    table = _entries(partitions)
    blocks = len(table) // SECTOR
    disk = uuid.UUID(identifier)
    usable = (2 + blocks, last - blocks - 1)
    first = _header(own=1, other=last, table_at=2, usable=usable, disk=disk, table=table)
    backup_at = last - blocks
    backup = _header(own=last, other=1, table_at=backup_at, usable=usable, disk=disk, table=table)
    # 5.2.3: one entry, of the whole disk as far as it can be told.
    protective = _ENTRY.pack(0, b"\0\2\0", _PROTECTIVE, b"\xff\xff\xff", 1, min(last, 0xFFFFFFFF))
    empty = [bytes(_ENTRY.size)] * 3
    return (
        (backup_at * SECTOR, table + backup),
        (SECTOR, first + table),
        (0, _first_sector(boot_code, 0, [protective, *empty])),
    )


def wipe_gpt(size: int, *, end: int) -> tuple[Piece, ...]:
    """Give the pieces that wipe a GPT off a disk of `size` bytes whose partitions end at `end`."""
    whole = size // SECTOR * SECTOR
    backup = max(end, whole - GPT_SECTORS * SECTOR)
    pieces = ((SECTOR, bytes(GPT_SECTORS * SECTOR)), (backup, bytes(whole - backup)))
    return tuple(piece for piece in pieces if piece[1])


def _entries(partitions: Sequence[Partition]) -> bytes:
    table = bytearray(ENTRIES * _GPT_ENTRY.size)
    for partition in partitions:
        start = partition.start // SECTOR
        name = partition.name[:_NAME_LIMIT].encode("utf-16-le")[: 2 * _NAME_LIMIT]
        _GPT_ENTRY.pack_into(
            table,
            (partition.number - 1) * _GPT_ENTRY.size,
            uuid.UUID(partition.type).bytes_le,
            uuid.UUID(partition.uuid).bytes_le,
            start,
            start + partition.size // SECTOR - 1,
            _LEGACY_BOOTABLE if partition.active else 0,
            name,
        )
    return bytes(table)


def _header(  # noqa: PLR0913 - the fields of the format
    *, own: int, other: int, table_at: int, usable: tuple[int, int], disk: uuid.UUID, table: bytes
) -> bytes:
    def pack(checksum: int) -> bytes:
        return _HEADER.pack(
            b"EFI PART", 0x10000, _HEADER.size, checksum, 0, own, other, *usable, disk.bytes_le,
            table_at, ENTRIES, _GPT_ENTRY.size, zlib.crc32(table),
        )  # fmt: skip

    return pack(zlib.crc32(pack(0))).ljust(SECTOR, b"\0")
