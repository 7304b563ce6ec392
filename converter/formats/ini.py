"""Files of sections with assignments: systemd's units (systemd.syntax(7)), NetworkManager's files.

A section or key may stand several times; an empty assignment empties the list so far. A backslash
at the end of a line continues it, past comments, which do not continue themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLANKS: Final = " \t\r"
# An assignment on a line of its own, and what is around its value.
_ASSIGNMENT: Final = re.compile(
    r"(?P<before>[ \t]*(?P<key>[^\s=#;\[]+)[ \t]*=[ \t]*)\S(?:.*[^\s\\])?(?P<after>\s*)"
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
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
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
    here, continued = "", False
    lines = text.split("\n")
    for number, line in enumerate(lines):
        found = _ASSIGNMENT.fullmatch(line)
        if found and here == section and found["key"] == key and not continued:
            lines[number] = f"{found['before']}{value}{found['after']}"
        stripped = line.strip(_BLANKS)
        continued = stripped.endswith("\\")
        if stripped.startswith("[") and stripped.endswith("]"):
            here = stripped[1:-1]
    return "\n".join(lines)


def _lines(text: str) -> Iterator[str]:
    """Give the lines that count, stripped, continuations joined by a blank."""
    waiting: list[str] = []
    for raw in text.split("\n"):
        line = raw.strip(_BLANKS)
        if line.startswith(("#", ";")):
            continue
        if (len(line) - len(line.rstrip("\\"))) % 2:
            waiting.append(line[:-1])
            continue
        yield " ".join([*waiting, line]).strip(_BLANKS)
        waiting.clear()
    if waiting:
        yield " ".join(waiting).strip(_BLANKS)
