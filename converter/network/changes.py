"""How every stack plans its changes: with one code and one reason, and on nothing but files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest import paths
from converter.model import FileKind

if TYPE_CHECKING:
    from converter.guest.recording import RecordingGuest

CODE: Final = "network-dhcp"
REASON: Final = (
    "the addresses and card names of the source network do not exist on EC2:"
    " DHCP on whatever card there is"
)


def write(guest: RecordingGuest, path: str, text: str, *, mode: int | None = None) -> None:
    """Plan that `path` holds `text`."""
    guest.write(path, paths.encode(text), code=CODE, reason=REASON, mode=mode)


def remove(guest: RecordingGuest, path: str, *, reason: str = REASON) -> None:
    """Plan that the file or link `path` is gone; nothing is planned where there is none."""
    stat = guest.lstat(path)
    if stat is not None and stat.kind in {FileKind.FILE, FileKind.SYMLINK}:
        guest.remove(path, code=CODE, reason=reason)


def mask(guest: RecordingGuest, path: str, *, reason: str = REASON) -> None:
    """Plan that `path` is a link to /dev/null, which hides the vendor's file of the same name."""
    guest.symlink("/dev/null", path, code=CODE, reason=reason)
