"""Apply a plan: do to a guest what was recorded, refusing what changed since planning.

Each change first checks that what it replaces is what the plan saw (by digest), then keeps the
original, then writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.errors import GuestError
from converter.guest.protocol import Code
from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    FileKind,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    RemoveFile,
    WriteFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.guest.protocol import Guest
    from converter.model import Change, FileChange, Plan


def replay(plan: Plan, guest: Guest, *, progress: Callable[[float], None]) -> None:
    """Do every change of `plan` to the files of `guest`, in order; the disks are left alone.

    Raises `GuestError` ``plan-outdated`` when a file is not what it was when the plan was made.
    """
    for number, change in enumerate(plan.changes, start=1):
        _apply(change, guest)
        progress(number / len(plan.changes))


def _apply(change: Change, guest: Guest) -> None:
    if isinstance(change, ConvertTable | InstallPackage):
        # `disk.apply`, when no appliance holds the disk; `guest.packages`, when all files are in.
        return
    _check(change, guest)
    match change:
        case WriteFile():
            _keep(guest, change.path, change.backup)
            guest.write(
                change.path,
                change.data,
                mode=change.mode,
                uid=change.uid,
                gid=change.gid,
                attributes=change.attributes,
            )
        case AppendFile():
            _keep(guest, change.path, change.backup)
            guest.append(change.path, change.data)
        case RemoveFile():
            _keep(guest, change.path, change.backup)
            guest.remove(change.path)
        case MakeLink():
            guest.symlink(change.target, change.path)
            guest.set_attributes(change.path, change.attributes)
        case MakeDirectory():
            guest.mkdir(change.path, mode=change.mode)
            guest.set_attributes(change.path, change.attributes)
        case CopyFile():
            _expect(change.source, _identity(guest, change.source), change.digest)
            _keep(guest, change.path, change.backup)
            guest.copy(change.source, change.path)


def _check(change: FileChange, guest: Guest) -> None:
    """Refuse a change whose path does not hold what the plan saw there."""
    expected = None if isinstance(change, MakeDirectory) else change.before
    if isinstance(change, MakeLink) and expected is not None:
        expected = f"-> {expected}"
    _expect(change.path, _identity(guest, change.path), expected)


def _expect(path: str, found: str | None, expected: str | None) -> None:
    if found != expected:
        raise GuestError(
            "plan-outdated",
            f"{path}: changed since the plan was made"
            f" (found {found or 'nothing'}, expected {expected or 'nothing'})",
            hint="the disk was written meanwhile; start again",
        )


def _identity(guest: Guest, path: str) -> str | None:
    """Give what is at `path` itself: a digest, `-> target`, "directory", or None for nothing."""
    stat = guest.lstat(path)
    if stat is None:
        return None
    if stat.kind is FileKind.FILE:
        return guest.digest(path)
    if stat.kind is FileKind.SYMLINK:
        return f"-> {guest.readlink(path)}"
    return stat.kind.value


def _keep(guest: Guest, path: str, backup: str | None) -> None:
    if backup is None:
        return
    if guest.lstat(backup) is not None:
        raise GuestError(Code.FAILED, f"{backup}: is there already, the original cannot be kept")
    guest.copy(path, backup)
