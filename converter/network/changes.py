"""How every stack plans its changes: with one code and one reason, and on nothing but files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest import paths
from converter.model import FileKind
from converter.network.links import merge, on_cards

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converter.guest.recording import RecordingGuest
    from converter.model import NetworkLink

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


def remove_ifcfg(
    guest: RecordingGuest,
    links: Mapping[str, NetworkLink],
    *,
    beside: Sequence[str],
    except_for: str,
) -> None:
    """Plan that the ifcfg files of cards go: `links` by path, all but the file `except_for`.

    So do the files beside them for the same link, whose names begin with one of `beside`.
    """
    gone = {link.name for link in on_cards(merge(links.values()))}
    for path, link in links.items():
        if link.name not in gone:
            continue
        if path != except_for:
            remove(guest, path)
        directory, _, suffix = path.rpartition("/ifcfg-")
        for prefix in beside:
            remove(guest, f"{directory}/{prefix}{suffix}")


def mask(guest: RecordingGuest, path: str, *, reason: str = REASON) -> None:
    """Plan that `path` is a link to /dev/null, which hides the vendor's file of the same name."""
    guest.symlink("/dev/null", path, code=CODE, reason=reason)
