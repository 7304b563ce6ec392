"""The storage of a registry hive: its base block, its bins, and the cells in them.

Specification: Maxim Suhanov, "Windows registry file format specification" (regf), 1.3 to 1.6.
A hive is a base block of 4096 bytes and bins of whole 4096 bytes; cells fill a bin after its header
of 32 bytes. All offsets count from the end of the base block. A cell begins with its size, which is
negative while the cell is in use.

Opening reads the headers alone. A cell is checked when it is read: that it lies in one bin and is
in use. Before one is changed, its bin is walked, so that a reference into the middle of another
cell is found. Cells do not move, and what is not changed stays byte for byte.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Final

from converter.formats import FormatError

BASE_SIZE: Final = 4096
NONE: Final = 0xFFFFFFFF
"""The offset that refers to nothing."""

FILE_PRIMARY: Final = 0
MINOR_VERSIONS: Final = range(3, 7)

_PAGE: Final = 4096
_BIN_HEADER: Final = 32
_BASE: Final = struct.Struct("<4sIIQIIIIII")
_CHECKSUM: Final = 508
_SEQUENCES: Final = struct.Struct("<II")
_LENGTH: Final = 40
_U32: Final = struct.Struct("<I")
_I32: Final = struct.Struct("<i")
_BIN: Final = struct.Struct("<4sII")

# The highest bit of an offset says that the cell is in memory only.
_LENGTH_LIMIT: Final = 1 << 31


def damaged(what: str) -> FormatError:
    """Give the error for damage in a hive."""
    return FormatError(f"registry hive: {what}")


@dataclass(frozen=True, slots=True)
class Base:
    """What the base block says; none of it is checked but the checksum."""

    is_valid: bool
    """Whether the checksum is right."""
    primary: int
    secondary: int
    timestamp: int
    major: int
    minor: int
    file_type: int
    format: int
    root: int
    length: int

    @property
    def is_clean(self) -> bool:
        """Whether all that was written is in this file, and not partly in its logs."""
        return self.is_valid and self.primary == self.secondary


def read_base(data: bytes | bytearray) -> Base:
    """Read the base block of a hive or of a log, of which 512 bytes are enough."""
    if len(data) < 512 or data[:4] != b"regf":
        raise damaged("it does not begin with a base block")
    fields = _BASE.unpack_from(data)
    is_valid = checksum(data) == _U32.unpack_from(data, _CHECKSUM)[0]
    return Base(is_valid, *fields[1:])


def checksum(data: bytes | bytearray) -> int:
    """Give the checksum of a base block: all words up to it; two results stand for others."""
    total = 0
    for (word,) in _U32.iter_unpack(bytes(data[:_CHECKSUM])):
        total ^= word
    return {0: 1, 0xFFFFFFFF: 0xFFFFFFFE}.get(total, total)


def seal(data: bytearray, *, sequence: int) -> None:
    """Make the base block that of a clean hive with this sequence number."""
    _SEQUENCES.pack_into(data, 4, sequence, sequence)
    _U32.pack_into(data, _CHECKSUM, checksum(data))


def _check_base(base: Base, size: int) -> None:
    if not base.is_valid:
        raise damaged("the checksum of its base block is wrong: it was not written to the end")
    if not base.is_clean:
        raise damaged(
            f"it is dirty (sequence numbers {base.primary} and {base.secondary}): "
            f"the newest changes are in its logs"
        )
    if (base.major, base.file_type, base.format) != (1, FILE_PRIMARY, 1):
        raise damaged(f"version {base.major}, type {base.file_type}, format {base.format}")
    if base.minor not in MINOR_VERSIONS:
        raise damaged(f"version 1.{base.minor} is not known")
    if not base.length or base.length % _PAGE or base.length > min(size, _LENGTH_LIMIT):
        raise damaged(f"{base.length} bytes of bins, in {size}")


class Cells:
    """The cells of a clean hive, by their offsets."""

    def __init__(self, data: bytes) -> None:
        """Read the headers. Raises `FormatError` when they are damaged, or the hive is dirty."""
        base = read_base(data)
        _check_base(base, len(data) - BASE_SIZE)
        self.minor = base.minor
        self.root = base.root
        self._sequence = base.primary
        self._length = base.length
        self._data: bytes | bytearray = data
        # How often anything was changed: what was read before may have changed with it.
        self.edits = 0
        self._bins = self._read_bins()
        self._free = _FreeCells()
        self._used: set[int] = set()
        self._walked: set[int] = set()
        self._unwalked = len(self._bins) - 1

    def _read_bins(self) -> list[int]:
        """Give where the bins begin, followed by where the last one ends."""
        starts, at = [], 0
        while at < self._length:
            magic, offset, size = _BIN.unpack_from(self._data, BASE_SIZE + at)
            if magic != b"hbin" or offset != at:
                raise damaged(f"no bin begins at {at:#x}")
            if not size or size % _PAGE or size > self._length - at:
                raise damaged(f"the bin at {at:#x} has {size} bytes")
            starts.append(at)
            at += size
        return [*starts, at]

    @property
    def length(self) -> int:
        """How many bytes the bins have; offsets are below it."""
        return self._length

    # --- reading ----------------------------------------------------------------------------------

    def read(self, offset: int, limit: int) -> bytes:
        """Give the content of a cell, and of a long one no more than the first `limit` bytes.

        A cell may have more in it than what was written to it, as sizes are rounded up.
        """
        size = min(self._size(offset) - 4, limit)
        at = BASE_SIZE + offset + 4
        return bytes(self._data[at : at + size])

    def _size(self, offset: int) -> int:
        if offset % 8 or offset >= self._length:
            raise damaged(f"no cell can be at {offset:#x}")
        place = bisect_right(self._bins, offset)
        size = -self._number(offset)
        if offset < self._bins[place - 1] + _BIN_HEADER or size < 8:
            raise damaged(f"no cell in use is at {offset:#x}")
        if size % 8 or size > self._bins[place] - offset:
            raise damaged(f"the cell at {offset:#x} has {size} bytes")
        return size

    def _number(self, offset: int) -> int:
        number: int = _I32.unpack_from(self._data, BASE_SIZE + offset)[0]
        return number

    def used(self) -> frozenset[int]:
        """Walk all bins and give the offsets of the cells in use."""
        for start in self._bins[:-1]:
            self._walk(start)
        return frozenset(self._used)

    def _walk(self, start: int) -> None:
        """Note the cells of a bin, unless that was done before."""
        if start in self._walked:
            return
        self._walked.add(start)
        end = self._bins[bisect_right(self._bins, start)]
        offset = start + _BIN_HEADER
        while offset < end:
            size = self._number(offset)
            if not size or size % 8 or abs(size) > end - offset:
                raise damaged(f"the cell at {offset:#x} has {size} bytes")
            if size < 0:
                self._used.add(offset)
            else:
                self._free.add(offset, size)
            offset += abs(size)

    # --- editing ----------------------------------------------------------------------------------

    def tobytes(self) -> bytes:
        """Give the hive: as it was, or with the changes and the next sequence number."""
        if isinstance(self._data, bytes):
            return self._data
        data = bytearray(self._data)
        seal(data, sequence=(self._sequence + 1) & 0xFFFFFFFF)
        return bytes(data)

    def _edited(self) -> bytearray:
        self.edits += 1
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        return self._data

    def capacity(self, offset: int) -> int:
        """Give how many bytes the content of a cell can have."""
        return self._size(offset) - 4

    def write(self, offset: int, content: bytes, *, at: int = 0) -> None:
        """Replace what is in a cell from its byte `at` on; the rest stays."""
        self._require(offset)
        if at + len(content) > self.capacity(offset):
            raise damaged(f"the cell at {offset:#x} is too small")
        start = BASE_SIZE + offset + 4 + at
        self._edited()[start : start + len(content)] = content

    def allocate(self, content: bytes) -> int:
        """Put `content` into a new cell; give its offset."""
        size = (len(content) + 4 + 7) & ~7
        offset = self._find_free(size)
        rest = self._free.remove(offset) - size
        if rest:
            self._set_free(offset + size, rest)
        padded = content.ljust(size - 4, b"\0")
        at = BASE_SIZE + offset
        self._edited()[at : at + size] = _I32.pack(-size) + padded
        self._used.add(offset)
        return offset

    def free(self, offset: int) -> None:
        """Give a cell back, as one with the free cells beside it."""
        self._require(offset)
        self._used.discard(offset)
        start, end = offset, offset + self._size(offset)
        before = self._free.ending_at(start)
        if before is not None:
            self._free.remove(before)
            start = before
        if end in self._free:
            end += self._free.remove(end)
        self._set_free(start, end - start)

    def _set_free(self, offset: int, size: int) -> None:
        _I32.pack_into(self._edited(), BASE_SIZE + offset, size)
        self._free.add(offset, size)

    def _require(self, offset: int) -> None:
        """Refuse what is no cell of the chain of its bin: changing it would damage another."""
        self._size(offset)
        self._walk(self._bins[bisect_right(self._bins, offset) - 1])
        if offset not in self._used:
            raise damaged(f"what refers to {offset:#x} refers into another cell")

    def _find_free(self, size: int) -> int:
        """Find the smallest free cell for `size` bytes in the bins walked so far, or in others."""
        while (found := self._free.best(size)) is None:
            if self._unwalked:
                # Most room is at the end of a hive.
                self._unwalked -= 1
                self._walk(self._bins[self._unwalked])
            else:
                self._append_bin(size)
        return found

    def _append_bin(self, size: int) -> None:
        start = self._length
        bin_size = (_BIN_HEADER + size + _PAGE - 1) // _PAGE * _PAGE
        if start + bin_size > _LENGTH_LIMIT:
            raise FormatError("registry hive: it cannot grow any further")
        data = self._edited()
        at = BASE_SIZE + start
        # What may be behind the bins is padding.
        data[at : at + bin_size] = _BIN.pack(b"hbin", start, bin_size).ljust(bin_size, b"\0")
        self._length += bin_size
        _U32.pack_into(data, _LENGTH, self._length)
        self._bins.append(self._length)
        self._walked.add(start)
        self._set_free(start + _BIN_HEADER, bin_size - _BIN_HEADER)


class _FreeCells:
    """The free cells that are known, by where they begin, where they end, and by size."""

    def __init__(self) -> None:
        self._sizes: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        # By size, the smallest offset first; cells that are gone are dropped when they are met.
        self._heaps: dict[int, list[int]] = {}
        self._order: list[int] = []

    def __contains__(self, start: int) -> bool:
        return start in self._sizes

    def ending_at(self, end: int) -> int | None:
        return self._starts.get(end)

    def add(self, start: int, size: int) -> None:
        self._sizes[start] = size
        self._starts[start + size] = start
        if size not in self._heaps:
            self._heaps[size] = []
            insort(self._order, size)
        heappush(self._heaps[size], start)

    def remove(self, start: int) -> int:
        size = self._sizes.pop(start)
        del self._starts[start + size]
        return size

    def best(self, size: int) -> int | None:
        """Give the first of the smallest cells that have at least `size` bytes."""
        place = bisect_left(self._order, size)
        while place < len(self._order):
            found = self._order[place]
            heap = self._heaps[found]
            while heap and self._sizes.get(heap[0]) != found:
                heappop(heap)
            if heap:
                return heap[0]
            del self._heaps[self._order.pop(place)]
        return None
