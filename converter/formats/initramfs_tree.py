"""The files that an initramfs unpacks to, each entry applied as the kernel applies it.

The rules are those of the kernel's init/initramfs.c, which makes each entry with the system call
for its type, in a root filesystem that holds /dev and /root already, and minds no failure:

- symlinks on the way to an entry are followed, the last component is not;
- without a directory to lie in, an entry comes to nothing;
- what is of another type is removed first, but for directories that are not empty;
- regular files with a link count of 2 or more that have the same device and inode, up to the next
  trailer, are one file; any of them may bring the data.
"""

from __future__ import annotations

import stat
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.formats.cpio import Entry

# The kernel's own limit (path_resolution(7)).
_LINK_LIMIT: Final = 40
# What the archive built into every kernel makes (usr/default_cpio_list).
_BUILT_IN: Final = frozenset({"", "dev", "root"})


@dataclass(slots=True)
class File:
    """What lies at a path. `data` is None where the content was not kept; names may share one."""

    mode: int
    uid: int
    gid: int
    size: int
    target: str = ""
    data: bytes | None = None

    @property
    def is_directory(self) -> bool:
        """Tell whether this is a directory."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_symlink(self) -> bool:
        """Tell whether this is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def normalise(name: str) -> str:
    """Give a name from an archive without a leading `/`, and without empty and `.` components."""
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def join(directory: str, name: str) -> str:
    """Give the path of `name` in `directory`, which may be "", the root."""
    return f"{directory}/{name}" if directory else name


def resolve(files: Mapping[str, File], path: str) -> str | None:
    """Give the path without links of what `path` means, the last component followed too.

    None if there is nothing, or a link leads nowhere or in a circle.
    """
    found = ""
    links = 0
    parts = path.split("/")[::-1]
    while parts:
        part = parts.pop()
        if part in ("", ".", ".."):
            found = found.rpartition("/")[0] if part == ".." else found
            continue
        here = join(found, part)
        file = files.get(here)
        if file is not None and file.is_symlink:
            links += 1
            if links > _LINK_LIMIT:
                return None
            found = "" if file.target.startswith("/") else found
            parts += file.target.split("/")[::-1]
        elif _is_directory(files, here) or (file is not None and not parts):
            found = here
        else:
            return None
    return found


def _is_directory(files: Mapping[str, File], path: str) -> bool:
    file = files.get(path)
    return path in _BUILT_IN if file is None else file.is_directory


class Tree:
    """The files of an initramfs by their paths without links, growing entry by entry."""

    def __init__(self) -> None:
        """Start with nothing but what is built into the kernel."""
        self.files: dict[str, File] = {}
        self._children: Counter[str] = Counter()
        self._links: dict[tuple[int, ...], str] = {}

    def add(self, entry: Entry) -> None:
        """Apply one entry of an archive."""
        if entry.is_trailer:
            self._links.clear()
            return
        parent, _, name = normalise(entry.name).rpartition("/")
        directory = resolve(self.files, parent)
        if directory is None or not _is_directory(self.files, directory) or name in ("", ".."):
            return
        path = join(directory, name)
        if self._make_room(path, entry):
            self._create(path, entry)

    def _make_room(self, path: str, entry: Entry) -> bool:
        """Remove what is in the way of the entry; tell whether nothing is any more."""
        old = self.files.get(path)
        if old is None:
            return True
        same = stat.S_IFMT(old.mode) == stat.S_IFMT(entry.mode)
        if same and not old.is_symlink:
            return True
        if old.is_directory and self._children[path]:
            return False
        self._remove(path)
        return True

    def _remove(self, path: str) -> None:
        del self.files[path]
        self._children[path.rpartition("/")[0]] -= 1

    def _create(self, path: str, entry: Entry) -> None:
        if stat.S_ISREG(entry.mode) and entry.nlink > 1 and self._hard_link(path, entry):
            return
        file = self.files.get(path)
        if file is None:
            file = self._put(path, File(entry.mode, entry.uid, entry.gid, 0))
        file.mode, file.uid, file.gid = entry.mode, entry.uid, entry.gid
        _fill(file, entry)

    def _put(self, path: str, file: File) -> File:
        self.files[path] = file
        self._children[path.rpartition("/")[0]] += 1
        return file

    def _hard_link(self, path: str, entry: Entry) -> bool:
        """Make `path` another name of the file that an earlier entry made, if one did."""
        key = (*entry.device, entry.inode)
        first = self._links.setdefault(key, path)
        file = self.files.get(first)
        if first == path or file is None or not stat.S_ISREG(file.mode):
            return False
        if path in self.files:
            self._remove(path)
        self._put(path, file)
        if entry.size:
            _fill(file, entry)
        return True


def _fill(file: File, entry: Entry) -> None:
    """Give `file` the content that `entry` brings."""
    file.size = entry.size
    if file.is_symlink:
        file.target = (entry.data or b"").rstrip(b"\0").decode("utf-8", "surrogateescape")
    else:
        file.data = entry.data
