"""A directory of a guest, as the root of another: a subvolume that is not mounted by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.guest.paths import resolve
from converter.guest.protocol import TEXT_LIMIT

if TYPE_CHECKING:
    from converter.guest.protocol import Named, ReadableGuest
    from converter.model import Stat


class _Steps:
    """What `resolve` asks for: places whose directories are no links."""

    def __init__(self, guest: Named, top: str) -> None:
        self._guest = guest
        self._top = top

    def lstat(self, path: str) -> Stat | None:
        return self._guest.lstat(self._top + path)

    def readlink(self, path: str) -> str:
        return self._guest.readlink(self._top + path)


class Subtree:
    """A `ReadableGuest` of what is below `top` in another; its links never lead out of it."""

    def __init__(self, guest: ReadableGuest, top: str) -> None:
        """Take what is below `top`, a path without links."""
        self._guest = guest
        self._top = top.rstrip("/")
        self._steps = _Steps(guest, self._top)

    def _real(self, path: str, *, follow_last: bool = True) -> str:
        return self._top + resolve(self._steps, path, follow_last=follow_last)

    def lstat(self, path: str) -> Stat | None:
        """See `Guest`."""
        return self._guest.lstat(self._real(path, follow_last=False))

    def readlink(self, path: str) -> str:
        """See `Guest`."""
        return self._guest.readlink(self._real(path, follow_last=False))

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """See `Guest`."""
        return self._guest.read(self._real(path), limit=limit)

    def head(self, path: str, *, length: int) -> bytes:
        """See `Guest`."""
        return self._guest.head(self._real(path), length=length)

    def is_immutable(self, path: str) -> bool:
        """See `Guest`."""
        return self._guest.is_immutable(self._real(path))

    def digest(self, path: str) -> str:
        """See `Guest`."""
        return self._guest.digest(self._real(path))

    def list(self, path: str) -> tuple[str, ...]:
        """See `Guest`."""
        return self._guest.list(self._real(path))

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See `Guest`."""
        return self._guest.attributes(self._real(path, follow_last=False))
