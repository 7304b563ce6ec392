"""Partition tables, decoded from their bytes (UEFI Specification, chapter 5)."""

from __future__ import annotations

import binascii
import struct
import uuid
from dataclasses import dataclass
from typing import BinaryIO

_SECTOR = 512
_PROTECTIVE = 0xEE


@dataclass(frozen=True, slots=True)
class Entry:
    """A partition: offset and size in bytes; what an MBR does not have of it is empty."""

    number: int
    type: str
    start: int
    size: int
    is_active: bool = False
    identifier: str = ""
    name: str = ""
    attributes: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and what it calls its disk; `code` is what the first sector starts."""

    identifier: str
    entries: tuple[Entry, ...]
    code: bytes
    is_gpt: bool

    def active(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.is_active]


def read(disk: BinaryIO) -> Table:
    """Read the table of `disk`; both copies of a GPT have to be there, and to be right."""
    disk.seek(0)
    sector = disk.read(_SECTOR)
    assert sector[510:] == b"\x55\xaa"
    primary = list(_mbr_entries(sector))
    code = sector[:440]
    if [int(entry.type, 16) for entry in primary] != [_PROTECTIVE]:
        assert all(int(entry.type, 16) != _PROTECTIVE for entry in primary)
        signature = struct.unpack_from("<I", sector, 440)[0]
        return Table(f"{signature:08x}", tuple(primary), code, is_gpt=False)
    first = _gpt(disk, 1)
    size = disk.seek(0, 2)
    assert first == _gpt(disk, size // _SECTOR - 1)
    return Table(first[0], first[1], code, is_gpt=True)


def has_gpt(disk: BinaryIO) -> bool:
    """Tell whether anything at all says that there is a GPT, at the beginning or at the end."""
    size = disk.seek(0, 2)
    for at in (_SECTOR, size - _SECTOR):
        disk.seek(at)
        if disk.read(8) == b"EFI PART":
            return True
    return False


def _mbr_entries(sector: bytes) -> list[Entry]:
    found = []
    for number in range(4):
        flag, kind, start, size = struct.unpack_from("<B3xB3xII", sector, 446 + 16 * number)
        if kind:
            assert flag in (0, 0x80)
            place = (start * _SECTOR, size * _SECTOR)
            found.append(Entry(number + 1, f"{kind:02x}", *place, is_active=flag == 0x80))
    return found


def _gpt(disk: BinaryIO, sector: int) -> tuple[str, tuple[Entry, ...]]:
    disk.seek(sector * _SECTOR)
    header = disk.read(_SECTOR)
    assert header[:8] == b"EFI PART"
    (length, crc) = struct.unpack_from("<II", header, 12)
    assert binascii.crc32(header[:16] + bytes(4) + header[20:length]) == crc
    me, _, _, _, identifier, at, count, size, entries_crc = struct.unpack_from(
        "<QQQQ16sQIII", header, 24
    )
    assert me == sector
    disk.seek(at * _SECTOR)
    data = disk.read(count * size)
    assert binascii.crc32(data) == entries_crc
    found = []
    for number in range(count):
        kind, own, first, last, attributes, name = struct.unpack_from(
            "<16s16sQQQ72s", data, number * size
        )
        if any(kind):
            found.append(
                Entry(
                    number + 1,
                    str(uuid.UUID(bytes_le=kind)),
                    first * _SECTOR,
                    (last - first + 1) * _SECTOR,
                    identifier=str(uuid.UUID(bytes_le=own)),
                    name=name.decode("utf-16-le").rstrip("\0"),
                    attributes=attributes,
                )
            )
    return str(uuid.UUID(bytes_le=identifier)), tuple(found)
