"""Copying a source disk to a sparse raw image, in the background.

The copy runs beside everything else: it reads the source only, and a source that is damaged
anywhere is found out here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from converter.confinement import Confinement, linked
from converter.errors import writing_failed
from converter.model import DiskFormat
from converter.parallel import each
from converter.source import grains, qemu_img, sparse, vdi, vhd, vhdx
from converter.source.complaints import judged
from converter.source.job import Job
from converter.source.overlay import filename, node, padded, plain_data
from converter.source.reader import Reader
from converter.source.stretch import Stretch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from converter.model import ByteRange, SourceDisk

    # Where it is on the disk, where in the file, and how long it is.
    _Piece = tuple[int, int, int]

_PIECE: Final = 1 << 20
_AHEAD: Final = 8
# Formats that keep data as they are, where that is not one stretch of their file.
_STRETCHES: Final[dict[DiskFormat, Callable[[Reader], Iterator[Stretch]]]] = {
    DiskFormat.VMDK: grains.stretches,
    DiskFormat.VHD: vhd.stretches,
    DiskFormat.VHDX: vhdx.stretches,
    DiskFormat.VDI: vdi.stretches,
}


class CopyJob(Job):
    """The copy of one disk to `target`."""

    def __init__(
        self,
        disk: SourceDisk,
        target: Path,
        *,
        directory: Path,
        progress: Callable[[float], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it; `directory` holds the links that QEMU is given, `progress` gets 0 to 1."""
        super().__init__(f"copy-{target.name}", on_failure=on_failure)
        self._disk = disk
        self._target = target.absolute()
        self._plain = plain_data(disk)
        self._layers = filename(node(disk, directory))
        self._confinement = Confinement(read=linked(directory), written=(self._target,))
        self._progress = progress
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def target(self) -> Path:
        """What it is copied to."""
        return self._target

    def cancel(self) -> None:
        """See `Job`."""
        self._cancelled.set()
        if self._child is not None:
            self._child.kill()
        super().cancel()

    def _work(self) -> None:
        try:
            self._copy()
        except OSError as error:
            raise writing_failed(self._target, error, code="copy-failed") from error

    def _copy(self) -> None:
        if self._plain is not None:
            self._copy_plain(self._plain)
        elif self._disk.subformat == "streamOptimized":
            self._unpack_grains()
        elif self._disk.format in _STRETCHES and not self._disk.extents:
            self._copy_stretches(_STRETCHES[self._disk.format])
        else:
            self._convert()
        if not self.is_cancelled():
            # QEMU leaves a size that is no whole number of sectors to its caller.
            os.truncate(self._target, padded(self._disk.virtual_size))
            self._progress(1.0)

    def _copy_plain(self, data: ByteRange) -> None:
        """Copy what cannot be shared."""
        with Reader(data, name=self._disk.label) as source, self._target.open("wb") as out:
            done = source.share(out.fileno())
            self._copy_data(source, out, [Stretch(done, data.length - done, done)])

    def _copy_stretches(self, stretches: Callable[[Reader], Iterable[Stretch]]) -> None:
        data = Reader(self._disk.file, name=self._disk.label)
        with data as source, self._target.open("wb") as out:
            self._copy_data(source, out, stretches(source))

    def _copy_data(self, source: Reader, out: IO[bytes], stretches: Iterable[Stretch]) -> None:
        """Copy what is not a hole or zero."""

        def copy(run: Sequence[_Piece]) -> None:
            for offset, place, length in run:
                sparse.write(out.fileno(), source.read(place, length), offset)

        runs = _runs(_pieces(source, stretches))
        for run, _ in each(copy, runs, ahead=_AHEAD, is_cancelled=self.is_cancelled):
            self._progress(run[0][0] / self._disk.virtual_size)

    def _unpack_grains(self) -> None:
        with self._target.open("wb") as out:
            grains.unpack(
                self._disk,
                out.fileno(),
                progress=self._progress,
                is_cancelled=self.is_cancelled,
            )

    def _convert(self) -> None:
        status, said = qemu_img.convert(
            ("-W", "-S", "64k", "-O", "raw"),
            self._layers,
            self._target,
            confinement=self._confinement,
            progress=self._progress,
            started=self._started,
        )
        if status != 0 and not self.is_cancelled():
            raise judged(self._disk.label, self._target, status, said)

    def _started(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self.is_cancelled():  # between the last look and now
            child.kill()


def _pieces(source: Reader, stretches: Iterable[Stretch]) -> Iterator[_Piece]:
    """Cut what is data of stretches that are stored into pieces."""
    for stretch in stretches:
        if stretch.place is None:
            continue
        ahead = stretch.start - stretch.place
        for start, end in source.data(stretch.place, stretch.length):
            for place in range(start, end, _PIECE):
                yield place + ahead, place, min(_PIECE, end - place)


def _runs(pieces: Iterable[_Piece]) -> Iterator[Sequence[_Piece]]:
    """Put small pieces together: so many that it is worth to hand them to a thread."""
    run: list[_Piece] = []
    length = 0
    for piece in pieces:
        run.append(piece)
        length += piece[2]
        if length >= _PIECE:
            yield run
            run, length = [], 0
    if run:
        yield run
