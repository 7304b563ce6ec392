"""Private directories for work in progress.

`Workspace` is a directory `.NAME.partial` beside the final files, on their filesystem, so that
publishing copies nothing. It is held by a lock that ends with the process: a run that was killed
leaves a directory without a holder, and the next run clears it away.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import unicodedata
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from converter.errors import (
    ConversionError,
    HostError,
    UsageError,
    disk_full,
    is_full,
    writing_failed,
)
from converter.handoff import locked, publication
from converter.handoff.signals import deferred
from converter.source.reader import is_same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType

# What a disk says that is full, was unplugged, or went bad: reads of a source never get here so.
_OF_THE_DISK: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ESTALE, errno.ENXIO,
     errno.ENODEV, errno.ENOTCONN, errno.ETIMEDOUT, errno.EPERM, errno.EACCES}
)  # fmt: skip
_PREFIX: Final = "converter-"
# NAME_MAX is 255 bytes on Linux' filesystems; `.manifest.json` and the like are added to it.
_LONGEST_NAME: Final = 200
_SUFFIXES: Final = (".raw", ".manifest.json", ".report.html")


def check_name(name: str) -> None:
    """Raise `UsageError` ``name-invalid`` unless `name` is good for the files of an image."""
    problem = _name_problem(name)
    if problem:
        raise UsageError(
            "name-invalid",
            f"{name!r} cannot be the name of an image: {problem}",
            hint="give another one (--name, or the file's with export -o)",
        )


def _name_problem(name: str) -> str:
    if not name:
        return "it is empty"
    if name.startswith((".", "-")):
        return f"it begins with {name[0]!r}"
    if "/" in name:
        return "it contains '/'"
    # Control, format and surrogate characters: what cannot be seen, or is no text.
    if any(unicodedata.category(character).startswith("C") for character in name):
        return "it contains characters that cannot be printed"
    if len(name.encode()) > _LONGEST_NAME:
        return f"it is longer than {_LONGEST_NAME} bytes"
    return ""


class Workspace:
    """The staging directory of one conversion: a context manager that leaves nothing behind."""

    def __init__(
        self,
        output: Path,
        name: str,
        *,
        suffixes: Sequence[str] = _SUFFIXES,
        sources: Iterable[Path] = (),
        published: Callable[[], None] | None = None,
    ) -> None:
        """Prepare to publish `NAME` with the `suffixes` in `output`, made if it is not there.

        It is made of the files `sources`, which must not lie where it is made. `published` is
        called when it is published, and nothing takes it back any more.
        """
        check_name(name)
        # QEMU takes a relative backing file as one beside the overlay.
        self.output = output.absolute()
        self.name = name
        self.directory = self.output / f".{name}.partial"
        self.work = self.directory / "work"
        self._lock = -1
        self._suffixes = suffixes
        self._sources = tuple(sources)
        # Directories that were made for the output, and where the work is if it is not here.
        self._made: list[Path] = []
        self._elsewhere = ExitStack()
        self._published = published
        # Signals that come while it is published wait until the directory is left.
        self._publishing = ExitStack()
        self._waiting: list[int] = []

    def __enter__(self) -> Self:
        """Take the name.

        Raises `UsageError` ``output-exists`` when a final name is taken, ``output-busy`` when
        another run is making it, ``output-unusable`` when the directory cannot be written,
        ``source-in-staging`` when that would remove a source.
        """
        with self._translated(), ExitStack() as undo:
            self._refuse_removal()
            self._made = [path for path in (self.output, *self.output.parents) if not path.exists()]
            undo.callback(self._remove_made)
            self.output.mkdir(parents=True, exist_ok=True)
            lock = locked.hold(self.directory)
            if lock is None:
                raise UsageError(
                    "output-busy",
                    f"{self.directory}: another conversion is making this image",
                    hint="wait for it, or choose another name",
                )
            self._lock = lock
            undo.callback(locked.remove, self.directory, lock)
            publication.take_back(self.directory, self.output, even_whole=False)
            locked.clear(self.directory)
            self.work.mkdir(mode=0o700)
            undo.push(self._elsewhere)
            if not _has_links(self.work):
                self.work = self._elsewhere.enter_context(scratch("work"))
            for suffix in self._suffixes:
                self._refuse_taken(f"{self.name}{suffix}")
            undo.pop_all()
        return self

    def _remove_made(self) -> None:
        """Remove the directories that were made, as far as nothing is in them."""
        with contextlib.suppress(OSError):
            for path in self._made:
                path.rmdir()

    def _refuse_removal(self) -> None:
        """Raise `UsageError` for a source in what a killed run left, which is cleared away."""
        for source in self._sources:
            if _real(source).is_relative_to(_real(self.directory)):
                raise UsageError(
                    "source-in-staging",
                    f"{source}: lies in {self.directory}, which is cleared away before an image of"
                    " that name is made",
                    hint="move it to another directory, and give it from there",
                )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            path = Path(error.filename or self.output)
            if is_full(error):
                raise disk_full(path, error.strerror or error) from error
            raise UsageError(
                "output-unusable",
                f"{path}: {error.strerror}",
                hint="move away what is in the way, or give another directory with -o"
                if error.errno in (errno.EEXIST, errno.ENOTDIR)
                else "give a directory that can be written with -o",
            ) from error

    def _refuse_taken(self, final: str) -> None:
        path = self.output / final
        if not os.path.lexists(path):
            return
        is_source = any(is_same(path, source) for source in self._sources)
        raise UsageError(
            "output-exists",
            f"{path} {'is the source itself' if is_source else 'exists already'}",
            hint="choose another name, or another directory"
            if is_source or path.is_dir()
            else "choose another name, or another directory; or remove it, if it is not needed",
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the directory with all that was not published.

        What was published is taken back when the block ends with an error: it may be that somebody
        interrupted it a moment too late. Raises `ConversionError` ``output-lost`` when it ends so
        because the directory was taken away, ``output-failed`` for an `OSError` of its disk's,
        `HostError` ``disk-full``.
        """
        with self._publishing, self._elsewhere:
            lost = self._is_lost()
            translated = self._explained(error, lost=lost) if isinstance(error, Exception) else None
            if lost:
                os.close(self._lock)  # what has come to be in its place is another's
            else:
                self._leave(kind)
            if kind is not None:
                self._remove_made()
        if translated is not None:
            raise translated from error

    def _is_lost(self) -> bool:
        try:
            return not locked.is_current(self._lock, self.directory)
        except OSError:
            return False  # it cannot be told

    def _explained(self, error: Exception, *, lost: bool) -> ConversionError | None:
        """Say what it means when work fails here, None when that is not this directory's fault."""
        if lost:
            return ConversionError(
                "output-lost",
                f"{self.directory}: was removed, or moved, while an image was made in it",
                hint="convert again, and leave the output directory alone meanwhile",
            )
        if isinstance(error, OSError) and error.errno in _OF_THE_DISK:
            at = Path(error.filename or self.directory)
            return writing_failed(at, error, code="output-failed")
        return None

    def _leave(self, kind: type[BaseException] | None) -> None:
        with deferred() as waiting:
            with contextlib.suppress(OSError):
                if kind is None:
                    publication.forget(self.directory)
                else:
                    publication.take_back(self.directory, self.output, even_whole=True)
            locked.remove(self.directory, self._lock)
            if kind is None:
                # It is done: there is nothing left to interrupt.
                waiting.clear()
                self._waiting.clear()
                if self._published is not None:
                    self._published()

    def staged(self, final: str) -> Path:
        """Give where the file that is to be called `final` is made.

        Raises `UsageError` ``output-exists`` when that name is taken.
        """
        self._refuse_taken(final)
        return self.directory / final

    def write(self, final: str, data: bytes) -> None:
        """Make the file that is to be called `final` with the content `data`."""
        path = self.directory / final
        try:
            path.write_bytes(data)
        except OSError as error:
            raise writing_failed(path, error, code="publish-failed") from error

    def publish(self, finals: Sequence[str]) -> None:
        """Give the staged files their final names, the last of them as the mark of a whole set.

        Either all are there afterwards or, after an error, none.
        """
        publication.prepare(self.directory, finals)
        self._waiting = self._publishing.enter_context(deferred())
        publication.publish(self.directory, self.output, finals)


