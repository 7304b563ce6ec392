"""Giving several files their final names: all of them, or none.

Several files cannot be renamed at once. The last of them marks a whole set, and is placed when the
others are safely on the disk. Should a machine stop in between, the journal beside the staged files
tells the next run what to take back.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final

import msgspec

from converter.errors import writing_failed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_JOURNAL: Final = ".journal"
# Holds the name that an empty file reserves until the rename: it is taken back too.
_RESERVING: Final = ".reserving"
# What FAT and exFAT, VirtualBox and SMB shares say of what they do not have: links of either kind,
# and fsync(2) of directories.
UNSUPPORTED: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


class _Identity(msgspec.Struct, frozen=True):
    """What tells one file from another that came to be under the same name."""

    inode: int
    size: int
    modified: int


class _Journal(msgspec.Struct):
    """What was to be published, in order."""

    finals: dict[str, _Identity]


def prepare(staging: Path, finals: Sequence[str]) -> None:
    """Have the files `finals` of `staging` on the disk, and what is to become of them.

    Raises `ConversionError` ``publish-failed``, `HostError` ``disk-full``.
    """
    try:
        for final in finals:
            _sync(staging / final)
        journal = _Journal({final: _identity(staging / final) for final in finals})
        (staging / _JOURNAL).write_bytes(msgspec.json.encode(journal))
        _sync(staging / _JOURNAL)
        _sync(staging)
    except OSError as error:
        raise writing_failed(staging, error, code="publish-failed") from error


def publish(staging: Path, output: Path, finals: Sequence[str]) -> None:
    """Give the files `finals` of `staging` the same names in `output`, the last as the mark.

    They must be prepared, and signals wait. Either all are there afterwards or, after an error,
    none; nothing of others is replaced. Raises as `prepare` does.
    """
    at = staging
    try:
        try:
            for final in finals:
                at = output / final
                if final == finals[-1]:
                    _sync(output)
                _place(staging / final, at)
            _sync(output)
        except OSError:
            take_back(staging, output, even_whole=True)
            raise
    except OSError as error:
        raise writing_failed(at, error, code="publish-failed") from error


def _place(staged: Path, final: Path) -> None:
    """Give `staged` the name `final`, which must be free."""
    try:
        # A link, unlike a rename, never replaces what somebody else put there.
        os.link(staged, final)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        _rename(staged, final)


def _rename(staged: Path, final: Path) -> None:
    (staged.parent / _RESERVING).write_text(final.name, encoding="utf-8")
    os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
    try:
        staged.replace(final)
    except OSError:
        final.unlink()
        raise


def take_back(staging: Path, output: Path, *, even_whole: bool) -> None:
    """Undo a publication; one that got to its last file is undone only if `even_whole`.

    Nothing happens without a publication, or to files that are not those that were published.
    """
    try:
        journal = msgspec.json.decode((staging / _JOURNAL).read_bytes(), type=_Journal)
    except (FileNotFoundError, msgspec.DecodeError):
        return  # cut short: then nothing was published by it
    finals = journal.finals
    last = next(reversed(finals))
    if even_whole or not _is(output / last, finals[last]):
        for final in reversed(finals):
            if _is(output / final, finals[final]):
                (output / final).unlink()
        if not even_whole:
            _take_back_reserved(staging, output)
        _sync(output)
    # From here on the inodes may come to be other files'.
    (staging / _JOURNAL).unlink()


def forget(staging: Path) -> None:
    """End a publication: it is not taken back any more."""
    (staging / _JOURNAL).unlink(missing_ok=True)


def _take_back_reserved(staging: Path, output: Path) -> None:
    """Remove the empty file that a killed run left for the name it was about to give."""
    try:
        final = (staging / _RESERVING).read_text(encoding="utf-8")
        found = (output / final).lstat()
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_size == 0 and (staging / final).exists():
        (output / final).unlink()


def _identity(path: Path) -> _Identity:
    found = path.lstat()
    return _Identity(found.st_ino, found.st_size, found.st_mtime_ns)


def _is(path: Path, identity: _Identity) -> bool:
    try:
        return _identity(path) == identity
    except FileNotFoundError:
        return False


def _sync(path: Path) -> None:
    """Have the kernel write a file or a directory's entries to the disk (fsync(2)).

    There are directories of which it cannot be asked: VirtualBox' shares say EINVAL, and one that
    may be written, but not read, cannot be opened.
    """
    is_directory = path.is_dir()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        if is_directory:
            return
        raise
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not is_directory or error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)
