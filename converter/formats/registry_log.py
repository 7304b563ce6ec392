"""Recovering a dirty registry hive: what its transaction logs hold is written into it.

Specification: Maxim Suhanov, "Windows registry file format specification", and his yarp for the
order of two logs. There are two formats of logs:

- Entries (HvLE, since Windows 8.1). Each has two Marvin32 hashes and a number; those that continue
  the second sequence number of the hive are applied in order, through both logs, until one is
  missing or damaged.
- A vector of changed pages (DIRT, up to Windows 8). Such a log belongs to the hive when both have
  the same time; without a base block, when it is not older than the first bin.

A base block with a wrong checksum is replaced by the one in the log, in the newest where there are
two, as Windows does. The result is clean, and its sequence number follows those that were applied.

Windows ignores logs while the checksum and both sequence numbers of a hive are right: so what is
done to a hive afterwards is not undone by logs that are left beside it.

Limits: Windows "heals" damaged bins while it recovers; here that is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats.registry_cells import (
    BASE_SIZE,
    FILE_PRIMARY,
    Base,
    Cells,
    damaged,
    read_base,
    seal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MARVIN_SEED: Final = 0x82EF4D887A4E55C5

_VECTOR_TYPES: Final = (1, 2)
_ENTRIES_TYPE: Final = 6
_SECTOR: Final = 512
_PAGE: Final = 4096
_LENGTH_LIMIT: Final = 1 << 31
# Real ones have a few MB at most; their hashes take a second for some MB.
LOG_LIMIT: Final = 64 << 20
_MASK: Final = 0xFFFFFFFF

_ENTRY: Final = struct.Struct("<4sIIIIIQQ")
_HASHED: Final = 32
_PAGE_REFERENCE: Final = struct.Struct("<II")
_U32: Final = struct.Struct("<I")
_TYPE_AT: Final = 28
_LENGTH_AT: Final = 40
_FLAGS_AT: Final = 144
_FIRST_BIN_TIME: Final = slice(BASE_SIZE + 20, BASE_SIZE + 28)


@dataclass(frozen=True, slots=True)
class _Log:
    base: Base
    data: bytes


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to be written at once, and the length of the bins after it."""

    sequence: int
    length: int
    pages: tuple[tuple[int, bytes], ...]
    size: int = 0
    is_locked: bool | None = None
    """The flag that transactions are pending, where the log has it."""


def recover(data: bytes, logs: Sequence[bytes]) -> bytes:
    """Give the clean hive that a dirty one and its logs make up; a clean one as it is.

    Raises `FormatError` when no log continues the hive, or what comes out is damaged.
    """
    base = read_base(data)
    if base.is_clean:
        return data
    known = [log for log in map(_open, logs) if log is not None]
    log, changes = _choose(base, data, known)
    hive = bytearray(data)
    if not base.is_valid:
        hive[:_SECTOR] = log.data[:_SECTOR]
        _U32.pack_into(hive, _TYPE_AT, FILE_PRIMARY)
    for change in changes:
        _apply(hive, change)
    seal(hive, sequence=_next(changes[-1].sequence))
    recovered = bytes(hive)
    Cells(recovered)
    return recovered


def _open(data: bytes) -> _Log | None:
    """Read the head of a log; None if it is not used, or was not written to the end."""
    if len(data) > LOG_LIMIT:
        raise FormatError(f"registry hive: a log of {len(data)} bytes is none")
    if not data.startswith(b"regf") or len(data) < _SECTOR:
        return None
    base = read_base(data)
    return _Log(base, data) if base.is_clean else None


def _choose(base: Base, data: bytes, logs: list[_Log]) -> tuple[_Log, list[_Change]]:
    """Find what is to be written into the hive, and the log with the newest base block."""
    entries = [log for log in logs if log.base.file_type == _ENTRIES_TYPE]
    if entries:
        start = base.secondary if base.is_valid else entries[0].base.primary
        entries.sort(key=lambda log: (log.base.primary - start + (1 << 31)) & _MASK)
        if not base.is_valid:
            entries = entries[-1:]
            start = entries[0].base.primary
        changes = list(_continuing(entries, start))
        if changes:
            return entries[-1], changes
    vectors = [log for log in logs if _fits(log, base, data)]
    if not vectors:
        raise damaged("it is dirty, and none of its logs continues it")
    newest = max(vectors, key=lambda log: log.base.timestamp)
    return newest, [_vector(newest, base)]


def _fits(log: _Log, base: Base, data: bytes) -> bool:
    """Tell whether a log with a vector belongs to the hive, and is not left from earlier."""
    if log.base.file_type not in _VECTOR_TYPES:
        return False
    if base.is_valid:
        return log.base.timestamp == base.timestamp
    # The first bin has the time as well, but is written after the base block.
    return log.base.timestamp >= int.from_bytes(data[_FIRST_BIN_TIME], "little")


