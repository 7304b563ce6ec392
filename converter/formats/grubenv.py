"""GRUB's environment block (GNU GRUB manual, "The GRUB environment block").

A file of exactly 1024 bytes: a signature line, `name=value` lines (newlines and backslashes in
values escaped by a backslash), and `#` up to the end.
"""

from __future__ import annotations

from typing import Final

from converter.formats import FormatError

SIGNATURE: Final = b"# GRUB Environment Block\n"


def parse(data: bytes) -> dict[str, str]:
    """Give the variables of an environment block.

    Raises `FormatError` when the signature is missing; GRUB ignores such a file.
    """
    if not data.startswith(SIGNATURE):
        raise FormatError("not a GRUB environment block: the signature is missing")
    variables: dict[str, str] = {}
    for line in _lines(data[len(SIGNATURE) :].decode("utf-8", "surrogateescape")):
        name, equals, value = line.partition("=")
        if equals and not name.startswith("#"):
            variables[name] = value
    return variables


def _lines(text: str) -> list[str]:
    """Split at newlines that are not escaped, and take the escapes away."""
    lines = [""]
    characters = iter(text)
    for character in characters:
        if character == "\\":
            lines[-1] += next(characters, "")
        elif character == "\n":
            lines.append("")
        else:
            lines[-1] += character
    return lines
