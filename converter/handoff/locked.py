"""Directories that one process holds: by flock(2) on a file in them, which ends with the process.

A directory without a holder was left by a run that was killed, and may be cleared away.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

# Not a name that anybody else would choose: directories that have it may be swept away.
LOCK: Final = ".converter-lock"


def hold(directory: Path) -> int | None:
    """Make `directory`, unless it is there, and hold it.

    Gives the lock's file descriptor, None when another process holds it. Raises `OSError` when it
    cannot be made, or is a link or somebody else's.
    """
    while True:
        _make(directory)
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            lock = os.open(directory / LOCK, flags, 0o600)
        except FileNotFoundError:
            continue  # its last holder removed it just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            if error.errno == errno.EWOULDBLOCK:
                return None
            raise
        if is_current(lock, directory):
            return lock
        os.close(lock)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        # What is in it will be removed: never follow a link, never take what is not ours.
        with contextlib.suppress(FileNotFoundError):
            if not is_ours(directory):
                raise NotADirectoryError(
                    errno.ENOTDIR, "is in the way: not a directory of this user", str(directory)
                ) from None
            if not (directory / LOCK).exists() and any(directory.iterdir()):
                raise FileExistsError(
                    errno.EEXIST, "is in the way: converter did not make it", str(directory)
                ) from None


def is_ours(directory: Path) -> bool:
    """Tell whether `directory` is one, not a link, and belongs to this user."""
    found = directory.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def is_current(lock: int, directory: Path) -> bool:
    """Tell whether the held directory still is where it was made."""
    try:
        return os.path.samestat((directory / LOCK).lstat(), os.fstat(lock))
    except FileNotFoundError:
        return False


def clear(directory: Path) -> None:
    """Remove everything in `directory` but its lock."""
    for child in directory.iterdir():
        if child.name == LOCK:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def remove(directory: Path, lock: int) -> None:
    """Remove a held directory and let go of it.

    The lock goes last: until then nobody else makes anything here that would be removed with it.
    What cannot be removed is left to the next run.
    """
    with contextlib.suppress(OSError):
        clear(directory)
        (directory / LOCK).unlink()
        directory.rmdir()
    os.close(lock)