def _real(path: Path) -> Path:
    """Follow links, as far as they lead anywhere: Path.resolve() raises RuntimeError for a loop."""
    return Path(os.path.realpath(path))


def _has_links(directory: Path) -> bool:
    """Tell whether there are symlinks: QEMU is given files by those. FAT and SMB have none."""
    link = directory / "link"
    try:
        link.symlink_to("nowhere")
    except OSError as error:
        if error.errno in publication.UNSUPPORTED:
            return False
        raise
    link.unlink()
    return True


@contextmanager
def scratch(purpose: str) -> Iterator[Path]:
    """Give a private temporary directory, removed at the end.

    What killed runs of the same user left is removed first. Raises `HostError`
    ``scratch-unusable`` when there is no place for it.
    """
    try:
        base = Path(tempfile.gettempdir())
        _sweep(base)
        directory, lock = _make(base, purpose)
    except OSError as error:
        raise _unusable(error) from error
    try:
        yield directory
    finally:
        with deferred():
            locked.remove(directory, lock)


def _make(base: Path, purpose: str) -> tuple[Path, int]:
    while True:
        directory = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-", dir=base))
        lock = locked.hold(directory)
        if lock is not None:
            return directory, lock
        # Another run was sweeping, and took it for a left one before it was held.


def _sweep(base: Path) -> None:
    for directory in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            # A directory just made has no lock yet; one that never had is not ours.
            if locked.is_ours(directory) and (directory / locked.LOCK).is_file():
                lock = locked.hold(directory)
                if lock is not None:
                    locked.remove(directory, lock)


def _unusable(error: OSError) -> ConversionError:
    return HostError(
        "scratch-unusable",
        f"no temporary directory can be made: {error.strerror}",
        hint="set TMPDIR to a directory that can be written, on a disk with room",
    )
