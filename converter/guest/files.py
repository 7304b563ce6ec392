"""The guest's files in libguestfs' appliance.

Limits: file names that are not UTF-8 can be listed but not opened (the Python binding takes `str`
in UTF-8 only): they are told in the log, and left alone.

See guestfs(3). A call that libguestfs' daemon answers itself takes a few milliseconds with an
emulated processor, one that starts a program, or streams, ten times as long and more: hence what
is asked how here.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
import stat
import string
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter.errors import GuestError
from converter.guest.blockdevices import CHUNK, ApplianceDevices, translated
from converter.guest.paths import resolve
from converter.guest.protocol import SECURITY, TEXT_LIMIT, Code
from converter.guest.receiving import received
from converter.guest.seen import Seen
from converter.model import FileKind, Stat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

# A mail server's spool may have 100,000 files in a directory; none that is read here has.
_NAMES_LIMIT: Final = 16 << 20
# Names of files that are asked about together: an answer has 100 bytes for each, and there is no
# directory with more of which more than one is asked for.
_TOGETHER: Final = 1000
# What guestfs_lstatnslist gives as st_ino of what it could not look at (guestfs(3)).
_UNKNOWN: Final = -1
# Characters of a script: a command's argument may have 128 KiB (execve(2)), four bytes each.
_SCRIPT: Final = 24 << 10
# Of chattr(1): immutable, and append only.
_MARKS: Final = "ia"
_NOT_PERMITTED: Final = "Operation not permitted"
_PLAIN: Final = f"{string.ascii_letters}{string.digits}/._-".encode()
_KINDS: Final = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.DIRECTORY,
    stat.S_IFLNK: FileKind.SYMLINK,
}


log = logging.getLogger(__name__)


class ApplianceFiles(ApplianceDevices):
    """Implements `Guest` over the handle of a running appliance."""

    def __init__(self) -> None:
        """Know nothing yet."""
        super().__init__()
        self._seen = Seen()
        # Where an NTFS is mounted.
        self._ntfs: list[str] = []

    # --- reading ----------------------------------------------------------------------------------

    def lstat(self, path: str) -> Stat | None:
        """See `Guest`."""
        stats = self._seen.stats
        if path not in stats and not _is_utf8(path):
            log.warning("%r: cannot be read, and is left alone: its name is not UTF-8", path)
            stats[path] = None
        if path not in stats:
            self._look_around(path)
        if path not in stats:
            absent = self._seen.is_absent(path)
            stats[path] = None if absent else self._stat(self._handle.lstatns, path)
        return stats[path]

    def _look_around(self, path: str) -> None:
        """Ask about all files of a directory that was listed at once: who asks for one asks on.

        Not on NTFS, where every answer is a program's (ntfs-3g) and directories are large.
        """
        directory, _, name = path.rpartition("/")
        names = self._seen.names(directory or "/") or ()
        if name not in names or len(names) > _TOGETHER or self._is_on_ntfs(path):
            return
        # Names that are no UTF-8 cannot be given to libguestfs; they are not printable.
        names = tuple(filter(str.isprintable, names))
        with translated(path):
            found = self._handle.lstatnslist(directory or "/", list(names))
        for name, answer in zip(names, found, strict=True):
            if answer["st_ino"] != _UNKNOWN:
                self._seen.stats.setdefault(f"{directory}/{name}", _as_stat(answer))

    def _stat(self, call: Any, path: str) -> Stat | None:  # noqa: ANN401 - a method of the binding
        try:
            with translated(path):
                return _as_stat(call(path))
        except GuestError as error:
            if error.code == Code.MISSING:
                return None
            raise

    def _size(self, path: str) -> int:
        """Size of the regular file that `path` leads to; never opens a device or a FIFO."""
        found = self.lstat(path)
        if found is not None and found.kind is FileKind.SYMLINK:
            found = self._stat(self._handle.statns, path)
        if found is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        if found.kind is not FileKind.FILE:
            raise GuestError(Code.NOT_A_FILE, f"{path}: is not a regular file")
        return found.size

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """See `Guest`."""
        size = self._size(path)
        if size > limit:
            raise GuestError(
                Code.TOO_LARGE, f"{path}: is {size} bytes long, at most {limit} are expected"
            )
        return self._read(path, size)

    def head(self, path: str, *, length: int) -> bytes:
        """See `Guest`."""
        return self._read(path, min(length, self._size(path)))

    def digest(self, path: str) -> str:
        """See `Guest`."""
        size = self._size(path)
        if size <= CHUNK:
            return hashlib.sha256(self._read(path, size)).hexdigest()
        digest = hashlib.sha256()
        for piece in self._pieces(path, size):
            digest.update(piece)
        return digest.hexdigest()

    def _read(self, path: str, size: int) -> bytes:
        data = self._seen.content(path, size)
        if data is None:
            data = b"".join(self._pieces(path, size))
            self._seen.keep_content(path, size, data)
        return data

    def _pieces(self, path: str, size: int) -> Iterator[bytes]:
        done = 0
        while done < size:
            with translated(path):
                piece: bytes = self._handle.pread(path, min(CHUNK, size - done), done)
            if not piece:
                return
            yield piece
            done += len(piece)

    def readlink(self, path: str) -> str:
        """See `Guest`."""
        if path not in self._seen.links:
            with translated(path):
                self._seen.links[path] = self._handle.readlink(path)
        return self._seen.links[path]

    def list(self, path: str) -> tuple[str, ...]:
        """See `Guest`."""
        names = self._seen.names(path)
        if names is None:
            names = self._list(path)
            self._seen.keep_names(path, names)
        return names

    def _list(self, path: str) -> tuple[str, ...]:
        # ls0 writes to a file; the calls that return lists fail on names that are not UTF-8.
        try:
            with received(_NAMES_LIMIT) as (place, found), translated(path):
                self._handle.ls0(path, place)
        except GuestError:
            if len(found) <= _NAMES_LIMIT:
                raise
        if len(found) > _NAMES_LIMIT:
            raise GuestError(Code.TOO_LARGE, f"{path}: has more than {_NAMES_LIMIT} bytes of names")
        return tuple(sorted(os.fsdecode(bytes(name)) for name in found.split(b"\0") if name))

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See `Guest`."""
        try:
            with translated(path):
                found = self._handle.lgetxattrs(path)
        except GuestError as error:
            if error.message.endswith("Operation not supported"):
                return ()  # a filesystem without them, such as the vfat of an ESP
            raise
        named = [(item["attrname"], _as_bytes(item["attrval"])) for item in found]
        return tuple(sorted([*named, *self._security(path)]))

    def is_immutable(self, path: str) -> bool:
        """See `Guest`."""
        return "i" in self._marks(resolve(self, path))

    def _marks(self, path: str) -> str:
        """Give which of chattr(1)'s `i` and `a` a file or directory has that is not a link."""
        try:
            with translated(path):
                found: str = self._handle.get_e2attrs(path)
        except GuestError as error:
            log.debug("%s", error.message)  # a filesystem without them
            return ""
        return "".join(mark for mark in _MARKS if mark in found)

    def _is_on_ntfs(self, path: str) -> bool:
        return path.startswith(tuple(self._ntfs))

    def _security(self, path: str) -> Iterator[tuple[str, bytes]]:
        """Give what ntfs-3g does not list: the security descriptor of a file (ntfs-3g(8))."""
        if self._is_on_ntfs(path):
            with translated(path):
                yield SECURITY, _as_bytes(self._handle.lgetxattr(path, SECURITY))

    # --- writing ----------------------------------------------------------------------------------

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        try:
            with translated(what):
                yield
        finally:
            self._seen.clear()

    def _despite_marks(self, paths: Iterable[str], change: Callable[[], None]) -> None:
        """Make a change to `paths`, although they or their directories are marked against it."""
        try:
            change()
        except GuestError as error:
            if not error.message.endswith(_NOT_PERMITTED):
                raise
            places = [self._place(path) for path in paths]
            above = [place.rpartition("/")[0] or "/" for place in places]
            there = (
                place for place in dict.fromkeys([*above, *places]) if self._may_be_marked(place)
            )
            marked = {place: marks for place in there if (marks := self._marks(place))}
            if not marked:
                raise
            self._mark(marked, clear=True)
            try:
                change()
            finally:
                self._mark({p: marks for p, marks in marked.items() if self._may_be_marked(p)})

    def _may_be_marked(self, path: str) -> bool:
        there = self.lstat(path)
        return there is not None and there.kind in (FileKind.FILE, FileKind.DIRECTORY)

    def _mark(self, marked: Mapping[str, str], *, clear: bool = False) -> None:
        for path, marks in marked.items():
            with translated(path):
                self._handle.set_e2attrs(path, marks, clear=clear)

    def mount(self, device: str, path: str, *, options: str) -> None:
        """See `BlockDevices`."""
        self._seen.clear()
        super().mount(device, path, options=options)
        if (self._types.get(device) or self.probe(device).type) == "ntfs":
            self._ntfs.append(f"{path.rstrip('/')}/")

    def unmount(self) -> None:
        """See `BlockDevices`."""
        self._seen.clear()
        self._ntfs.clear()
        super().unmount()

    def _place(self, path: str) -> str:
        """Give `path` without links of the guest above it.

        Programs of the appliance, which do not see the guest's tree as theirs, would follow those
        into the appliance's own.
        """
        return resolve(self, path, follow_last=False)

    def _make_way(self, path: str) -> Stat | None:
        """Remove a link, device or FIFO at `path`, which is to be a file; give the file there."""
        there = self.lstat(path)
        if there is None or there.kind is FileKind.FILE:
            return there
        with self._changing(path):
            self._handle.rm(path)
        return None

    def write(self, path: str, data: bytes, *, mode: int, uid: int, gid: int) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._write(path, data, mode=mode, uid=uid, gid=gid))

    def _write(self, path: str, data: bytes, *, mode: int, uid: int, gid: int) -> None:
        there = self._make_way(path)
        is_same = there is not None and (there.mode, there.uid, there.gid) == (mode, uid, gid)
        with self._changing(path):
            if len(data) <= CHUNK:
                self._handle.write(path, data)
            else:
                with tempfile.NamedTemporaryFile(dir=self._directory) as staged:
                    Path(staged.name).write_bytes(data)
                    self._handle.upload(staged.name, _in_guest(path))
            # On NTFS neither means anything: there it is the attribute SECURITY that counts.
            if not is_same and not self._is_on_ntfs(path):
                self._handle.chown(uid, gid, path)
                self._handle.chmod(mode, path)

    def upload(self, source: Path, path: str) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._upload(source, path))

    def _upload(self, source: Path, path: str) -> None:
        there = self._make_way(path)
        with self._changing(path):
            self._handle.upload(str(source), _in_guest(path))
            if there is None:
                self._handle.chmod(0o600, path)

    def append(self, path: str, data: bytes) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._append(path, data))

    def _append(self, path: str, data: bytes) -> None:
        size = self._size(path)
        with self._changing(path):
            done = 0
            while done < len(data):
                done += self._handle.pwrite(path, data[done : done + CHUNK], size + done)

    def remove(self, path: str) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._remove(path))

    def _remove(self, path: str) -> None:
        with self._changing(path):
            self._handle.rm(path)

    def symlink(self, target: str, path: str) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._symlink(target, path))

    def _symlink(self, target: str, path: str) -> None:
        there = self.lstat(path)
        place = self._place(path)
        with self._changing(path):
            if there is not None:
                self._handle.rm(path)
            self._handle.ln_s(target, place)

    def set_attributes(self, wanted: Mapping[str, Iterable[tuple[str, bytes]]]) -> None:
        """See `Guest`."""
        self._despite_marks(wanted, lambda: self._set_attributes(wanted))

    def _set_attributes(self, wanted: Mapping[str, Iterable[tuple[str, bytes]]]) -> None:
        binary: list[str] = []
        for path, attributes in wanted.items():
            with translated(path):
                for name, value in attributes:
                    text = _as_text(value)
                    if text is None:
                        binary.append(self._binary(path, name, value))
                    else:
                        # The terminating NUL is sent when the length counts it.
                        self._handle.lsetxattr(name, text, len(value), path)
        for dump in _scripts(binary):
            with translated("attributes"):
                self._handle.debug("sh", [_restoring(dump)])

    def _binary(self, path: str, name: str, value: bytes) -> str:
        """Give an attribute of bytes, such as the security on NTFS, as getfattr(1) would dump it.

        The binding takes text, and libguestfs has no other call for one attribute; setfattr(1) in
        the appliance reads hexadecimal.
        """
        target = f"/sysroot{self._place(path)}"
        return f"# file: {_escaped(target)}\n{_escaped(name)}=0x{value.hex()}\n\n"

    def mkdir(self, path: str, *, mode: int = 0o755) -> None:
        """See `Guest`."""
        self._despite_marks([path], lambda: self._mkdir(path, mode))

    def _mkdir(self, path: str, mode: int) -> None:
        with self._changing(path):
            self._handle.mkdir_p(path)
            if not self._is_on_ntfs(path):
                self._handle.chmod(mode, path)

    def copy(self, wanted: Mapping[str, str]) -> None:
        """See `Guest`."""
        self._despite_marks(wanted, lambda: self._copy(wanted))

    def _copy(self, wanted: Mapping[str, str]) -> None:
        copies = []
        for target, source in wanted.items():
            self._size(source)
            self._make_way(target)
            names = (f"/sysroot{place}" for place in (resolve(self, source), self._place(target)))
            # cp(1) copies what is listed.
            more = "".join(self._binary(target, *item) for item in self._security(source))
            copies.append(f"cp -a {shlex.join(names)}\n{_restoring(more) if more else ''}")
        for script in _scripts(copies):
            with self._changing("copies"):
                self._handle.debug("sh", [f"set -e\n{script}"])


