"""/etc/fstab as fstab(5) has it: read, edited in place, written back byte for byte.

Limits: escapes other than the octal ones of getmntent(3) are left as they are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_FIELD: Final = re.compile(r"[^ \t\r\n]+")
_ESCAPE: Final = re.compile(r"\\(0[0-7]{2}|1[0-7]{2})")
_LEAST_FIELDS: Final = 3


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands, its newline included."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry(Line):
    """A line that mounts something. Escapes in `spec` and `path` are decoded."""

    spec: str
    path: str
    type: str
    options: tuple[str, ...]
    freq: int
    passno: int


@dataclass(frozen=True, slots=True)
class Invalid(Line):
    """A line that is neither blank, comment nor usable entry."""


@dataclass(frozen=True, slots=True)
class Fstab:
    """The lines of a file, in order. Every edit gives a new table."""

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

    def with_spec(self, entry: Entry, spec: str) -> Fstab:
        """Give the table with another first field in `entry`; its spacing stays."""
        return self._with_field(entry, 0, _encode(spec))

    def with_options(self, entry: Entry, options: tuple[str, ...]) -> Fstab:
        """Give the table with other options in `entry`; a missing field is added."""
        return self._with_field(entry, 3, ",".join(options) or "defaults")

    def commented_out(self, line: Line, reason: str) -> Fstab:
        """Give the table with `line` as a comment under one that says why."""
        note = Line(f"# converter: {reason}\n")
        return self._replaced(line, (note, Line(f"# {line.text}")))

    def _with_field(self, entry: Entry, number: int, value: str) -> Fstab:
        fields = list(_FIELD.finditer(entry.text))
        if number < len(fields):
            start, end = fields[number].span()
            text = entry.text[:start] + value + entry.text[end:]
        else:
            end = fields[-1].end()
            text = f"{entry.text[:end]} {value}{entry.text[end:]}"
        return self._replaced(entry, (_parse_line(text),))

    def _replaced(self, line: Line, by: tuple[Line, ...]) -> Fstab:
        # By identity: equal lines may stand twice in a file.
        at = next(number for number, item in enumerate(self.lines) if item is line)
        return replace(self, lines=(*self.lines[:at], *by, *self.lines[at + 1 :]))


def parse(text: str) -> Fstab:
    """Read a whole file; any text is accepted, and `str` of the result is that text."""
    return Fstab(tuple(_parse_line(line) for line in _LINE.findall(text)))


def _parse_line(text: str) -> Line:
    fields = _FIELD.findall(text)
    if not fields or fields[0].startswith("#"):
        return Line(text)
    # What follows the sixth field is a remark for most readers, not an error.
    if len(fields) < _LEAST_FIELDS:
        return Invalid(text)
    rest = [*fields[3:6], *("defaults", "0", "0")[len(fields[3:6]) :]]
    spec, path, kind, options, freq, passno = [*fields[:3], *rest]
    if not (freq.isdigit() and passno.isdigit()):
        return Invalid(text)
    return Entry(
        text,
        _decode(spec),
        _decode(path),
        kind,
        tuple(options.split(",")),
        int(freq),
        int(passno),
    )


def _decode(field: str) -> str:
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)


def _encode(field: str) -> str:
    return re.sub(r"[ \t\n\\]", lambda match: f"\\{ord(match[0]):03o}", field)
