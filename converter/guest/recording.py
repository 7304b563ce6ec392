"""A guest that remembers what would be done to it instead of doing it.

Reads fall through to the guest below until something was written; what is written stays here. What
was recorded *is* the plan: a dry run and a real run cannot differ, because the real run replays it
(`guest.replay`). Writing what is there already records nothing, so that planning a converted guest
gives an empty plan.

Originals are kept under a hidden name beside the file: directories whose every visible file is
read (`interfaces.d/*`, initramfs-tools' `conf.d/*`, udev's `*.rules`) then never read the backup.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.guest.diffs import escaped, registry_diff, text_diff
from converter.guest.hives import Hives
from converter.guest.labels import LABEL, Labels
from converter.guest.paths import resolve
from converter.guest.protocol import TEXT_LIMIT, Code, ReadableGuest
from converter.model import (
    AppendFile,
    CopyFile,
    CopyIn,
    DeleteKey,
    DeleteValue,
    FileKind,
    MakeDirectory,
    MakeLink,
    Plan,
    RemoveFile,
    SetValue,
    Stat,
    WriteFile,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.formats.registry import Editor, Reader, Value
    from converter.model import Change, ConvertTable, Finding, InstallPackage

Attributes = tuple[tuple[str, bytes], ...]

BACKUP_SUFFIX: Final = ".converter-orig"
# Boot loaders are copied, which have a few MiB.
COPY_LIMIT: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class _Written:
    """A path as it will be: a file (`data`), a link (`target`), or gone (`stat` None)."""

    stat: Stat | None
    data: bytes = b""
    target: str = ""


class RecordingGuest:
    """The reading half of `Guest` over another guest, with changes that are only recorded.

    Every change names a stable `code` and a `reason`: there is no unexplained change.
    """

    def __init__(
        self,
        below: ReadableGuest,
        hives: Hives | None = None,
        security: Callable[[str, FileKind], Attributes] | None = None,
    ) -> None:
        """Record over `below`, which is not written and must not change meanwhile.

        `hives` are those of `below` that were read already. `security` gives the attributes of a
        new path; without it these are SELinux' labels.
        """
        self._security = security
        self._below = below
        self._hives = hives or Hives(below)
        self._edited: dict[str, Editor] = {}
        self._written: dict[str, _Written] = {}
        self._places: dict[str, str] = {}
        self._kept: set[str] = set()
        self._changes: list[Change] = []
        self._diffs: list[str] = []
        self._findings: list[Finding] = []
        self._labels = Labels(below)
        self._unlabelled: list[str] = []

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """New paths of the plan for which no SELinux label was found."""
        return tuple(self._unlabelled)

    @property
    def plan(self) -> Plan:
        """What was recorded so far."""
        return Plan(tuple(self._changes), tuple(self._findings), tuple(self._diffs))

    # --- reading ----------------------------------------------------------------------------------

    def lstat(self, path: str) -> Stat | None:
        """See `Guest`."""
        written = self._written.get(self._place(path)) if self._written else None
        return self._below.lstat(path) if written is None else written.stat

    def _place(self, path: str) -> str:
        """Give where the name `path` itself is, its directories' links followed."""
        if path in self._written or path.count("/") == 1:
            return path
        if path not in self._places:
            self._places[path] = resolve(self, path, follow_last=False)
        return self._places[path]

    def _file(self, path: str) -> tuple[str, bytes | None]:
        """Give where `path` leads, and its recorded content if it was written."""
        place = resolve(self, path)
        written = self._written.get(place)
        if written is None:
            return place, None
        if written.stat is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        return place, written.data

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """See `Guest`."""
        place, data = self._file(path)
        return self._below.read(place, limit=limit) if data is None else data

    def head(self, path: str, *, length: int) -> bytes:
        """See `Guest`."""
        place, data = self._file(path)
        return self._below.head(place, length=length) if data is None else data[:length]

    def digest(self, path: str) -> str:
        """See `Guest`."""
        place, data = self._file(path)
        return self._below.digest(place) if data is None else _digest(data)

    def readlink(self, path: str) -> str:
        """See `Guest`."""
        written = self._written.get(self._place(path))
        return self._below.readlink(path) if written is None else written.target

    def list(self, path: str) -> tuple[str, ...]:
        """See `Guest`."""
        place = resolve(self, path)
        prefix = place.rstrip("/") + "/"
        names = set(self._below.list(place)) if self._below.lstat(place) is not None else set()
        for written, node in self._written.items():
            name = written.removeprefix(prefix)
            if name == written or "/" in name:
                continue
            (names.discard if node.stat is None else names.add)(name)
        return tuple(sorted(names))

    def is_immutable(self, path: str) -> bool:
        """See `Guest`."""
        return self._below.is_immutable(path)

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See `Guest`."""
        return self._below.attributes(path)

    # --- recording --------------------------------------------------------------------------------

    def note(self, finding: Finding) -> None:
        """Keep a finding made while planning."""
        self._findings.append(finding)

    def write(  # noqa: PLR0913 - a file is all of this
        self,
        path: str,
        data: bytes,
        *,
        code: str,
        reason: str,
        mode: int | None = None,
        is_secret: bool = False,
    ) -> None:
        """Plan that the file `path` leads to holds `data`; nothing is recorded if it does.

        A file that exists keeps its owner, mode and attributes (`mode` then counts only if given);
        a new one belongs to root, with `mode` or 0644. What is in one that may hold a secret, now
        or then, is not shown.
        """
        place = resolve(self, path)
        there = self.lstat(place)
        if there is not None and there.kind is not FileKind.FILE:
            raise GuestError(Code.NOT_A_FILE, f"{path}: is not a regular file")
        limit = max(TEXT_LIMIT, len(data))
        old = None if there is None else self.read(place, limit=limit)
        if there is not None and old == data and mode in (None, there.mode):
            return
        stat = Stat(
            FileKind.FILE,
            mode if mode is not None else there.mode if there else 0o644,
            there.uid if there else 0,
            there.gid if there else 0,
            len(data),
        )
        if there is None:
            self._make_parents(place, code=code, reason=reason)
        change = WriteFile(
            code=code,
            reason=reason,
            path=place,
            data=data,
            mode=stat.mode,
            uid=stat.uid,
            gid=stat.gid,
            before=None if old is None else _digest(old),
            backup=None if old is None else self._backup(place),
            attributes=() if there else self._label(place, FileKind.FILE),
        )
        sizes = f"{escaped(place)}: {len(old or b'')} bytes, then {len(data)}, not shown\n"
        self._record(change, sizes if is_secret else text_diff(place, old or b"", data))
        self._written[place] = _Written(stat, data)

    def append(self, path: str, data: bytes, *, before: str, code: str, reason: str) -> None:
        """Plan `data` at the end of the file `path` leads to; `before` is its digest now.

        For files too large to be planned whole: what is appended is not readable here.
        """
        place = resolve(self, path)
        stat = self.lstat(place)
        if stat is None or stat.kind is not FileKind.FILE or place in self._written:
            raise GuestError(Code.NOT_A_FILE, f"{path}: cannot be appended to")
        backup = self._backup(place)
        change = AppendFile(code, reason, place, data, stat.size, before, backup)
        self._record(change, f"{place}: {len(data)} bytes added at {stat.size}\n")

    def copy(self, source: str, path: str, *, code: str, reason: str) -> None:
        """Plan that `path` is, byte for byte, the file that `source` leads to; for programs.

        The source must not be written by the plan itself.
        """
        origin, place = resolve(self, source), resolve(self, path)
        there, stat = self.lstat(place), self.lstat(origin)
        if stat is not None and stat.size > COPY_LIMIT:
            raise GuestError(Code.TOO_LARGE, f"{source}: is {stat.size} bytes long")
        digest = self._below.digest(origin)
        before = None if there is None else self.digest(place)
        if origin in self._written or before == digest:
            return
        if there is None:
            self._make_parents(place, code=code, reason=reason)
        backup = None if before is None else self._backup(place)
        change = CopyFile(code, reason, place, origin, digest, before, backup)
        data = self._below.read(origin, limit=COPY_LIMIT)
        self._record(change, f"{place}: copied from {origin} ({len(data)} bytes)\n")
        self._written[place] = _Written(Stat(FileKind.FILE, 0o644, 0, 0, len(data)), data)

    def install(self, change: InstallPackage) -> None:
        """Plan a package; what it brings is not readable here."""
        self._record(change, f"{change.path} {change.version}, by {change.manager}\n")

    def copy_in(self, payload: CopyIn) -> None:
        """Plan a file of this host in the guest, unless it is there; it is not readable here."""
        place = resolve(self, payload.path)
        there = self.lstat(place)
        before = None if there is None else self.digest(place)
        if before == payload.digest:
            return
        if there is None:
            self._make_parents(place, code=payload.code, reason=payload.reason)
        change = replace(
            payload,
            path=place,
            before=before,
            backup=None if before is None else self._backup(place),
            attributes=() if there else self._label(place, FileKind.FILE),
        )
        self._record(change, f"{place}: {payload.payload.name} ({payload.size} bytes)\n")

    def hive(self, path: str) -> Reader:
        """Give the hive at `path` with all that was recorded so far."""
        return self._edited.get(path) or self._hives.reader(path)

    def _edit(self, path: str) -> Editor:
        if path not in self._edited:
            self._edited[path] = self._hives.copy(path)
        return self._edited[path]

    def set_value(  # noqa: PLR0913 - a value is all of this
        self, path: str, key: str, name: str, value: Value, *, code: str, reason: str
    ) -> None:
        """Plan a value of the hive at `path`; nothing is recorded if it is that already."""
        hive = self._edit(path)
        before = hive.value(key, name)
        if before == value:
            return
        hive.set_value(key, name, value)
        change = SetValue(code, reason, path, key, name, value, before, self._backup_once(path))
        self._record(change, registry_diff(path, key, name, before, value))

    def delete_value(self, path: str, key: str, name: str, *, code: str, reason: str) -> None:
        """Plan that a value of the hive at `path` is gone, if it is there."""
        hive = self._edit(path)
        before = hive.value(key, name)
        if before is None:
            return
        hive.delete_value(key, name)
        change = DeleteValue(code, reason, path, key, name, before, self._backup_once(path))
        self._record(change, registry_diff(path, key, name, before, None))

    def delete_key(self, path: str, key: str, *, code: str, reason: str) -> None:
        """Plan that a key of the hive at `path` is gone with all below it, if it is there."""
        hive = self._edit(path)
        if not hive.exists(key):
            return
        hive.delete_key(key)
        change = DeleteKey(code, reason, path, key, self._backup_once(path))
        self._record(change, f"{path}\n[-{key}]\n")

    def _backup_once(self, path: str) -> str | None:
        """Give where a hive is kept, with its first change only."""
        return None if path in self._kept else self._backup(path)

    def remove(self, path: str, *, code: str, reason: str) -> None:
        """Plan that the file or symlink `path` itself is gone; its content is kept."""
        place = resolve(self, path, follow_last=False)
        stat = self.lstat(place)
        if stat is None:
            return
        if stat.kind is FileKind.FILE:
            old = self.read(place)
            change = RemoveFile(code, reason, place, _digest(old), self._backup(place))
            self._record(change, text_diff(place, old, b""))
        elif stat.kind is not FileKind.SYMLINK:
            raise GuestError(Code.NOT_A_FILE, f"{path}: is neither a file nor a link")
        else:
            change = RemoveFile(code, reason, place, f"-> {self.readlink(place)}", None)
            self._record(change, f"-{place} -> {self.readlink(place)}\n")
        self._written[place] = _Written(None)

    def discard(self, path: str, *, code: str, reason: str) -> None:
        """Plan that the file or symlink `path` itself is gone for good: no original is kept."""
        place = resolve(self, path, follow_last=False)
        stat = self.lstat(place)
        if stat is None:
            return
        is_link = stat.kind is FileKind.SYMLINK
        before = f"-> {self.readlink(place)}" if is_link else stat.in_bytes
        change = RemoveFile(code, reason, place, before, None)
        self._record(change, f"-{place} ({stat.size} bytes, not kept)\n")
        self._written[place] = _Written(None)

    def empty(self, path: str, *, code: str, reason: str) -> None:
        """Plan that the file `path` leads to holds nothing any more: no original is kept."""
        place = resolve(self, path)
        stat = self.lstat(place)
        if stat is None or stat.size == 0:
            return
        change = WriteFile(
            code=code,
            reason=reason,
            path=place,
            data=b"",
            mode=stat.mode,
            uid=stat.uid,
            gid=stat.gid,
            before=stat.in_bytes,
        )
        self._record(change, f"{place}: emptied ({stat.size} bytes, not kept)\n")
        self._written[place] = _Written(replace(stat, size=0))

    def symlink(self, target: str, path: str, *, code: str, reason: str) -> None:
        """Plan that `path` is a symlink to `target`."""
        place = resolve(self, path, follow_last=False)
        stat = self.lstat(place)
        if stat is not None and stat.kind is not FileKind.SYMLINK:
            self.remove(path, code=code, reason=reason)
            stat = None
        before = self.readlink(place) if stat is not None else None
        if before == target:
            return
        self._make_parents(place, code=code, reason=reason)
        removed = f"-{place} -> {before}\n" if before is not None else ""
        label = self._label(place, FileKind.SYMLINK)
        self._record(
            MakeLink(code, reason, place, target, before, label),
            f"{removed}+{place} -> {target}\n",
        )
        link = Stat(FileKind.SYMLINK, 0o777, 0, 0, len(target))
        self._written[place] = _Written(link, target=target)

    def record_table(self, change: ConvertTable, diff: str) -> None:
        """Plan another partition table; files are not concerned by it."""
        self._record(change, diff)

    def _make_parents(self, place: str, *, code: str, reason: str) -> None:
        """Plan the directories that `place` needs and that are not there."""
        directory = place.rpartition("/")[0]
        there = self.lstat(directory or "/")
        if there is not None and there.kind is not FileKind.DIRECTORY:
            raise GuestError(Code.NOT_A_DIRECTORY, f"{directory}: is not a directory")
        if there is not None:
            return
        self._make_parents(directory, code=code, reason=reason)
        label = self._label(directory, FileKind.DIRECTORY)
        self._record(MakeDirectory(code, reason, directory, attributes=label), f"+{directory}/\n")
        self._written[directory] = _Written(Stat(FileKind.DIRECTORY, 0o755, 0, 0, 0))

    def _label(self, place: str, kind: FileKind) -> Attributes:
        """Give the attributes of a new name: its security on NTFS, else a SELinux label.

        That is the policy's, else that of its directory. Where the directory has none, the
        filesystem may have no labels; none is given then.
        """
        if self._security is not None:
            return self._security(place, kind)
        directory = place.rpartition("/")[0] or "/"
        while directory in self._written:
            directory = directory.rpartition("/")[0] or "/"
        around = dict(self._below.attributes(directory)).get(LABEL)
        if around is None:
            self._unlabelled.append(place)
            return ()
        return ((LABEL, self._labels.find(place, kind) or around),)

    def _record(self, change: Change, diff: str) -> None:
        self._places.clear()
        self._changes.append(change)
        self._diffs.append(diff)

    def _backup(self, place: str) -> str | None:
        """Choose where the original of `place` is kept; None when this plan keeps it already."""
        if place in self._kept or place in self._written:
            return None
        self._kept.add(place)
        *_, free = _kept_names(self, place)
        return free


def kept_as(place: str) -> str:
    """Give where a conversion keeps the original of `place`, unless that is taken."""
    directory, _, name = place.rpartition("/")
    return f"{directory}/.{name}{BACKUP_SUFFIX}"


def last_kept(guest: ReadableGuest, place: str) -> str:
    """Give where the last of several conversions keeps the original of `place`, if any does."""
    found = [*_kept_names(guest, place)]
    return found[max(0, len(found) - 2)]


def _kept_names(guest: ReadableGuest, place: str) -> Iterator[str]:
    """Give the names that originals of `place` have, and then the next one, which is free."""
    wanted = kept_as(place)
    candidate, number = wanted, 0
    while guest.lstat(candidate) is not None:
        yield candidate
        number += 1
        candidate = f"{wanted}.{number}"
    yield candidate


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
