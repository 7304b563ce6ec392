"""Files of sections with assignments: systemd's units (systemd.syntax(7)), NetworkManager's files.

A section or key may stand several times; an empty assignment empties the list so far. A backslash
at the end of a line continues it, past comments, which do not continue themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_BLANKS: Final = " \t\r"
# An assignment on a line of its own, and what is around its value.
_ASSIGNMENT: Final = re.compile(
    r"(?P<before>[ \t]*(?P<key>[^\s=#;\[]+)[ \t]*=[ \t]*)\S(?:.*\S)?(?P<after>\s*)"
)


@dataclass(frozen=True, slots=True)
class Ini:
    """The text of such a file and what it assigns: (section, key, value) in order."""

    text: str
    assignments: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        return self.text

    def sections(self, name: str) -> tuple[tuple[str, str, str], ...]:
        """Give every assignment in a section `name`."""
        return tuple(item for item in self.assignments if item[0] == name)

    def get_all(self, section: str, key: str) -> tuple[str, ...]:
        """Give every value of `key` in sections `section`, since it was last emptied."""
        found: list[str] = []
        for _, name, value in self.sections(section):
            if name != key:
                continue
            if value:
                found.append(value)
            else:
                found.clear()
        return tuple(found)

    def get(self, section: str, key: str) -> str:
        """Give the last value of `key` in sections `section`; "" when there is none."""
        return next((item[2] for item in reversed(self.sections(section)) if item[1] == key), "")

    def words(self, section: str, key: str) -> tuple[str, ...]:
        """Give the words of every value of `key` in sections `section`."""
        return tuple(word for value in self.get_all(section, key) for word in value.split())

    def with_drop_in(self, other: Ini) -> Ini:
        """Give what counts when the drop-in `other` is read after this file."""
        return Ini(self.text, self.assignments + other.assignments)


def parse(text: str) -> Ini:
    """Read a file; lines that mean nothing are passed over."""
    section = ""
    found = []
    for _, line in _lines(text.split("\n")):
        if _is_header(line):
            section = line[1:-1]
            continue
        key, equals, value = line.partition("=")
        if equals and key.strip(_BLANKS):
            found.append((section, key.strip(_BLANKS), value.strip(_BLANKS)))
    return Ini(text, tuple(found))


def with_value(text: str, section: str, key: str, value: str) -> str:
    """Give the text with `value` for every assignment of `key` in sections `section`.

    Assignments that empty the list, and those of several lines, stay as they are.
    """
    here = ""
    lines = text.split("\n")
    for numbers, line in _lines(lines):
        if _is_header(line):
            here = line[1:-1]
        elif here == section and len(numbers) == 1:
            found = _ASSIGNMENT.fullmatch(lines[numbers[0]])
            if found and found["key"] == key:
                lines[numbers[0]] = f"{found['before']}{value}{found['after']}"
    return "\n".join(lines)


def _is_header(line: str) -> bool:
    return line.startswith("[") and line.endswith("]")


def _lines(lines: Sequence[str]) -> Iterator[tuple[Sequence[int], str]]:
    """Give what counts of some lines, stripped, continuations joined by a blank.

    Each with the numbers of the lines that it is made of.
    """
    numbers: list[int] = []
    waiting: list[str] = []
    for number, raw in enumerate(lines):
        line = raw.strip(_BLANKS)
        if line.startswith(("#", ";")) or not (line or waiting):
            continue
        if not (waiting or line.endswith("\\")):  # most of them
            yield (number,), line
            continue
        continues = (len(line) - len(line.rstrip("\\"))) % 2 == 1
        numbers.append(number)
        waiting.append(line[:-1] if continues else line)
        if not continues:
            yield numbers, " ".join(waiting).strip(_BLANKS)
            numbers, waiting = [], []
    if waiting:
        yield numbers, " ".join(waiting).strip(_BLANKS)
