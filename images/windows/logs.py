"""Hives that Windows had no time to write back, and the logs that have the rest.

After "Windows registry file format specification" (M. Suhanov), chapters "Format of transaction log
files" and "Dirty state of a hive": the format of Windows 8.1 (pages with Marvin32 hashes, divided
between both logs), and the older one (a bitmap of dirty sectors, in the first log alone).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from images.windows import hive

_PAGE: Final = 4096
_SECTOR: Final = 512
_MASK: Final = 0xFFFFFFFF
_SEED: Final = 0x82EF4D887A4E55C5

# The keys that a dirty SYSTEM has in its logs only: the second one changes what the first one adds.
LOGGED: Final[tuple[hive.Keys, ...]] = (
    {
        r"ControlSet001\Services\FromTheLog": {
            "Start": hive.dword(3),
            "ImagePath": hive.expand_sz(r"System32\drivers\fromthelog.sys"),
        }
    },
    {
        r"ControlSet001\Services\FromTheLog": {"Start": hive.dword(4), "Type": hive.dword(1)},
        r"ControlSet001\Services\FromTheLog\Parameters": {"Second": hive.sz("log")},
    },
)


@dataclass(frozen=True, slots=True)
class Dirty:
    """A dirty hive and both of its logs."""

    primary: bytes
    log1: bytes
    log2: bytes


def dirty(clean: bytes, *, is_new: bool) -> Dirty:
    """Give `clean` as it is when `LOGGED` has been logged and not written back.

    `is_new`: with logs in the format of Windows 8.1.
    """
    versions = [clean]
    for keys in LOGGED:
        versions.append(hive.add(versions[-1], keys))
    sequence = struct.unpack_from("<I", clean, 8)[0]
    primary = _sequenced(clean, sequence + 1, sequence)
    if not is_new:
        return Dirty(primary, _old_log(clean, versions[-1], sequence + 1), b"")
    # The first entry has the number that the hive still has.
    logs = [
        _new_log(before, after, sequence + number)
        for number, (before, after) in enumerate(pairwise(versions))
    ]
    return Dirty(primary, *logs)


def damaged(log: bytes) -> bytes:
    """Give `log` so that nothing can be made of it: with a wrong hash, or, having none, gone."""
    is_new = log[_SECTOR : _SECTOR + 4] == b"HvLE"
    return log[:-1] + bytes([log[-1] ^ 1]) if is_new else b""


def _sequenced(data: bytes, first: int, second: int) -> bytes:
    header = data[:4] + struct.pack("<II", first, second) + data[12:508]
    return hive.with_checksum(header) + data[_PAGE:]


def _base_block(data: bytes, sequence: int, file_type: int) -> bytes:
    header = data[:4] + struct.pack("<II", sequence, sequence) + data[12:28]
    return hive.with_checksum(header + struct.pack("<I", file_type) + data[32:508])[:_SECTOR]


def _dirty_pages(before: bytes, after: bytes, size: int) -> list[int]:
    """Give where pages of `size` bytes in the bins of `after` differ from those of `before`."""
    return [
        offset
        for offset in range(0, len(after) - _PAGE, size)
        if after[_PAGE + offset :][:size] != before[_PAGE + offset :][:size]
    ]


def _new_log(before: bytes, after: bytes, sequence: int) -> bytes:
    offsets = _dirty_pages(before, after, _PAGE)
    references = b"".join(struct.pack("<II", offset, _PAGE) for offset in offsets)
    pages = b"".join(after[_PAGE + offset :][:_PAGE] for offset in offsets)
    size = -(-(40 + len(references) + len(pages)) // _SECTOR) * _SECTOR
    body = (references + pages).ljust(size - 40, b"\0")
    head = struct.pack(
        "<4sIIIIIQ", b"HvLE", size, 0, sequence, len(after) - _PAGE, len(offsets), _marvin32(body)
    )
    entry = head + struct.pack("<Q", _marvin32(head)) + body
    return _base_block(before, sequence, 6) + entry


def _old_log(before: bytes, after: bytes, sequence: int) -> bytes:
    offsets = _dirty_pages(before, after, _PAGE)
    bits = bytearray((len(after) - _PAGE) // _PAGE)
    for offset in offsets:
        bits[offset // _PAGE] = 0xFF
    vector = b"DIRT" + bytes(bits)
    vector = vector.ljust(-(-len(vector) // _SECTOR) * _SECTOR, b"\0")
    pages = b"".join(after[_PAGE + offset :][:_PAGE] for offset in offsets)
    return _base_block(after, sequence, 1) + vector + pages


def _marvin32(data: bytes) -> int:
    low, high = _SEED & _MASK, _SEED >> 32
    tail = (data[len(data) & ~3 :] + b"\x80").ljust(4, b"\0")
    for word in (
        *struct.unpack(f"<{len(data) // 4}I", data[: len(data) & ~3]),
        int.from_bytes(tail, "little"),
        0,
    ):
        low = (low + word) & _MASK
        high ^= low
        low = (_rotated(low, 20) + high) & _MASK
        high = (_rotated(high, 9)) ^ low
        low = (_rotated(low, 27) + high) & _MASK
        high = _rotated(high, 19)
    return high << 32 | low


def _rotated(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _MASK
