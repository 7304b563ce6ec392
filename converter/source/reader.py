"""Bounded reads from a stretch of a host file: the only way source headers are read."""

from __future__ import annotations

import errno
import os
import stat
import sys
from array import array
from bisect import bisect_right
from heapq import merge
from itertools import accumulate, islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self

from converter.errors import ConversionError, DamagedInputError, UsageError
from converter.model import URLS, ByteRange
from converter.source import qemu_lock, reflink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # Gives what is at an offset of a disk: at least one byte, at most as many as were asked for.
    # Where that is zero, or lies elsewhere, is for the format to know.
    Fetch = Callable[[int, int], bytes]

# More than any header or table is read in one piece, whatever a file says of itself.
_LONGEST_READ: Final = 64 << 20
# Numbers of a table that are looked at at once.
_PIECE: Final = 1 << 17
# Places that are sorted at once, of which each takes forty bytes then, and eight afterwards.
_SORTED: Final = 1 << 20

_Code = Literal["I", "Q"]
_Order = Literal["little", "big"]


class Reader:
    """A file, a member of an OVA, or the chunks of one, opened for reading only.

    A context manager.
    """

    def __init__(self, file: ByteRange, *, name: str = "") -> None:
        """Open `file`; `name` is what errors call it, by default its path.

        Raises `UsageError` when it cannot be opened.
        """
        self.file = file
        self.name = name or str(file.path)
        self._descriptors: dict[Path, int] = {}
        for path in dict.fromkeys(part.path for part in file.parts):
            try:
                # Not to wait for a writer, should somebody have put a pipe where the file was.
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
                self._descriptors[path] = os.open(path, flags)
            except OSError as error:
                self.close()
                raise _unreadable(path, error) from error
        # Where each part begins, and what it is read from.
        self._starts = [0, *accumulate(part.length for part in file.parts[:-1])]
        self._parts = [(self._descriptors[part.path], part) for part in file.parts]
        # Of each descriptor: from where data were looked for last, and where they begin and end.
        self._found: dict[int, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        """Give the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)

    def lock(self) -> None:
        """Keep every QEMU from writing it, until it is closed."""
        for descriptor in self._descriptors.values():
            qemu_lock.hold(descriptor)

    @property
    def label(self) -> str:
        """What reports call the file: its name without the directory."""
        return Path(self.name).name

    @property
    def length(self) -> int:
        """Its length in bytes."""
        return self.file.length

    def read(self, offset: int, length: int) -> bytes:
        """Give exactly `length` bytes at `offset`.

        Raises `DamagedInputError` ``truncated`` when the file ends before, ``header-size`` when
        that is more than a header can have; `ConversionError` ``source-read-failed``.
        """
        self.check(offset, length)
        if length > _LONGEST_READ:
            raise damaged("header-size", self.name, f"speaks of a table of {length} bytes")
        first = self._read(offset, length)
        if len(first) == length:
            return first
        data = bytearray(first)
        while len(data) < length:  # chunks do, and some filesystems, give it in pieces
            piece = self._read(offset + len(data), length - len(data))
            if not piece:
                raise truncated(self.name, offset + length, offset + len(data))
            data += piece
        return bytes(data)

    def _read(self, offset: int, length: int) -> bytes:
        number = bisect_right(self._starts, offset) - 1
        descriptor, part = self._parts[number]
        inside = offset - self._starts[number]
        at = part.offset + inside
        try:
            return os.pread(descriptor, min(length, part.length - inside), at)
        except OSError as error:
            raise _failed(self.name, at, error) from error

    def check(self, offset: int, length: int) -> None:
        """Raise `DamagedInputError` ``truncated`` unless `length` bytes at `offset` are there."""
        if offset < 0 or length < 0 or offset + length > self.length:
            raise truncated(self.name, offset + length, self.length)

    def head(self, length: int) -> bytes:
        """Give the first `length` bytes, or all there are."""
        return self.read(0, min(length, self.length))

    def tail(self, length: int) -> bytes:
        """Give the last `length` bytes, or all there are."""
        length = min(length, self.length)
        return self.read(self.length - length, length)

    def words(self, offset: int, count: int, code: _Code, order: _Order) -> array[int]:
        """Give the `count` unsigned numbers of 4 ("I") or 8 ("Q") bytes at `offset`."""
        return words(self.read(offset, count * array(code).itemsize), code, order)

    def numbers(self, offset: int, count: int, code: _Code, order: _Order) -> Iterator[array[int]]:
        """Give what `words` gives, of a table of any length, in pieces."""
        size = array(code).itemsize
        self.check(offset, count * size)
        for first in range(0, count, _PIECE):
            yield self.words(offset + first * size, min(_PIECE, count - first), code, order)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        """Give the stretches (start, end) from `offset` on that are no holes (lseek(2)).

        All that is read outside them is zero. A device, or a filesystem that keeps no map, gives
        the whole as one stretch. Raises `DamagedInputError` ``truncated``.
        """
        self.check(offset, length)
        for number in range(bisect_right(self._starts, offset) - 1, len(self._starts)):
            begin, (descriptor, part) = self._starts[number], self._parts[number]
            first = max(offset - begin, 0)
            end = min(offset + length - begin, part.length)
            if first >= end:
                break
            base = part.offset - begin
            for start, stop in self._data(descriptor, part.offset + first, part.offset + end):
                yield start - base, stop - base
            there = os.lseek(descriptor, 0, os.SEEK_END)
            if there < part.offset + end:  # cut off since it was opened
                raise truncated(self.name, begin + end, there - base)

    def _data(self, descriptor: int, position: int, end: int) -> Iterator[tuple[int, int]]:
        """Give what of a file is no hole, from `position` to `end`.

        What was found last is kept: to the filesystem, a long stretch may be work.
        """
        while position < end:
            asked, start, stop = self._found.get(descriptor, (0, 0, 0))
            if not asked <= position < stop:
                start, stop = _data_after(descriptor, position)
                self._found[descriptor] = (position, start, stop)
            if start >= end:
                return
            yield max(start, position), min(stop, end)
            position = stop

    def share(self, target: int) -> int:
        """Share blocks with the empty file of the descriptor `target`: see `reflink.share`."""
        if self.file.chunks:  # only what is one stretch
            return 0
        [(descriptor, part)] = self._parts
        return reflink.share(descriptor, target, offset=part.offset, length=part.length)


def words(data: bytes, code: _Code, order: _Order) -> array[int]:
    """Give the unsigned numbers of 4 ("I") or 8 ("Q") bytes that `data` is made of."""
    found = array(code, data)
    if order != sys.byteorder:
        found.byteswap()
    return found


def _data_after(descriptor: int, position: int) -> tuple[int, int]:
    """Give the first stretch of a file from `position` on that is no hole."""
    try:
        start = os.lseek(descriptor, position, os.SEEK_DATA)
        return start, os.lseek(descriptor, start, os.SEEK_HOLE)
    except OSError as error:
        if error.errno == errno.ENXIO:  # there is a hole to the end
            return sys.maxsize, sys.maxsize
        return position, sys.maxsize  # there is no map


def truncated(name: str, needed: int, there: int) -> DamagedInputError:
    """Make the error for a file that is shorter than its own headers say."""
    return DamagedInputError(
        "truncated",
        f"{name}: ends at byte {there}, but its headers speak of byte {needed}",
        hint="the file was cut off: copy or export it again",
    )


def damaged(
    code: str,
    name: str,
    what: str,
    *,
    hint: str = "copy it or export it again",
    service_message: str = "",
) -> DamagedInputError:
    """Make the error for a header that is not what its format says."""
    return DamagedInputError(code, f"{name}: {what}", hint=hint, service_message=service_message)


def size_zero(name: str) -> DamagedInputError:
    """Make the error for a file, or a disk, that holds nothing."""
    return damaged(
        "disk-size-zero",
        name,
        "holds nothing: its size is 0",
        service_message="disk-image-size=0 has invalid format",
    )


def check_blocks(
    reader: Reader, starts: Iterable[int], *, length: int, reserved: Sequence[tuple[int, int]]
) -> None:
    """Check that blocks of `length` bytes overlap neither each other nor a `reserved` stretch.

    Raises `DamagedInputError` ``blocks-overlap``.
    """
    clash = find_clash(starts, length=length, reserved=reserved)
    if clash is not None:
        raise damaged(
            "blocks-overlap",
            reader.name,
            f"its table puts a block at byte {clash}, where something else is",
        )


def check_count(reader: Reader, count: int, length: int) -> None:
    """Check that so many blocks of `length` bytes can be in the file, the last at least in part.

    It is quicker to tell than where they overlap, and enough where it is about how much can come of
    a small file. Raises `DamagedInputError` ``blocks-overlap``.
    """
    if count and (count - 1) * length >= reader.length:
        raise damaged(
            "blocks-overlap",
            reader.name,
            f"its tables name {count} blocks of {length} bytes, more than the file's"
            f" {reader.length} bytes can hold",
        )


def find_clash(
    starts: Iterable[int], *, length: int, reserved: Sequence[tuple[int, int]] = ()
) -> int | None:
    """Give where one of the blocks is that `check_blocks` refuses, None if there is none.

    There may be tens of millions of them.
    """
    waiting = iter(starts)
    runs: list[array[int]] = []
    while ordered := sorted(islice(waiting, _SORTED)):
        for first, end in reserved:
            at = bisect_right(ordered, first - length)
            if at < len(ordered) and ordered[at] < end:
                return ordered[at]
        clash = _first_clash(ordered, length)
        if clash is not None:
            return clash
        runs.append(array("Q", ordered))
    return _first_clash(merge(*runs), length) if len(runs) > 1 else None


def _first_clash(ordered: Iterable[int], length: int) -> int | None:
    return next((late for early, late in pairwise(ordered) if late - early < length), None)


def whole(path: Path) -> ByteRange:
    """Give the whole of a regular file or block device.

    Raises `UsageError` for anything else.
    """
    try:
        found = path.stat()
        if stat.S_ISBLK(found.st_mode):
            with path.open("rb") as device:
                return ByteRange(path, 0, device.seek(0, os.SEEK_END))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(
            "source-not-a-file",
            f"{path}: is not a regular file",
            hint="give the disk image or the OVA that is in it"
            if stat.S_ISDIR(found.st_mode)
            else "give a disk image or an OVA",
        )
    return ByteRange(path, 0, found.st_size)


def is_same(path: Path, other: Path) -> bool:
    """Tell whether both lead to one file; False where one leads nowhere, or cannot be seen."""
    try:
        return path.samefile(other)
    except OSError:
        return False


def _unreadable(path: Path, error: OSError | ValueError) -> UsageError:
    """Make the error for a path that leads to nothing that can be opened."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    hint = "check the path and its permissions"
    if str(path).startswith(URLS):
        hint = "a URL is not read: download what it leads to, and give that file"
    return UsageError("source-unreadable", f"{path}: {reason}", hint=hint)


def _failed(name: str, at: int, error: OSError) -> ConversionError:
    return ConversionError(
        "source-read-failed",
        f"{name}: reading at byte {at} failed: {error.strerror}",
        hint="check the disk or the share that it lies on, or copy it to another one first",
    )
