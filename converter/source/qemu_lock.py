"""QEMU's lock on an image, held as a QEMU that reads it does (QEMU: block/file-posix.c).

Byte 100 and those after it say what somebody does with the file, byte 200 and those after it what
nobody else may do meanwhile; each is locked for reading (fcntl_locking(2), open file descriptions).
"""

from __future__ import annotations

import fcntl
import os
import struct
from typing import Final

# Its block permissions: reading what holds still, writing, and changing the size.
_READ, _WRITE, _RESIZE = 0, 1, 3
_DONE: Final = 100
_NOT_SHARED: Final = 200
# struct flock where off_t has 64 bits, which it has wherever QEMU is built today.
_FLOCK: Final = struct.Struct("hhqqi")


def hold(descriptor: int) -> None:
    """Have no QEMU write the file of `descriptor` for as long as that is open.

    A filesystem without locks, or another one's lock that came before, leaves it as it is: whoever
    had the file open was asked before.
    """
    for byte in (_DONE + _READ, _NOT_SHARED + _WRITE, _NOT_SHARED + _RESIZE):
        lock = _FLOCK.pack(fcntl.F_RDLCK, os.SEEK_SET, byte, 1, 0)
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        except OSError:
            return
