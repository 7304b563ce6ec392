"""What was seen of a guest's files, so that nothing is asked twice.

A question to the appliance takes some milliseconds, with an emulated processor; a guest is asked a
thousand. Nobody else changes it, so what was seen holds until the converter writes or mounts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.model import FileKind

if TYPE_CHECKING:
    from converter.model import Stat

# What is kept of contents: what is larger is read once, or for the last time.
_CONTENT: Final = 1 << 20
_CONTENTS: Final = 32 << 20


class Seen:
    """Answers by path, as they were asked for: a link and what it leads to are two of them."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self.stats: dict[str, Stat | None] = {}
        self.links: dict[str, str] = {}
        self._names: dict[str, tuple[str, ...]] = {}
        self._folded: dict[str, frozenset[str]] = {}
        self._contents: dict[tuple[str, int], bytes] = {}
        self._size = 0

    def clear(self) -> None:
        """Forget everything."""
        self.stats.clear()
        self.links.clear()
        self._names.clear()
        self._folded.clear()
        self._contents.clear()
        self._size = 0

    def names(self, path: str) -> tuple[str, ...] | None:
        """Give the names in a directory, None where they are not known."""
        return self._names.get(path)

    def keep_names(self, path: str, names: tuple[str, ...]) -> None:
        """Remember the names in a directory."""
        self._names[path] = names
        self._folded[path] = frozenset(name.casefold() for name in names)

    def content(self, path: str, length: int) -> bytes | None:
        """Give what reading `length` bytes of a file gave, None where that is not known."""
        return self._contents.get((path, length))

    def keep_content(self, path: str, length: int, data: bytes) -> None:
        """Remember what reading `length` bytes of a file gave, unless it is too much."""
        if len(data) > _CONTENT:
            return
        if self._size + len(data) > _CONTENTS:
            self._contents.clear()
            self._size = 0
        self._contents[path, length] = data
        self._size += len(data)

    def is_absent(self, path: str) -> bool:
        """Tell whether nothing can be at `path`, by what is known of its directory.

        A name that is listed in other letters may be there: there are filesystems without case.
        """
        directory, _, name = path.rpartition("/")
        directory = directory or "/"
        if directory in self.stats:
            there = self.stats[directory]
            if there is None or there.kind in (FileKind.FILE, FileKind.OTHER):
                return True
        folded = self._folded.get(directory)
        # "." and ".." are never listed; short names and other forms of a letter are not, either.
        is_plain = name.isascii() and "~" not in name and name.strip(".") != ""
        return folded is not None and is_plain and name.casefold() not in folded