def _scripts(lines: Iterable[str]) -> Iterator[str]:
    """Give `lines` as few texts that each fit in one command's argument."""
    script = ""
    for line in lines:
        if script and len(script) + len(line) > _SCRIPT:
            yield script
            script = ""
        script += line
    if script:
        yield script


def _restoring(dump: str) -> str:
    """Give the command that sets the attributes of a dump (setfattr(1))."""
    return f"setfattr -h --restore=- <<'END'\n{dump}END\n"


def _in_guest(path: str) -> str:
    """Give `path` to a call that takes devices, too: a guest may have files with such names."""
    return f"/.{path}"


def _escaped(name: str) -> str:
    """Give a name as setfattr(1) reads it: every byte that could mean something in octal."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(name))


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_stat(answer: Mapping[str, int]) -> Stat:
    """Read what a call of the lstatns kind gives."""
    mode = answer["st_mode"]
    return Stat(
        kind=_KINDS.get(stat.S_IFMT(mode), FileKind.OTHER),
        mode=stat.S_IMODE(mode),
        uid=answer["st_uid"],
        gid=answer["st_gid"],
        size=answer["st_size"],
    )


def _as_text(value: bytes) -> str | None:
    """Give what the binding sends as `value`; None where it cannot be text."""
    try:
        text = value.removesuffix(b"\0").decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else os.fsencode(value)
