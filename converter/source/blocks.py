"""A disk as the guest sees it: read by ourselves, whatever the format of its file is.

Every format tells where the bytes of a disk are, a block at a time (its `fetcher`), by the tables
that were checked when the disk was opened. What is not stored is zero. Nothing is written, nothing
but the disk's own files is opened, and no more is held than was asked for and a few blocks.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import ExitStack
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Self

from converter.model import DiskFormat
from converter.source import grains, qcow2, vdi, vhd, vhdx
from converter.source.overlay import SECTOR, padded, plain_data
from converter.source.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.model import ByteRange, Extent, SourceDisk
    from converter.source.reader import Fetch

_FETCHERS: Final[dict[DiskFormat, Callable[[Reader], Fetch]]] = {
    DiskFormat.VMDK: grains.fetcher,
    DiskFormat.VHD: vhd.fetcher,
    DiskFormat.VHDX: vhdx.fetcher,
    DiskFormat.QCOW2: qcow2.fetcher,
    DiskFormat.VDI: vdi.fetcher,
}


class VirtualDisk:
    """A disk opened for reading; a context manager. Its `size` is in whole sectors."""

    def __init__(self, disk: SourceDisk) -> None:
        """Open `disk`, which was found sound; raises what `Reader` does, and `fetcher`s."""
        self.size = padded(disk.virtual_size)
        self._files = ExitStack()
        with ExitStack() as undo:
            undo.callback(self._files.close)
            self._fetch = self._fetcher(disk)
            undo.pop_all()

    def __enter__(self) -> Self:
        """Give the disk."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its files."""
        self._files.close()

    def read(self, offset: int, length: int) -> bytes:
        """Give exactly `length` bytes at `offset`, all of which must be on the disk.

        Raises `DamagedInputError` for data that cannot be unpacked, or is not there any more;
        `ConversionError` ``source-read-failed``.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise ValueError(f"{length} bytes at {offset} are not on a disk of {self.size}")
        data = bytearray()
        while len(data) < length:
            data += self._fetch(offset + len(data), length - len(data))
        return bytes(data)

    def _fetcher(self, disk: SourceDisk) -> Fetch:
        data = plain_data(disk)
        if data is not None:
            return _plain(self._files.enter_context(Reader(data, name=disk.label)))
        if disk.extents:
            return self._files.enter_context(_Extents(disk)).fetch
        reader = self._files.enter_context(Reader(disk.file, name=disk.label))
        return _FETCHERS[disk.format](reader)


def _plain(reader: Reader) -> Fetch:
    """Give how to read what is stored as it is; it may end within a sector."""

    def fetch(offset: int, length: int) -> bytes:
        there = min(length, reader.length - offset)
        return reader.read(offset, there) if there > 0 else bytes(length)

    return fetch


class _Extents:
    """A VMDK in several files, of which one is open at a time: there may be thousands."""

    def __init__(self, disk: SourceDisk) -> None:
        self._disk = disk
        sizes = (extent.sectors * SECTOR for extent in disk.extents)
        self._starts = [0, *accumulate(sizes)]
        self._files = ExitStack()
        self._opened: tuple[int, Fetch] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    def fetch(self, offset: int, length: int) -> bytes:
        number = bisect_right(self._starts, offset) - 1
        inside = offset - self._starts[number]
        length = min(length, self._starts[number + 1] - offset)
        file = self._disk.extents[number].file
        if file is None:
            return bytes(length)
        if self._opened is None or self._opened[0] != number:
            self._files.close()
            self._opened = number, self._open(self._disk.extents[number], file)
        return self._opened[1](inside, length)

    def _open(self, extent: Extent, file: ByteRange) -> Fetch:
        name = f"{self._disk.label}: {file.path.name}"
        if extent.kind == "SPARSE":
            return grains.fetcher(self._files.enter_context(Reader(file, name=name)))
        data = file.part(extent.file_offset, extent.sectors * SECTOR)
        return self._files.enter_context(Reader(data, name=name)).read
