"""Files of shell assignments: os-release(5), /etc/default/grub, initramfs.conf(5).

Only assignments on lines of their own are understood, quoted as in sh(1); everything else survives
as it is. A value with an expansion in it is given as it is written (`is_dynamic` tells).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

# One assignment: indentation, name, and a value of quoted and bare parts; a backslash-newline
# continues it.
_ASSIGNMENT: Final = re.compile(
    r"""^(?P<head>[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)=)
        (?P<value>(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\;#&|<>()]|(?<=\S)\#)*)""",
    re.MULTILINE | re.VERBOSE | re.DOTALL,
)
_PART: Final = re.compile(r"""'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)|([^'"\\]+)""", re.DOTALL)
_PLAIN: Final = re.compile(r"[A-Za-z0-9_./:,@%+=-]*")


@dataclass(frozen=True, slots=True)
class ShellVars:
    """The text of such a file, with its assignments. Every edit gives a new one."""

    text: str

    def __str__(self) -> str:
        return self.text

    def get(self, name: str) -> str | None:
        """Give the value of the last assignment to `name`, unquoted."""
        match = self._last(name)
        return None if match is None else _unquote(match["value"])

    def is_dynamic(self, name: str) -> bool:
        """Tell whether the value of `name` holds an expansion, which is not carried out here."""
        match = self._last(name)
        if match is None:
            return False
        single = re.sub(r"'[^']*'|\\.", "", match["value"])
        return "$" in single or "`" in single

    def with_value(self, name: str, value: str) -> ShellVars:
        """Give the file with `value` in the last assignment to `name`, or in a new one."""
        match = self._last(name)
        if match is None:
            gap = "" if not self.text or self.text.endswith("\n") else "\n"
            return ShellVars(f"{self.text}{gap}{name}={_quote(value)}\n")
        start, end = match.span("value")
        return ShellVars(self.text[:start] + _quote(value) + self.text[end:])

    def _last(self, name: str) -> re.Match[str] | None:
        found = None
        for match in _ASSIGNMENT.finditer(self.text):
            if match["name"] == name:
                found = match
        return found


def parse(text: str) -> ShellVars:
    """Read a file; any text is accepted."""
    return ShellVars(text)


def _unquote(value: str) -> str:
    parts = []
    for single, double, escaped, bare in _PART.findall(value):
        if double:
            parts.append(re.sub(r"\\(\n|[$`\"\\])", lambda m: m[1].strip("\n"), double))
        else:
            parts.append(single or bare or escaped.strip("\n"))
    return "".join(parts)


def _quote(value: str) -> str:
    if value and _PLAIN.fullmatch(value):
        return value
    escaped = re.sub(r"([$`\"\\])", r"\\\1", value)
    return f'"{escaped}"'
