"""Sharing the blocks of a file with another one, where the filesystem can (ioctl_ficlonerange(2)).

XFS, Btrfs, bcachefs, NFS 4.2 and others do so at once, whatever the size; what is written to either
file later is its own.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final

# linux/fs.h: _IOW(0x94, 13, struct file_clone_range)
_FICLONERANGE: Final = 0x4020940D
# All else says that it cannot be done here, or (ZFS, EAGAIN) not now.
_FAILURES: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


def share(source: int, target: int, *, offset: int, length: int) -> int:
    """Have the empty file `target` share the `length` bytes at `offset` of `source`.

    Both are descriptors. Gives how many bytes from the first on are shared: a part of the last
    block is not, unless the source ends there; and none are where it cannot be done. Raises
    `OSError` for a full or failing disk.
    """
    if offset + length != os.fstat(source).st_size:
        length -= length % os.fstat(target).st_blksize
    if length <= 0:
        return 0  # zero would mean: up to the end
    try:
        fcntl.ioctl(target, _FICLONERANGE, struct.pack("=qQQQ", source, offset, length, 0))
    except OSError as error:
        if error.errno in _FAILURES:
            raise
        # A part may be shared already. But a file that was truncated ext4 writes out when it is
        # closed, truncated of nothing or not (ext4(5), auto_da_alloc): seconds for a disk.
        if os.fstat(target).st_size:
            os.ftruncate(target, 0)
        return 0
    return length
