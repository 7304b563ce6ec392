"""systemd's unit files: sections of assignments (systemd.syntax(7)), as .network and .link are.

A section or key may stand several times; an empty assignment empties the list so far. A backslash
at the end of a line continues it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_CONTINUED: Final = re.compile(r"\\\n(?:[ \t]*[#;][^\n]*\n)*")
_SECTION: Final = re.compile(r"\s*\[([^\]]*)\]\s*")
_ASSIGNMENT: Final = re.compile(r"\s*([^=\s][^=]*?)\s*=\s*(.*?)\s*")


@dataclass(frozen=True, slots=True)
class Ini:
    """The text of a unit file and what it assigns: (section, key, value) in order."""

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


def parse(text: str) -> Ini:
    """Read a unit file; lines that mean nothing are passed over."""
    section = ""
    found = []
    for line in _CONTINUED.sub(" ", text.replace("\r\n", "\n")).split("\n"):
        if line.lstrip().startswith(("#", ";")):
            continue
        if header := _SECTION.fullmatch(line):
            section = header[1]
        elif assignment := _ASSIGNMENT.fullmatch(line):
            found.append((section, assignment[1], assignment[2]))
    return Ini(text, tuple(found))
