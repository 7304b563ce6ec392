"""Copying a source disk to a sparse raw image, in the background; and laying the changes over it.

The copy runs beside everything else: it reads the source only, and a source that is damaged
anywhere is found out here.
"""

from __future__ import annotations

import errno
import os
import re
import threading
from typing import TYPE_CHECKING, Final

from converter import process
from converter.errors import ConversionError, DamagedInputError, HostError
from converter.model import DiskFormat
from converter.source import grains
from converter.source.overlay import filename, node, padded

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from converter.model import SourceDisk

_PIECE: Final = 1 << 20
_ZEROS: Final = bytes(_PIECE)
_PERCENT: Final = re.compile(rb"\((\d+\.\d+)/100%\)")


class CopyJob:
    """The copy of one disk to `target`, on a thread of its own."""

    def __init__(
        self,
        disk: SourceDisk,
        target: Path,
        *,
        directory: Path,
        progress: Callable[[float], None],
    ) -> None:
        """Prepare it; `directory` holds the links that QEMU is given, `progress` gets 0 to 1."""
        self._disk = disk
        self._target = target
        self._directory = directory
        self._progress = progress
        self._cancelled = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"copy-{target.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop within a second, if it still runs; a failure is not raised any more."""
        self._cancelled.set()
        if self._child is not None:
            self._child.kill()
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self) -> None:
        """Wait for the end; raises what went wrong."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error so far."""
        return self._failure is not None

    def _run(self) -> None:
        try:
            self._copy()
        except OSError as error:
            self._failure = _translated(self._target, error)
        except Exception as error:  # noqa: BLE001 - kept, and raised by wait()
            self._failure = error

    def _copy(self) -> None:
        if self._disk.format is DiskFormat.RAW:
            self._copy_raw()
        elif self._disk.subformat == "streamOptimized":
            self._unpack_grains()
        else:
            self._convert()
        if not self._cancelled.is_set():
            # QEMU leaves a size that is no whole number of sectors to its caller.
            os.truncate(self._target, padded(self._disk.virtual_size))
            self._progress(1.0)

    def _copy_raw(self) -> None:
        """Copy what is not a hole or zero."""
        size = self._disk.virtual_size
        with self._disk.file.path.open("rb", buffering=0) as source, self._target.open("wb") as out:
            for start, end in _data(source.fileno(), self._disk.file.offset, size):
                for offset in range(start, end, _PIECE):
                    if self._cancelled.is_set():
                        return
                    at = self._disk.file.offset + offset
                    piece = os.pread(source.fileno(), min(_PIECE, end - offset), at)
                    if piece != _ZEROS[: len(piece)]:
                        os.pwrite(out.fileno(), piece, offset)
                    self._progress(offset / size)

    def _unpack_grains(self) -> None:
        with self._target.open("wb") as out:
            out.truncate(padded(self._disk.virtual_size))
            grains.unpack(
                self._disk,
                out.fileno(),
                progress=self._progress,
                is_cancelled=self._cancelled.is_set,
            )

    def _convert(self) -> None:
        """Have qemu-img copy it; its progress comes on stdout as `(12.34/100%)`."""
        layers = filename(node(self._disk, self._directory))
        argv = ["qemu-img", "convert", "-p", "-W", "-S", "64k", "-O", "raw", layers]
        with process.start([*argv, str(self._target)]) as child:
            self._child = child
            while child.stdout and (piece := os.read(child.stdout.fileno(), 4096)):
                for match in _PERCENT.finditer(piece):
                    self._progress(float(match[1]) / 100)
            said = child.stderr.read().decode("utf-8", "replace").strip() if child.stderr else ""
        if child.returncode != 0 and not self._cancelled.is_set():
            raise _judged(self._disk, said)


def _data(descriptor: int, base: int, size: int) -> list[tuple[int, int]]:
    """Give the stretches of data in `size` bytes from `base` on, relative to it (lseek(2))."""
    found = []
    position, end = base, base + size
    while position < end:
        try:
            start = os.lseek(descriptor, position, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            return [(0, size)]  # a device or filesystem that has no map
        position = min(os.lseek(descriptor, start, os.SEEK_HOLE), end)
        if start < end:
            found.append((start - base, position - base))
    return found


def _translated(target: Path, error: OSError) -> ConversionError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _disk_full(target, str(error.strerror))
    return ConversionError("copy-failed", f"copying to {target} failed: {error}")


def _disk_full(target: Path, said: str) -> HostError:
    return HostError(
        "disk-full", f"{target}: {said}", hint="free some space, or choose another output directory"
    )


def _judged(disk: SourceDisk, said: str) -> ConversionError:
    """Tell what qemu-img's complaint means."""
    if "No space left" in said:
        return _disk_full(disk.file.path, said)
    return DamagedInputError(
        "source-damaged",
        f"{disk.file.path}: {said}",
        hint="copy it again from where it was exported to, or export it again",
    )


def lay_over(overlay: Path, base: Path) -> None:
    """Write what changed in `overlay` onto the raw image `base`, a copy of the overlay's source.

    Nothing else may have the overlay open. The overlay is used up by this.
    """
    process.run(
        ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "raw", "-b", str(base), str(overlay)]
    )
    process.run(["qemu-img", "commit", "-q", "-d", "-f", "qcow2", str(overlay)])
