"""Finding one's way in a guest: symlinks, patterns and text, over the `Guest` protocol alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import globs
from converter.guest.protocol import TEXT_LIMIT, Code
from converter.model import FileKind

if TYPE_CHECKING:
    from converter.guest.protocol import Named, ReadableGuest

# Linux' own limit on the links in one path (path_resolution(7)).
MAX_LINKS: Final = 40
# PATH_MAX of Linux: a longer path is one that no program could open.
MAX_PATH: Final = 4096
# NAME_MAX of Linux, in bytes.
MAX_NAME: Final = 255


def resolve(guest: Named, path: str, *, follow_last: bool = True) -> str:
    """Give `path` without symlinks, resolved inside the guest.

    Components that do not exist are kept as they are. Raises `GuestError` ``guest-link-loop``, and
    ``guest-operation-failed`` for a path longer than any can be.
    """
    if len(path) > MAX_PATH:
        raise GuestError(Code.FAILED, f"{path[:80]}…: is longer than a path can be")
    todo = [part for part in reversed(path.split("/")) if part]
    done = ""
    links = 0
    while todo:
        part = todo.pop()
        if part == ".":
            continue
        if part == "..":
            done = done.rpartition("/")[0]
            continue
        here = f"{done}/{part}"
        stat = guest.lstat(here) if follow_last or todo else None
        if stat is None or stat.kind is not FileKind.SYMLINK:
            done = here
            continue
        links += 1
        if links > MAX_LINKS:
            raise GuestError(Code.LINK_LOOP, f"{path}: too many levels of symbolic links")
        target = guest.readlink(here)
        if target.startswith("/"):
            done = ""
        todo += [step for step in reversed(target.split("/")) if step]
    return done or "/"


def kind(guest: ReadableGuest, path: str) -> FileKind | None:
    """Give what `path` leads to, through any links; None when there is nothing.

    Nothing is there for the guest's own programs either where links lead in a circle, or at a path
    that the kernel would not take.
    """
    if not _is_possible(path):
        return None
    try:
        place = resolve(guest, path)
    except GuestError as error:
        if error.code == Code.LINK_LOOP:
            return None
        raise
    stat = guest.lstat(place)
    return None if stat is None else stat.kind


def _is_possible(path: str) -> bool:
    if "\0" in path or len(path) > MAX_PATH:
        return False
    return len(path) <= MAX_NAME or all(len(encode(part)) <= MAX_NAME for part in path.split("/"))


def is_file(guest: ReadableGuest, path: str) -> bool:
    """Tell whether `path` leads to a regular file."""
    return kind(guest, path) is FileKind.FILE


def is_directory(guest: ReadableGuest, path: str) -> bool:
    """Tell whether `path` leads to a directory."""
    return kind(guest, path) is FileKind.DIRECTORY


def names(guest: ReadableGuest, path: str) -> tuple[str, ...]:
    """Give the names in the directory `path`; none when it is not there."""
    return guest.list(path) if is_directory(guest, path) else ()


def glob(guest: ReadableGuest, pattern: str) -> tuple[str, ...]:
    """Find the paths that match `pattern` as a shell would (see the manual page glob, section 7).

    Hidden names match only a pattern that begins with a dot itself, as in a shell.
    """
    found = [""]
    for part in [part for part in pattern.split("/") if part]:
        if not any(character in part for character in "*?["):
            found = [f"{directory}/{part}" for directory in found]
            continue
        found = [
            f"{directory}/{name}"
            for directory in found
            for name in names(guest, directory or "/")
            if globs.matches(name, part) and name.startswith(".") <= part.startswith(".")
        ]
    return tuple(path for path in found if kind(guest, path) is not None)


def text(guest: ReadableGuest, path: str, *, limit: int = TEXT_LIMIT) -> str | None:
    """Give the text of a file of at most `limit` bytes, None when there is none at `path`.

    Bytes that are not UTF-8 survive as surrogate escapes; `encode` gives them back.
    """
    if not is_file(guest, path):
        return None
    return guest.read(path, limit=limit).decode("utf-8", "surrogateescape")


def encode(content: str) -> bytes:
    """Give the bytes of what `text` read."""
    return content.encode("utf-8", "surrogateescape")
