"""Apply a plan: do to a guest what was recorded, refusing what changed since planning.

The originals are kept first, all at once. Then each change checks that what it replaces is what the
plan saw (by digest), and writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

from converter.errors import GuestError
from converter.formats import reg_file
from converter.guest.hives import GuestHive, read_whole
from converter.guest.protocol import Code
from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    CopyIn,
    DeleteKey,
    DeleteValue,
    FileKind,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    RemoveFile,
    SetValue,
    WriteFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.formats.registry import Value
    from converter.guest.protocol import Guest
    from converter.model import FileChange, Plan, RegistryChange

    Attributes = tuple[tuple[str, bytes], ...]

_KEEP_NOTHING: Final = (MakeLink, MakeDirectory, ConvertTable, InstallPackage)


def replay(plan: Plan, guest: Guest, *, progress: Callable[[float], None]) -> None:
    """Do every change of `plan` to the files of `guest`, in order; the disks are left alone.

    Raises `GuestError` ``plan-outdated`` when a file is not what it was when the plan was made.
    """
    _keep_originals(plan, guest)
    hives = _Hives(guest)
    attributes: dict[str, Attributes] = {}
    for number, change in enumerate(plan.changes, start=1):
        match change:
            case ConvertTable() | InstallPackage():
                pass  # `disk.apply`, when nothing is mounted; `guest.packages`
            case SetValue() | DeleteValue() | DeleteKey():
                hives.apply(change)
            case _:
                _apply(change, guest)
                _note_attributes(change, attributes)
        progress(number / len(plan.changes))
    guest.set_attributes(attributes)
    hives.write()


def _keep_originals(plan: Plan, guest: Guest) -> None:
    """Keep what changes replace, under the names that the plan has for it."""
    kept: dict[str, str] = {}
    for change in plan.changes:
        if isinstance(change, _KEEP_NOTHING) or change.backup is None:
            continue
        if not isinstance(change, SetValue | DeleteValue | DeleteKey):
            _check(change, guest)
        if guest.lstat(change.backup) is not None:
            raise GuestError(
                Code.FAILED, f"{change.backup}: is there already, the original cannot be kept"
            )
        kept[change.backup] = change.path
    guest.copy(kept)


def _note_attributes(change: FileChange, attributes: dict[str, Attributes]) -> None:
    """Keep what a new name is to have, until all are there: together they are set in no time."""
    match change:
        case WriteFile() | MakeLink() | MakeDirectory() | CopyIn():
            if change.attributes:
                attributes[change.path] = change.attributes
        case RemoveFile():
            attributes.pop(change.path, None)


class _Hives:
    """The hives that are edited: read when the first change comes, written when all are in."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._open: dict[str, GuestHive] = {}

    def apply(self, change: RegistryChange) -> None:
        if change.path not in self._open:
            data = read_whole(self._guest, change.path)
            self._open[change.path] = GuestHive(change.path, data)
        hive = self._open[change.path]
        if not isinstance(change, DeleteKey):
            self._expect(change, hive)
        match change:
            case SetValue():
                hive.set_value(change.key, change.name, change.value)
            case DeleteValue():
                hive.delete_value(change.key, change.name)
            case DeleteKey():
                hive.delete_key(change.key)

    def _expect(self, change: SetValue | DeleteValue, hive: GuestHive) -> None:
        def shown(value: Value | None) -> str:
            return reg_file.shown(change.name, value) if value else "nothing"

        found = hive.value(change.key, change.name)
        if found != change.before:
            what = f"{change.path}: {change.key}: {change.name}"
            _outdated(what, shown(found), shown(change.before))

    def write(self) -> None:
        for path, hive in self._open.items():
            stat = self._guest.lstat(path)
            mode, uid, gid = (stat.mode, stat.uid, stat.gid) if stat else (0o644, 0, 0)
            self._guest.write(path, hive.tobytes(), mode=mode, uid=uid, gid=gid)


def _apply(change: FileChange, guest: Guest) -> None:
    _check(change, guest)
    match change:
        case WriteFile():
            guest.write(
                change.path,
                change.data,
                mode=change.mode,
                uid=change.uid,
                gid=change.gid,
            )
        case AppendFile():
            guest.append(change.path, change.data)
        case RemoveFile():
            guest.remove(change.path)
        case MakeLink():
            guest.symlink(change.target, change.path)
        case MakeDirectory():
            guest.mkdir(change.path, mode=change.mode)
        case CopyFile():
            _expect(change.source, _identity(guest, change.source), change.digest)
            guest.copy({change.path: change.source})
        case CopyIn():
            guest.upload(change.payload, change.path)


def _check(change: FileChange, guest: Guest) -> None:
    """Refuse a change whose path does not hold what the plan saw there."""
    expected = None if isinstance(change, MakeDirectory) else change.before
    if isinstance(change, MakeLink) and expected is not None:
        expected = f"-> {expected}"
    by_size = expected is not None and expected.endswith(" bytes")
    _expect(change.path, _identity(guest, change.path, by_size=by_size), expected)


def _expect(path: str, found: str | None, expected: str | None) -> None:
    if found != expected:
        _outdated(path, found or "nothing", expected or "nothing")


def _outdated(what: str, found: str, expected: str) -> NoReturn:
    raise GuestError(
        "plan-outdated",
        f"{what}: changed since the plan was made (found {found}, expected {expected})",
        hint="the disk was written meanwhile; start again",
    )


def _identity(guest: Guest, path: str, *, by_size: bool = False) -> str | None:
    """Give what is at `path` itself: a digest, `-> target`, "directory", or None for nothing.

    Of a file `by_size` only that.
    """
    stat = guest.lstat(path)
    if stat is None:
        return None
    if stat.kind is FileKind.FILE:
        return stat.in_bytes if by_size else guest.digest(path)
    if stat.kind is FileKind.SYMLINK:
        return f"-> {guest.readlink(path)}"
    return stat.kind.value
