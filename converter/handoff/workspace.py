"""Private directories for work in progress, and publishing what came of it.

`Workspace` is a directory `.NAME.partial` beside the final files, on their filesystem, so that
publishing is a rename. It is held by a lock (flock(2)) that ends with the process: a run that was
killed leaves a directory without a holder, and the next run clears it away.

Several files cannot be renamed at once. The manifest goes last: a set without one is not whole.
Should a machine stop between the first rename and the last, the journal in the directory tells the
next run which files to take back.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from converter.errors import ConversionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOCK: Final = "lock"
_JOURNAL: Final = "publishing.json"
_PREFIX: Final = "converter-"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Workspace:
    """The staging directory of one conversion: a context manager that leaves nothing behind."""

    def __init__(self, output: Path, name: str) -> None:
        """Prepare to publish `NAME.*` in `output`, which is made if it is not there."""
        # QEMU takes a relative backing file as one beside the overlay.
        self.output = output.absolute()
        self.name = name
        self.directory = self.output / f".{name}.partial"
        self.work = self.directory / "work"
        self._lock = -1

    def __enter__(self) -> Self:
        """Take the name.

        Raises `UsageError` ``output-exists`` when a final name is taken, ``output-busy`` when
        another run is making it, ``output-unusable`` when the directory cannot be written.
        """
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            self._lock = _take(self.directory)
            _take_back(self.directory, self.output)
            _clear(self.directory)
            self.work.mkdir(mode=0o700)
        except OSError as error:
            raise UsageError(
                "output-unusable",
                f"{self.output}: {error.strerror}",
                hint="give a directory that can be written with -o",
            ) from error
        for suffix in (".raw", ".manifest.json", ".report.html"):
            self._refuse_existing(f"{self.name}{suffix}")
        return self

    def _refuse_existing(self, final: str) -> None:
        path = self.output / final
        if os.path.lexists(path):
            self._close()
            raise UsageError(
                "output-exists",
                f"{path} exists already",
                hint="remove it, or choose another name with --name",
            )

    def __exit__(self, *_: object) -> None:
        """Remove the directory with all that was not published."""
        self._close()

    def _close(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)

    def staged(self, final: str) -> Path:
        """Give where the file that is to be called `final` is made."""
        return self.directory / final

    def publish(self, finals: Sequence[str]) -> None:
        """Give the staged files their final names, the last of them as the mark of a whole set.

        Either all are there afterwards or, after an error, none. Signals wait meanwhile.
        """
        for final in finals:
            _sync(self.staged(final))
        inodes = {final: self.staged(final).stat().st_ino for final in finals}
        journal = self.directory / _JOURNAL
        journal.write_text(json.dumps({"finals": inodes, "last": finals[-1]}), encoding="utf-8")
        _sync(journal)
        _sync(self.directory)
        with _signals_deferred():
            try:
                for final in finals:
                    # A link, unlike a rename, never replaces what somebody else put there.
                    os.link(self.staged(final), self.output / final)
            except OSError as error:
                _take_back(self.directory, self.output)
                raise ConversionError(
                    "publish-failed", f"{self.output / final}: {error.strerror}"
                ) from error
            journal.unlink()
            _sync(self.output)


def _take(directory: Path) -> int:
    """Make `directory` and hold its lock; gives the lock's file descriptor."""
    while True:
        directory.mkdir(mode=0o700, exist_ok=True)
        try:
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # its last holder removed it just now
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise UsageError(
                "output-busy",
                f"{directory}: another conversion is making this image",
                hint="wait for it, or choose another name with --name",
            ) from None
        if _is_current(lock, directory / _LOCK):
            return lock
        os.close(lock)


def _is_current(lock: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(lock).st_ino
    except FileNotFoundError:
        return False


def _clear(directory: Path) -> None:
    """Remove everything of a run that ended without cleaning up, but the lock that is held."""
    for child in directory.iterdir():
        if child.name == _LOCK:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


def _take_back(directory: Path, output: Path) -> None:
    """Undo a publication that did not get to its last file: remove what it had published."""
    try:
        journal = json.loads((directory / _JOURNAL).read_bytes())
    except (FileNotFoundError, ValueError):
        return
    finals: dict[str, int] = journal["finals"]
    if _has_inode(output / journal["last"], finals[journal["last"]]):
        return  # it was whole; only the clearing away was missing
    for final, inode in finals.items():
        if _has_inode(output / final, inode):
            (output / final).unlink()


def _has_inode(path: Path, inode: int) -> bool:
    try:
        return path.lstat().st_ino == inode
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    """Have the kernel write a file or a directory's entries to the disk (fsync(2))."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _signals_deferred() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """Give a private temporary directory, removed at the end.

    What killed runs of the same user left is removed first: a directory whose lock nobody holds.
    """
    base = Path(tempfile.gettempdir())
    _sweep(base)
    directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=base))
    lock = _take(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(lock)


def _sweep(base: Path) -> None:
    for directory in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, UsageError):
            found = directory.lstat()
            # Never what is somebody else's or a link; a directory just made has no lock yet.
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if not ours or not (directory / _LOCK).is_file():
                continue
            lock = _take(directory)
            shutil.rmtree(directory, ignore_errors=True)
            os.close(lock)
