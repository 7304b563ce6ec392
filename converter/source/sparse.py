"""Writing to sparse files: what is zero is left a hole, or made one."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# As fine as qemu-img does (-S 64k); a hole is worth nothing below a filesystem's block.
_GRAIN: Final = 64 << 10
_ZEROS: Final = bytes(1 << 20)
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
# fallocate(2): FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
_HOLE: Final = 0x01 | 0x02


def is_zero(data: bytes | memoryview) -> bool:
    """Tell whether all of `data` is zero."""
    view = memoryview(data)
    size = len(_ZEROS)
    # memcmp(3), and nothing is copied for it.
    return all(_ZEROS.startswith(view[at : at + size]) for at in range(0, len(view), size))


def blocks(stretches: Iterable[tuple[int, int]], size: int) -> Iterator[int]:
    """Give the numbers of the blocks of `size` bytes that ordered stretches (start, end) touch."""
    done = 0
    for start, end in stretches:
        first = max(start // size, done)
        done = max(-(-end // size), done)
        yield from range(first, done)


def write(descriptor: int, data: bytes, offset: int) -> None:
    """Write `data` at `offset` of a file that holds nothing there yet, but for what is zero."""
    view = memoryview(data)
    start = 0
    for at in range(0, len(data), _GRAIN):
        if is_zero(view[at : at + _GRAIN]):
            _write_all(descriptor, view[start:at], offset + start)
            start = at + _GRAIN
    _write_all(descriptor, view[start:], offset + start)


def _write_all(descriptor: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def overwrite(descriptor: int, data: bytes, offset: int) -> None:
    """Write `data` at `offset` of a file, whatever it holds there."""
    view = memoryview(data)
    for at in range(0, len(data), _GRAIN):
        piece = view[at : at + _GRAIN]
        if is_zero(piece):
            clear(descriptor, offset + at, len(piece))
        else:
            _write_all(descriptor, piece, offset + at)


def clear(descriptor: int, offset: int, length: int) -> None:
    """Make `length` bytes at `offset` of a file zero: a hole where the filesystem can, at once."""
    place, size = ctypes.c_int64(offset), ctypes.c_int64(length)
    number = errno.EINTR
    while number == errno.EINTR:
        if _LIBC.fallocate(descriptor, _HOLE, place, size) == 0:
            return
        number = ctypes.get_errno()
    if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    for at in range(0, length, len(_ZEROS)):
        _write_all(descriptor, memoryview(_ZEROS)[: length - at], offset + at)
