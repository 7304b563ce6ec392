"""A disk's checksum whose cost follows the data on it, not its virtual size.

Method ``sha256-blocks-524288``: the disk is cut into blocks of 524288 bytes, numbered from 0; the
last one is padded with zero bytes to that length. The checksum is the SHA-256, in lower-case
hexadecimal, of this concatenation: for every block that is not all zero, in order, its number
(unsigned, 64 bits, big endian) and the 32 bytes of its SHA-256; and at the end the size of the disk
in bytes (unsigned, 64 bits, big endian). Whether zeros are stored or are holes does not matter.
Block and digest are those of the EBS direct APIs (PutSnapshotBlock).
"""

from __future__ import annotations

import errno
import hashlib
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.model import Checksum
from converter.parallel import each
from converter.source.sparse import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METHOD: Final = "sha256-blocks-524288"
BLOCK: Final = 524288
_ZEROS: Final = bytes(BLOCK)
_AHEAD: Final = 32


def disk_checksum(path: Path) -> Checksum:
    """Compute the checksum of the disk image at `path`. Raises `OSError`."""
    total = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        touched = blocks(_data(descriptor, size), BLOCK)
        for index, digest in each(partial(_digest, descriptor), touched, ahead=_AHEAD):
            if digest is not None:
                total.update(index.to_bytes(8, "big") + digest)
    total.update(size.to_bytes(8, "big"))
    return Checksum(METHOD, total.hexdigest())


def _data(descriptor: int, size: int) -> Iterator[tuple[int, int]]:
    """Give where stretches of data begin and end (lseek(2), SEEK_DATA)."""
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
            end = os.lseek(descriptor, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end
            # A filesystem without such a map: all of it may be data.
            start, end = end, size
        yield start, end


def _digest(descriptor: int, index: int) -> bytes | None:
    """Give the SHA-256 of a block, None if it is all zero."""
    block = _read(descriptor, index * BLOCK).ljust(BLOCK, b"\0")
    return None if block == _ZEROS else hashlib.sha256(block).digest()


def _read(descriptor: int, offset: int) -> bytes:
    """Read a block, or what there is of it at the end; some filesystems give it in pieces."""
    block = os.pread(descriptor, BLOCK, offset)
    while len(block) < BLOCK:
        more = os.pread(descriptor, BLOCK - len(block), offset + len(block))
        if not more:
            break
        block += more
    return block
