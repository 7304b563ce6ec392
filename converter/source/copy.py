"""Copying a source disk to a sparse raw image, in the background.

The copy runs beside everything else: it reads the source only, and a source that is damaged
anywhere is found out here.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.errors import writing_failed
from converter.model import DiskFormat
from converter.parallel import each
from converter.source import grains, qcow2, sparse, vdi, vhd, vhdx
from converter.source.job import Job
from converter.source.overlay import SECTOR, padded, plain_data
from converter.source.reader import Reader
from converter.source.stretch import Packed, Stretch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from converter.model import ByteRange, Extent, SourceDisk

    # Where it is on the disk, how long it is, and what gives it.
    _Piece = tuple[int, int, Callable[[], bytes]]
    _Contents = Iterable[Stretch | Packed]

_PIECE: Final = 1 << 20
# What a thread is given at once, in pieces.
_RUN: Final = 4 << 20
_AHEAD: Final = 8
# What a file holds of a disk, where that is more than one stretch of plain data.
_CONTENTS: Final[dict[DiskFormat, Callable[[Reader], _Contents]]] = {
    DiskFormat.VMDK: grains.contents,
    DiskFormat.VHD: vhd.contents,
    DiskFormat.VHDX: vhdx.contents,
    DiskFormat.QCOW2: qcow2.contents,
    DiskFormat.VDI: vdi.contents,
}


class CopyJob(Job):
    """The copy of one disk to `target`."""

    def __init__(
        self,
        disk: SourceDisk,
        target: Path,
        *,
        progress: Callable[[float], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it; `progress` gets 0 to 1."""
        super().__init__(f"copy-{target.name}", on_failure=on_failure)
        self._disk = disk
        self._target = target
        self._progress = progress

    @property
    def target(self) -> Path:
        """What it is copied to."""
        return self._target

    def _work(self) -> None:
        try:
            with self._target.open("wb") as out, suppress(_CancelledError):
                self._copy(out)
        except OSError as error:
            raise writing_failed(self._target, error, code="copy-failed") from error

    def _copy(self, out: IO[bytes]) -> None:
        disk, plain = self._disk, plain_data(self._disk)
        if plain is not None:
            self._copy_plain(out, plain)
        elif disk.extents:
            self._copy_extents(out, disk.extents)
        else:
            with self._opened(disk.file) as source:
                self._copy_file(out, source)
        if not self.is_cancelled():
            out.truncate(padded(disk.virtual_size))
            self._progress(1.0)

    def _copy_file(self, out: IO[bytes], source: Reader) -> None:
        if self._disk.subformat == "streamOptimized":
            grains.unpack(
                source, out.fileno(), progress=self._progress, is_cancelled=self.is_cancelled
            )
        else:
            self._copy_contents(out, source, _CONTENTS[self._disk.format](source))

    def _copy_plain(self, out: IO[bytes], data: ByteRange) -> None:
        """Copy what cannot be shared."""
        with self._opened(data) as source:
            done = source.share(out.fileno())
            self._copy_contents(out, source, [Stretch(done, data.length - done, done)])

    def _copy_extents(self, out: IO[bytes], extents: Iterable[Extent]) -> None:
        """Copy one after the other: there may be thousands."""
        start = 0
        for extent in extents:
            length = extent.sectors * SECTOR
            if extent.file is not None:
                with self._opened(extent.file, f": {extent.file.path.name}") as source:
                    if extent.kind == "SPARSE":
                        contents: _Contents = grains.contents(source)
                    else:
                        contents = [Stretch(0, length, extent.file_offset)]
                    self._copy_contents(out, source, contents, start=start)
            start += length

    def _copy_contents(
        self, out: IO[bytes], source: Reader, contents: _Contents, *, start: int = 0
    ) -> None:
        """Copy what is not a hole or zero, to where `start` is the first byte's place."""

        def copy(run: Sequence[_Piece]) -> None:
            for offset, length, read in run:
                sparse.write(out.fileno(), read()[:length], start + offset)

        runs = _runs(_pieces(source, contents))
        for run, _ in each(copy, runs, ahead=_AHEAD, is_cancelled=self.is_cancelled):
            # What is rounded up to a grain may lie beyond the disk.
            self._progress(min(1.0, (start + run[0][0]) / self._disk.virtual_size))

    def _opened(self, file: ByteRange, which: str = "") -> Reader:
        return _Source(file, name=f"{self._disk.label}{which}", is_cancelled=self.is_cancelled)


class _CancelledError(Exception):
    """Raised where a copy reads that is not wanted any more."""


class _Source(Reader):
    """A file that no machine runs from meanwhile, and that is not read on when that is cancelled.

    There may be hours between two of its blocks: tables that say nothing, or only of zeros.
    """

    def __init__(self, file: ByteRange, *, name: str, is_cancelled: Callable[[], bool]) -> None:
        super().__init__(file, name=name)
        self._is_cancelled = is_cancelled
        self.lock()

    def read(self, offset: int, length: int) -> bytes:
        if self._is_cancelled():
            raise _CancelledError
        return super().read(offset, length)

    def data(self, offset: int, length: int) -> Iterator[tuple[int, int]]:
        if self._is_cancelled():
            raise _CancelledError
        return super().data(offset, length)


def _pieces(source: Reader, contents: _Contents) -> Iterator[_Piece]:
    """Cut what is stored into pieces, without the holes that the file has."""
    for content in contents:
        if isinstance(content, Packed):
            yield content.start, content.length, content.unpack
        elif content.place is not None:
            ahead = content.start - content.place
            for first, end in source.data(content.place, content.length):
                for place in range(first, end, _PIECE):
                    length = min(_PIECE, end - place)
                    yield place + ahead, length, partial(source.read, place, length)


def _runs(pieces: Iterable[_Piece]) -> Iterator[Sequence[_Piece]]:
    """Put pieces together: so many that it is worth to hand them to a thread."""
    run: list[_Piece] = []
    room = _RUN
    for piece in pieces:
        run.append(piece)
        room -= piece[1]
        if room <= 0:
            yield run
            run, room = [], _RUN
    if run:
        yield run
