"""Filesystems of an injection's own: some that fill up, some that lose what was not synced."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from converter import process

if TYPE_CHECKING:
    from collections.abc import Iterator

# ext4 knows XFS_IOC_GOINGDOWN by this name (EXT4_IOC_SHUTDOWN, fs/ext4/ext4.h): from then on
# nothing is written, not even the journal (XFS_FSOP_GOING_FLAGS_NOLOGFLUSH), as xfstests does it.
_SHUTDOWN = 0x8004587D
_NO_FLUSH = struct.pack("I", 2)
_GET_FLAGS, _SET_FLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """Let what is mounted below `directory`, or no longer, be so in all namespaces made of ours."""
    process.run(["mount", "--bind", str(directory), str(directory)])
    try:
        process.run(["mount", "--make-shared", str(directory)])
        yield
    finally:
        process.run(["umount", str(directory)])


class Tmpfs:
    """A filesystem in memory at `path`; a context manager."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._size = size

    def __enter__(self) -> Self:
        self.path.mkdir(exist_ok=True)
        options = f"size={max(self._size, 1 << 16)}"
        process.run(["mount", "-t", "tmpfs", "-o", options, "torture", str(self.path)])
        return self

    def __exit__(self, *_: object) -> None:
        process.run(["umount", str(self.path)])

    def grow(self, size: int) -> None:
        process.run(["mount", "-o", f"remount,size={size}", str(self.path)])


class Ext4:
    """An ext4 at `path` on a file of `size` bytes, by a loop device; a context manager."""

    def __init__(self, path: Path, size: int) -> None:
        self.path = path
        self._image = path.with_name(f"{path.name}.img")
        self._size = size

    def __enter__(self) -> Self:
        self.path.mkdir()
        with self._image.open("wb") as file:
            file.truncate(self._size)
        process.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(self._image)])
        self._mount()
        (self.path / "lost+found").rmdir()
        return self

    def __exit__(self, *_: object) -> None:
        process.run(["umount", str(self.path)])
        self._image.unlink()

    def _mount(self) -> None:
        process.run(["mount", "-o", "loop", str(self._image), str(self.path)])

    def power_cut(self) -> None:
        """Lose all that is not on the disk; nothing can be read or written until it `returns`."""
        with _opened(self.path) as directory:
            fcntl.ioctl(directory, _SHUTDOWN, _NO_FLUSH)

    def returns(self) -> None:
        """Mount it again, as after a cold start."""
        process.run(["umount", str(self.path)])
        self._mount()


def fill(directory: Path, left: int) -> Path:
    """Fill the filesystem of `directory` but for `left` bytes, and give the file that does."""
    filler = directory / "filler"
    with filler.open("wb", buffering=0) as file:
        while (free := shutil.disk_usage(directory).free - left) > 0:
            try:
                os.posix_fallocate(file.fileno(), filler.stat().st_size, min(free, 4 << 20))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                break
    return filler


def set_immutable(directory: Path, *, immutable: bool) -> None:
    """Let nobody, or again everybody, make and remove anything in `directory` (chattr +i)."""
    with contextlib.suppress(FileNotFoundError), _opened(directory) as descriptor:
        flags = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)))[0]
        flags = flags | _IMMUTABLE if immutable else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", flags))


def left_in(directory: Path) -> list[str]:
    """Give what is mounted below `directory`, and loop devices on files there."""
    mounted = Path("/proc/self/mountinfo").read_text("utf-8").splitlines()
    found = [line.split()[4] for line in mounted if f" {directory}/" in line]
    for device in Path("/sys/block").glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):  # it is just being detached
            backing = device.read_text("utf-8").strip()
            found += [backing] if backing.startswith(f"{directory}/") else []
    return found


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
