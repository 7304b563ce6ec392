"""GRUB 2's menu: its entries, and which of them starts by default.

Files are named as GRUB names them, `(device)/path`; what a device is, `Files` knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAME: Final = re.compile(r"((?:[^>]|>>)*)(>?)", re.DOTALL)


class Files(Protocol):
    """The files that a script can ask for, by GRUB's names for them: `(device)/path`."""

    def read(self, name: str) -> str | None:
        """Give the text of a file, bytes that are not UTF-8 as surrogates; None without one."""

    def size(self, name: str) -> int | None:
        """Give the size of a file, None if there is none."""

    def names(self, name: str) -> tuple[str, ...] | None:
        """Give the names in a directory, None if there is none."""

    def search(self, by: str, value: str) -> str | None:
        """Give the device with the filesystem that has the `uuid`, `label` or `file` `value`."""


@dataclass(frozen=True, slots=True)
class MenuEntry:
    """An entry or a submenu (`children`). Files are named with their devices.

    `source` is the file that an entry of the Boot Loader Specification stands in, `config` the file
    whose menu the entry shows, `hypervisor` what it starts the kernel in.
    """

    title: str
    identifier: str
    linux: str = ""
    arguments: tuple[str, ...] = ()
    initrds: tuple[str, ...] = ()
    children: tuple[MenuEntry, ...] = ()
    source: str = ""
    config: str = ""
    hypervisor: str = ""
    needs_password: bool = False


@dataclass(frozen=True, slots=True)
class GrubMenu:
    """The menu, and the variables as they are when it is shown.

    `config` is the file whose menu it is: another than the one evaluated if that leads to it.
    `scripts` are the files that were carried out, `config` and the one evaluated among them;
    `uses_bls` tells whether entries of the Boot Loader Specification were asked for.
    """

    config: str
    entries: tuple[MenuEntry, ...]
    variables: Mapping[str, str]
    scripts: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()
    uses_bls: bool = False


@dataclass(frozen=True, slots=True)
class Selection:
    """The entry that starts by default.

    `is_fallback`: `wanted` names no entry, and GRUB takes the first.
    """

    wanted: str
    entry: MenuEntry | None
    is_fallback: bool


def split_name(name: str) -> tuple[str, str]:
    """Take `(device)/path` apart; the device is "" where none is named."""
    if name.startswith("("):
        device, bracket, path = name[1:].partition(")")
        if bracket:
            return device, path
    return "", name


def all_entries(menu: GrubMenu) -> Iterator[MenuEntry]:
    """Give every entry that starts something, those of submenus too."""

    def walk(entries: Sequence[MenuEntry]) -> Iterator[MenuEntry]:
        for entry in entries:
            if entry.children:
                yield from walk(entry.children)
            else:
                yield entry

    return walk(menu.entries)


# --- the default ----------------------------------------------------------------------------------


def select(menu: GrubMenu) -> Selection:
    """Find the entry that `default` means: index, title, id, or `submenu>entry` of those.

    A `>` in a title is written twice. In a submenu that is named without an entry, or with one that
    is not there, GRUB takes the first.
    """
    wanted = menu.variables.get("default", "")
    entries, entry, missing = menu.entries, None, False
    for name in _names(wanted):
        found = _find(entries, name) if entries else None
        missing = missing or (found is None and bool(name))
        entry = found or next(iter(entries), None)
        entries = entry.children if entry is not None and found is not None else ()
        if not entries:
            break
    while entry is not None and entry.children:
        entry = entry.children[0]
    return Selection(wanted, entry, is_fallback=missing)


def _names(wanted: str) -> Iterator[str]:
    """Take `submenu>entry` apart."""
    at, more = 0, True
    while more and (match := _NAME.match(wanted, at)):
        yield match[1].replace(">>", ">")
        at, more = match.end(), bool(match[2])


def _find(entries: Sequence[MenuEntry], name: str) -> MenuEntry | None:
    number = name.strip(" ")
    if number.isascii() and number.isdecimal():
        return entries[int(number)] if len(number) < 9 and int(number) < len(entries) else None
    return next(
        (entry for entry in entries if name and name in (entry.title, entry.identifier)), None
    )
