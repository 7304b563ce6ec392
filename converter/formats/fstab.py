"""/etc/fstab as fstab(5) has it: read, edited in place, written back byte for byte.

Read as getmntent(3) does, which is what starts a guest: fields that are missing have their
defaults, and numbers that are none are 0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import columns

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_FIELDS: Final = 6
_LEAST_FIELDS: Final = 3
# Types whose lines have no mount point.
_UNPLACED: Final = frozenset({"swap", "ignore"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands, its newline included."""

    text: str

    def commented_out(self, reason: str) -> Line:
        """Give the line as a comment under one that says why."""
        return Line(columns.commented_out(self.text, reason))


@dataclass(frozen=True, slots=True)
class Entry(Line):
    """A line that mounts something. Escapes in `spec` and `path` are decoded."""

    spec: str
    path: str
    type: str
    options: tuple[str, ...]
    freq: int
    passno: int

    @property
    def is_swap(self) -> bool:
        """Whether it is a swap area, which is mounted nowhere."""
        return self.type == "swap"

    def with_spec(self, spec: str) -> Line:
        """Give the line with another first field; its spacing stays."""
        return self._with_field(0, columns.encode(spec))

    def with_options(self, options: tuple[str, ...]) -> Line:
        """Give the line with other options; a missing field is added."""
        return self._with_field(3, ",".join(options) or "defaults")

    def with_passno(self, passno: int) -> Line:
        """Give the line with another order of checking; fields that are missing are added."""
        line = self.with_options(self.options)
        text = columns.with_field(line.text, 4, str(self.freq))
        return _parse_line(columns.with_field(text, 5, str(passno)))

    def _with_field(self, number: int, value: str) -> Line:
        return _parse_line(columns.with_field(self.text, number, value))


@dataclass(frozen=True, slots=True)
class Invalid(Line):
    """A line that is neither blank, comment nor usable entry."""


@dataclass(frozen=True, slots=True)
class Fstab:
    """The lines of a file, in order. An edit gives a new table."""

    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "".join(line.text for line in self.lines)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The lines that mount something."""
        return tuple(line for line in self.lines if isinstance(line, Entry))

    @property
    def invalid(self) -> tuple[Invalid, ...]:
        """The lines that mean nothing to mount(8)."""
        return tuple(line for line in self.lines if isinstance(line, Invalid))

    def edited(self, edit: Callable[[Entry], Line]) -> Fstab:
        """Give the table with `edit` of each entry in its place."""
        texts = [(edit(line) if isinstance(line, Entry) else line).text for line in self.lines]
        return parse("".join(texts))

    def without_invalid(self, reason: str) -> Fstab:
        """Give the table with its invalid lines as comments."""
        texts = [
            (line.commented_out(reason) if isinstance(line, Invalid) else line).text
            for line in self.lines
        ]
        return parse("".join(texts))


def parse(text: str) -> Fstab:
    """Read a whole file; any text is accepted, and `str` of the result is that text."""
    return Fstab(tuple(_parse_line(line) for line in columns.lines(text)))


def _parse_line(text: str) -> Line:
    found = columns.fields(text, most=_FIELDS)
    if not found:
        return Line(text)
    rest = [*found[3:], *("defaults", "0", "0")[len(found[3:]) :]]
    if len(found) < _LEAST_FIELDS:
        return Invalid(text)
    path = columns.decode(found[1])
    if not (found[2] in _UNPLACED or _is_place(path)):
        return Invalid(text)
    return Entry(
        text,
        spec=columns.decode(found[0]),
        path=path,
        type=found[2],
        options=tuple(rest[0].split(",")),
        freq=_number(rest[1]),
        passno=_number(rest[2]),
    )


def _is_place(path: str) -> bool:
    """Tell whether a filesystem can be mounted there: `none` stands for no place at all."""
    return path.startswith("/") or path == "none"


def _number(field: str) -> int:
    return int(field) if _NUMBER.fullmatch(field) else 0
