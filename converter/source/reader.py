"""Bounded reads from a stretch of a host file: the only way source headers are read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Self

from converter.errors import DamagedInputError, UsageError
from converter.model import ByteRange

if TYPE_CHECKING:
    from pathlib import Path


class Reader:
    """A file, or a member of an OVA, opened for reading only; a context manager."""

    def __init__(self, file: ByteRange) -> None:
        """Open `file`. Raises `UsageError` when it cannot be read."""
        self.file = file
        try:
            self._descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise _unreadable(file.path, error) from error

    def __enter__(self) -> Self:
        """Give the reader."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        os.close(self._descriptor)

    @property
    def name(self) -> str:
        """What errors call the file."""
        return str(self.file.path)

    @property
    def length(self) -> int:
        """Its length in bytes."""
        return self.file.length

    def read(self, offset: int, length: int) -> bytes:
        """Give exactly `length` bytes at `offset`.

        Raises `DamagedInputError` ``truncated`` when the file ends before.
        """
        if offset < 0 or length < 0 or offset + length > self.length:
            raise truncated(self.name, offset + length, self.length)
        data = bytearray()
        while len(data) < length:
            at = self.file.offset + offset + len(data)
            piece = os.pread(self._descriptor, length - len(data), at)
            if not piece:
                raise truncated(self.name, offset + length, offset + len(data))
            data += piece
        return bytes(data)

    def head(self, length: int) -> bytes:
        """Give the first `length` bytes, or all there are."""
        return self.read(0, min(length, self.length))


def truncated(name: str, needed: int, there: int) -> DamagedInputError:
    """Make the error for a file that is shorter than its own headers say."""
    return DamagedInputError(
        "truncated",
        f"{name}: ends at byte {there}, but its headers speak of byte {needed}",
        hint="the file was cut off: copy or export it again",
    )


def damaged(code: str, name: str, what: str) -> DamagedInputError:
    """Make the error for a header that is not what its format says."""
    return DamagedInputError(code, f"{name}: {what}", hint="export the machine again")


def whole(path: Path) -> ByteRange:
    """Give the whole of a regular file or block device.

    Raises `UsageError` for anything else.
    """
    try:
        found = path.stat()
        if stat.S_ISBLK(found.st_mode):
            with path.open("rb") as device:
                return ByteRange(path, 0, device.seek(0, os.SEEK_END))
    except OSError as error:
        raise _unreadable(path, error) from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(
            "source-not-a-file",
            f"{path}: is not a regular file",
            hint="give a disk image or an OVA",
        )
    return ByteRange(path, 0, found.st_size)


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        "source-unreadable", f"{path}: {error.strerror}", hint="check the path and its permissions"
    )
