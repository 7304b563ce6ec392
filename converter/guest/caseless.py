"""Finding files of a Windows guest, whose names have no case (NTFS and FAT keep the one given)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.protocol import Code
from converter.model import FileKind

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest

_SEPARATORS: Final = re.compile(r"[\\/]+")
# As ntfs-3g says where a link would lead, the number of the reparse point's tag behind it.
_UNREADABLE: Final = "unsupported reparse "


def find(guest: ReadableGuest, directory: str, path: str) -> str:
    r"""Give what `path` (as `System32\config`) is below `directory`, as it is written there.

    Parts that are not there are given as they were asked for. Nothing leads out of `directory`:
    `..` is no part of a path here.
    """
    found, missing = _locate(guest, directory, path)
    return "/".join((found, *missing)) or "/"


def _locate(guest: ReadableGuest, directory: str, path: str) -> tuple[str, list[str]]:
    """Give the place of as much of `path` as is there, and the parts that are not."""
    place = directory.rstrip("/")
    parts = [part for part in _SEPARATORS.split(path) if part not in ("", ".", "..")]
    for number, part in enumerate(parts):
        name = _child(guest, place or "/", part)
        if name is None:
            return place, parts[number:]
        place = f"{place}/{name}"
    return place, []


def _child(guest: ReadableGuest, directory: str, name: str) -> str | None:
    """Give how `name` is written in `directory`, None where it is not there.

    Names come from the guest's registry, which may have any: no file is called what cannot be.
    """
    if not _is_possible(f"{directory}/{name}", name):
        return None
    try:
        if not paths.is_directory(guest, directory):
            return None
        if guest.lstat(f"{directory.rstrip('/')}/{name}") is not None:
            return name
        there = guest.list(directory)
    except GuestError as error:
        if error.code in Code.ODD:
            return None
        raise
    return next((found for found in there if found.upper() == name.upper()), None)


def _is_possible(path: str, name: str) -> bool:
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return False
    return "\0" not in name and size <= paths.MAX_NAME and len(path) <= paths.MAX_PATH


def is_file(guest: ReadableGuest, directory: str, path: str) -> bool:
    """Tell whether there is a regular file `path` below `directory`."""
    found, missing = _locate(guest, directory, path)
    return not missing and paths.is_file(guest, found)


def has_file(guest: ReadableGuest, directory: str, path: str) -> bool:
    """Tell whether Windows has a file `path` below `directory`, though it may not be readable here.

    A Windows that is compressed ("CompactOS") has its programs and drivers in a form that only its
    own boot loader and kernel read. ntfs-3g shows what it has no plugin for as a link.
    """
    place, missing = _locate(guest, directory, path)
    if missing:
        return False
    stat = guest.lstat(place)
    if stat is not None and stat.kind is FileKind.SYMLINK:
        return guest.readlink(place).startswith(_UNREADABLE) or paths.is_file(guest, place)
    return paths.is_file(guest, place)