# --- logs of entries ------------------------------------------------------------------------------


def _continuing(logs: list[_Log], start: int) -> Iterator[_Change]:
    """Give the entries that follow each other from the number `start` on."""
    expected = start
    for log in logs:
        for entry in _entries(log):
            if entry.sequence == expected:
                yield entry
                expected = _next(expected)


def _entries(log: _Log) -> Iterator[_Change]:
    """Give the entries of a log: behind them there may be rubbish, or older ones."""
    at, sequence = _SECTOR, log.base.primary
    while (entry := _entry(log.data, at)) is not None and entry.sequence == sequence:
        yield entry
        at += entry.size
        sequence = _next(sequence)


def _entry(data: bytes, at: int) -> _Change | None:
    """Read an entry; None if there is none that is whole."""
    if len(data) - at < _ENTRY.size:
        return None
    magic, size, flags, sequence, length, count, own, other = _ENTRY.unpack_from(data, at)
    if magic != b"HvLE" or size < _SECTOR or size % _SECTOR or size > len(data) - at:
        return None
    if not 0 < length < _LENGTH_LIMIT or length % _PAGE:
        return None
    if other != marvin32(data[at : at + _HASHED]) or own != marvin32(
        data[at + _ENTRY.size : at + size]
    ):
        return None
    pages = tuple(_pages(data[at + _ENTRY.size : at + size], count))
    return _Change(sequence, length, pages, size, is_locked=bool(flags & 1))


def _pages(content: bytes, count: int) -> Iterator[tuple[int, bytes]]:
    at = count * _PAGE_REFERENCE.size
    if at > len(content):
        raise damaged(f"an entry of its log cannot have {count} pages")
    for offset, size in _PAGE_REFERENCE.iter_unpack(content[:at]):
        if size > len(content) - at:
            raise damaged(f"a page of {size} bytes is not whole in its log")
        yield offset, content[at : at + size]
        at += size


def marvin32(data: bytes, seed: int = MARVIN_SEED) -> int:
    """Give the Marvin32 hash of data of whole words."""
    low, high = seed & _MASK, seed >> 32
    # 0x80 ends the data, and one round more ends the hash.
    for (word,) in _U32.iter_unpack(data + b"\x80\0\0\0\0\0\0\0"):
        low = (low + word) & _MASK
        high ^= low
        low = ((low << 20 | low >> 12) + high) & _MASK
        high = ((high << 9 | high >> 23) & _MASK) ^ low
        low = ((low << 27 | low >> 5) + high) & _MASK
        high = (high << 19 | high >> 13) & _MASK
    return high << 32 | low


# --- logs with a vector ---------------------------------------------------------------------------


def _vector(log: _Log, base: Base) -> _Change:
    """Read the pages of a log that has a vector of them."""
    length = log.base.length
    begin = _SECTOR + 4
    vector = log.data[begin : begin + length // _PAGE]
    if log.data[_SECTOR:begin] != b"DIRT" or length % _PAGE or len(vector) < length // _PAGE:
        raise damaged("the vector of its log is not whole")
    at = (begin + len(vector) + _SECTOR - 1) // _SECTOR * _SECTOR
    pages: list[tuple[int, bytes]] = []
    for number in _bits(vector):
        page = log.data[at : at + _SECTOR]
        if len(page) < _SECTOR:
            raise damaged(f"page {number} is not in its log")
        pages.append((number * _SECTOR, page))
        at += _SECTOR
    newest = log.base.primary if not base.is_valid else max(base.primary, log.base.primary)
    return _Change(newest, length, tuple(pages))


def _bits(vector: bytes) -> Iterator[int]:
    for place, byte in enumerate(vector):
        if byte:
            yield from (place * 8 + bit for bit in range(8) if byte >> bit & 1)


# --- writing --------------------------------------------------------------------------------------


def _next(sequence: int) -> int:
    return (sequence + 1) & _MASK


def _apply(hive: bytearray, change: _Change) -> None:
    end = BASE_SIZE + change.length
    growth = end - len(hive)
    # New bins are in the log: a hive does not grow by more.
    if growth > sum(len(page) for _, page in change.pages):
        raise damaged(f"its log makes it {change.length} bytes long, and does not have them")
    hive.extend(bytes(max(growth, 0)))
    for offset, page in change.pages:
        start = BASE_SIZE + offset
        if start + len(page) > end:
            raise damaged(f"a page at {offset:#x} of its log is behind its end")
        hive[start : start + len(page)] = page
    _U32.pack_into(hive, _LENGTH_AT, change.length)
    if change.is_locked is not None:
        flags = hive[_FLAGS_AT] & ~1 | change.is_locked
        hive[_FLAGS_AT] = flags
