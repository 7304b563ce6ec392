"""A guest that is a dictionary: for tests of everything that reads or plans.

Passes the same contract test as the appliance, so that it cannot drift from what a real guest
does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from converter.errors import GuestError
from converter.guest.paths import resolve
from converter.guest.protocol import TEXT_LIMIT, Code
from converter.model import FileKind, Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Node:
    """A file, directory (no data) or symlink (`data` is its target in UTF-8)."""

    kind: FileKind
    data: bytes = b""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    attributes: Mapping[str, bytes] = field(default_factory=dict)
    is_immutable: bool = False

    @cached_property
    def stat(self) -> Stat:
        """What lstat(2) would tell; asked for again and again, as paths are resolved."""
        mode = 0o777 if self.kind is FileKind.SYMLINK else self.mode
        return Stat(self.kind, mode, self.uid, self.gid, len(self.data))


class _Steps:
    """What `resolve` asks for: places whose directories are no links, found as they stand."""

    def __init__(self, guest: MemoryGuest) -> None:
        self._guest = guest

    def lstat(self, path: str) -> Stat | None:
        node = self._guest._nodes.get(path)
        return None if node is None else node.stat

    def readlink(self, path: str) -> str:
        node = self._guest._nodes.get(path)
        if node is None or node.kind is not FileKind.SYMLINK:
            raise GuestError(Code.FAILED, f"{path}: is not a symbolic link")
        return node.data.decode("utf-8", "surrogateescape")


class MemoryGuest:
    """A `Guest` over nodes by path."""

    def __init__(self, files: Mapping[str, bytes | str | Node] | None = None) -> None:
        """Make a guest with `files`: content (str is UTF-8) or whole nodes, parents implied."""
        self._steps = _Steps(self)
        self._nodes: dict[str, Node] = {"/": Node(FileKind.DIRECTORY, mode=0o755)}
        for path, content in (files or {}).items():
            self.mkdir(_parent(path))
            if isinstance(content, Node):
                self._nodes[path] = content
            else:
                data = content.encode() if isinstance(content, str) else content
                self._nodes[path] = Node(FileKind.FILE, data)

    def _find(self, path: str) -> Node | None:
        """Look up what is at `path` itself; links before the last component are followed."""
        node = self._nodes.get(path)
        if node is not None or self._is_absent(path):
            return node
        return self._nodes.get(resolve(self._steps, path, follow_last=False))

    def _file(self, path: str) -> Node:
        node = self._find(path)
        if node is not None and node.kind is FileKind.SYMLINK:
            node = self._nodes.get(resolve(self._steps, path))
        if node is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        if node.kind is not FileKind.FILE:
            raise GuestError(Code.NOT_A_FILE, f"{path}: is not a regular file")
        return node

    def _place(self, path: str) -> str:
        """Give the real place of a new name; its directory must be there."""
        place = resolve(self._steps, path, follow_last=False)
        directory = self._nodes.get(_parent(place))
        if directory is None or directory.kind is not FileKind.DIRECTORY:
            raise GuestError(Code.MISSING, f"{path}: no such directory in the guest")
        return place

    def _is_absent(self, path: str) -> bool:
        """Tell whether nothing is at `path`, by its directory, where that is no link itself."""
        directory, _, name = path.rpartition("/")
        there = self._nodes.get(directory or "/")
        return there is not None and there.kind is FileKind.DIRECTORY and name.strip(".") != ""

    def lstat(self, path: str) -> Stat | None:
        """See `Guest`."""
        node = self._find(path)
        return None if node is None else node.stat

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """See `Guest`."""
        data = self._file(path).data
        if len(data) > limit:
            raise GuestError(
                Code.TOO_LARGE, f"{path}: is {len(data)} bytes long, at most {limit} are expected"
            )
        return data

    def head(self, path: str, *, length: int) -> bytes:
        """See `Guest`."""
        return self._file(path).data[:length]

    def digest(self, path: str) -> str:
        """See `Guest`."""
        return hashlib.sha256(self._file(path).data).hexdigest()

    def readlink(self, path: str) -> str:
        """See `Guest`."""
        return self._steps.readlink(resolve(self._steps, path, follow_last=False))

    def list(self, path: str) -> tuple[str, ...]:
        """See `Guest`."""
        place = resolve(self._steps, path)
        node = self._nodes.get(place)
        if node is None:
            raise GuestError(Code.MISSING, f"{path}: no such directory in the guest")
        if node.kind is not FileKind.DIRECTORY:
            raise GuestError(Code.NOT_A_DIRECTORY, f"{path}: is not a directory")
        prefix = place.rstrip("/") + "/"
        names = (name[len(prefix) :] for name in self._nodes if name.startswith(prefix))
        return tuple(sorted(name for name in names if name and "/" not in name))

    def is_immutable(self, path: str) -> bool:
        """See `Guest`."""
        node = self._nodes.get(resolve(self._steps, path))
        return node is not None and node.is_immutable

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See `Guest`."""
        node = self._find(path)
        if node is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        return tuple(sorted(node.attributes.items()))

    def write(  # noqa: PLR0913 - a file is all of this
        self,
        path: str,
        data: bytes,
        *,
        mode: int,
        uid: int,
        gid: int,
        attributes: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """See `Guest`."""
        place = self._place(path)
        there = self._nodes.get(place)
        kept = there.attributes if there is not None and there.kind is FileKind.FILE else {}
        self._nodes[place] = Node(FileKind.FILE, data, mode, uid, gid, {**kept, **dict(attributes)})

    def upload(self, source: Path, path: str) -> None:
        """See `Guest`."""
        there = self._find(path)
        mode, uid, gid = (there.mode, there.uid, there.gid) if there else (0o600, 0, 0)
        self.write(path, source.read_bytes(), mode=mode, uid=uid, gid=gid)

    def append(self, path: str, data: bytes) -> None:
        """See `Guest`."""
        node = self._file(path)
        self._nodes[resolve(self._steps, path)] = replace(node, data=node.data + data)

    def remove(self, path: str) -> None:
        """See `Guest`."""
        place = resolve(self._steps, path, follow_last=False)
        node = self._nodes.get(place)
        if node is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        if node.kind is FileKind.DIRECTORY:
            raise GuestError(Code.FAILED, f"{path}: is a directory")
        del self._nodes[place]

    def symlink(self, target: str, path: str) -> None:
        """See `Guest`."""
        self._nodes[self._place(path)] = Node(FileKind.SYMLINK, target.encode(), 0o777)

    def set_attributes(self, wanted: Mapping[str, Iterable[tuple[str, bytes]]]) -> None:
        """See `Guest`."""
        for path, attributes in wanted.items():
            place = resolve(self._steps, path, follow_last=False)
            node = self._nodes.get(place)
            if node is None:
                raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
            self._nodes[place] = replace(node, attributes={**node.attributes, **dict(attributes)})

    def mkdir(self, path: str, *, mode: int = 0o755) -> None:
        """See `Guest`."""
        done = ""
        for part in [part for part in path.split("/") if part]:
            done = resolve(self._steps, f"{done}/{part}")
            self._nodes.setdefault(done, Node(FileKind.DIRECTORY, mode=0o755))
        if done:
            self._nodes[done] = replace(self._nodes[done], mode=mode)

    def copy(self, wanted: Mapping[str, str]) -> None:
        """See `Guest`."""
        for target, source in wanted.items():
            node = self._file(source)
            self._nodes[self._place(target)] = node


def _parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"
