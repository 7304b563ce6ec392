"""A file of which no more is read at once than it may take: for readers that trust their input.

tarfile and zipfile read headers of whatever size these say they have, and chains of headers to
their end; compressed, those are a few kilobytes for gigabytes.
"""

from __future__ import annotations

import io
from typing import Final, Protocol

from converter.formats import FormatError

# Names have at most some kilobytes; a zip's directory, 100 bytes for each of its files.
HEADERS: Final = 8 << 20


class Seekable(Protocol):
    """As much of a binary file as is needed here."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most `size` bytes."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go elsewhere."""

    def tell(self) -> int:
        """Give where it is."""


class Rationed:
    """A binary file that gives `HEADERS` bytes in all, until it is allowed to give more."""

    def __init__(self, file: Seekable) -> None:
        """Wrap `file`."""
        self._file = file
        self._left = HEADERS

    def allow(self, size: int) -> None:
        """Give at most `size` bytes from now on, and `HEADERS`."""
        self._left = HEADERS + size

    def read(self, size: int = -1) -> bytes:
        """Read as a file does. Raises `FormatError` when more is read than is allowed."""
        if size > self._left:
            raise FormatError(f"has a header of {size} bytes, or headers without end")
        data = self._file.read(size if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise FormatError("has a header without end")
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go elsewhere, which costs nothing."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Give where it is."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Say that it can be read in any order."""
        return True
