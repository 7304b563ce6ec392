"""Copying a source disk to a sparse raw image, in the background.

The copy runs beside everything else: it reads the source only, and a source that is damaged
anywhere is found out here.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final

from converter.confinement import Confinement, linked
from converter.errors import writing_failed
from converter.parallel import each
from converter.source import grains, qemu_img, sparse
from converter.source.complaints import judged
from converter.source.overlay import filename, node, padded, plain_data
from converter.source.reader import Reader

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from converter.model import ByteRange, SourceDisk

_PIECE: Final = 1 << 20
_AHEAD: Final = 8


class CopyJob:
    """The copy of one disk to `target`, on a thread of its own."""

    def __init__(
        self,
        disk: SourceDisk,
        target: Path,
        *,
        directory: Path,
        progress: Callable[[float], None],
        on_failure: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it; `directory` holds the links that QEMU is given, `progress` gets 0 to 1.

        `on_failure` is called, on the copy's thread, when it has failed.
        """
        self._disk = disk
        self._target = target.absolute()
        self._plain = plain_data(disk)
        self._layers = filename(node(disk, directory))
        self._confinement = Confinement(read=linked(directory), written=(self._target,))
        self._progress = progress
        self._on_failure = on_failure
        self._cancelled = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"copy-{target.name}", daemon=True)

    @property
    def target(self) -> Path:
        """What it is copied to."""
        return self._target

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop within a second, if it still runs; a failure is not raised any more."""
        self._cancelled.set()
        if self._child is not None:
            self._child.kill()
        # A signal may have come while it was being started: then it sees by itself that it is over.
        if self._thread.is_alive():
            self._thread.join()

    def wait(self) -> None:
        """Wait for the end; raises what went wrong."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def is_cancelled(self) -> bool:
        """Whether it was told to stop."""
        return self._cancelled.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error so far."""
        return self._failure is not None

    def _run(self) -> None:
        if self.is_cancelled:
            return
        try:
            self._copy()
        except OSError as error:
            self._failure = writing_failed(self._target, error, code="copy-failed")
        except Exception as error:  # noqa: BLE001 - kept, and raised by wait()
            self._failure = error
        if self._failure is not None and not self.is_cancelled:
            self._on_failure()

    def _copy(self) -> None:
        if self._plain is not None:
            self._copy_plain(self._plain)
        elif self._disk.subformat == "streamOptimized":
            self._unpack_grains()
        else:
            self._convert()
        if not self._cancelled.is_set():
            # QEMU leaves a size that is no whole number of sectors to its caller.
            os.truncate(self._target, padded(self._disk.virtual_size))
            self._progress(1.0)

    def _copy_plain(self, data: ByteRange) -> None:
        """Copy what is not a hole or zero, unless it can be shared."""
        with Reader(data, name=self._disk.label) as source, self._target.open("wb") as out:

            def copy(piece: tuple[int, int]) -> None:
                offset, length = piece
                sparse.write(out.fileno(), source.read(offset, length), offset)

            done = source.share(out.fileno())
            pieces = _pieces(source.data(done, data.length - done))
            is_cancelled = self._cancelled.is_set
            for (offset, _), _ in each(copy, pieces, ahead=_AHEAD, is_cancelled=is_cancelled):
                self._progress(offset / data.length)

    def _unpack_grains(self) -> None:
        with self._target.open("wb") as out:
            grains.unpack(
                self._disk,
                out.fileno(),
                progress=self._progress,
                is_cancelled=self._cancelled.is_set,
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
        if status != 0 and not self._cancelled.is_set():
            raise judged(self._disk.label, self._target, status, said)

    def _started(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        if self._cancelled.is_set():  # between the last look and now
            child.kill()


def _pieces(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Cut stretches (start, end) into pieces (offset, length)."""
    for start, end in stretches:
        for offset in range(start, end, _PIECE):
            yield offset, min(_PIECE, end - offset)
