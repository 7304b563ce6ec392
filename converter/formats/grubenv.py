"""GRUB's environment block (GNU GRUB manual, "The GRUB environment block").

A file of 1024 bytes: a signature line, `name=value` lines (newlines and backslashes in values
escaped by a backslash), comments, and `#` up to the end. GRUB itself reads blocks of any size, and
writes them only in place: a block never becomes smaller.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SIGNATURE: Final = b"# GRUB Environment Block\n"
SIZE: Final = 1024

# A line with its newline: of a variable up to the first newline that is not escaped.
_LINE: Final = re.compile(r"#[^\n]*\n?|(?:\\.|[^\\\n])*\n?|\\", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def parse(data: bytes) -> dict[str, str]:
    """Give the variables of an environment block.

    Raises `FormatError` when the signature is missing; GRUB ignores such a file.
    """
    variables: dict[str, str] = {}
    for line in _lines(data):
        name, equals, value = line.removesuffix("\n").partition("=")
        if equals and not line.startswith("#"):
            variables[name] = _ESCAPED.sub(r"\1", value)
    return variables


def with_values(data: bytes, changes: Mapping[str, str | None]) -> bytes:
    """Give the block with variables set, or taken out where the value is None.

    Lines of other variables and comments stay. Raises `FormatError` as `parse` does.
    """
    kept, left = [], dict(changes)
    for line in _lines(data):
        name, equals, _ = line.partition("=")
        is_variable = bool(equals) and not line.startswith("#")
        if is_variable and name in changes:
            value = left.pop(name, None)
            kept += [] if value is None else [_line(name, value)]
        elif is_variable or (line.strip("#\n") and line != "\\"):
            kept.append(line if line.endswith("\n") else f"{line}\n")
    kept += [_line(name, value) for name, value in left.items() if value is not None]
    content = SIGNATURE + "".join(kept).encode("utf-8", "surrogateescape")
    size = max(len(data), SIZE, -(-len(content) // SIZE) * SIZE)
    return content.ljust(size, b"#")


def one_time(variables: Mapping[str, str]) -> dict[str, str | None]:
    """Give the changes that take away what is chosen for the next boot only.

    grub-reboot sets `next_entry`; before 2.00 it set `saved_entry`, and kept the lasting choice as
    `prev_saved_entry`.
    """
    changes: dict[str, str | None] = {}
    if variables.get("next_entry"):
        changes["next_entry"] = None
    if variables.get("prev_saved_entry"):
        changes["saved_entry"] = variables["prev_saved_entry"]
        changes["prev_saved_entry"] = None
    return changes


def _line(name: str, value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("\n", "\\\n")
    return f"{name}={escaped}\n"


def _lines(data: bytes) -> Iterator[str]:
    """Give the lines behind the signature, with their newlines; an escaped one ends none."""
    if not data.startswith(SIGNATURE):
        raise FormatError("not a GRUB environment block: the signature is missing")
    text = data[len(SIGNATURE) :].decode("utf-8", "surrogateescape")
    yield from (match[0] for match in _LINE.finditer(text) if match[0])
