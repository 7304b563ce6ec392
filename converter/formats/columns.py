r"""Lines of fields between blanks, as getmntent(3) reads them: /etc/fstab, /etc/crypttab.

A field that is edited changes nothing else in its line. Escapes are octal (`\040`), one a byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
_FIELD: Final = re.compile(r"[^ \t\r\n]+")
_ESCAPES: Final = re.compile(r"(?:\\[0-3][0-7]{2})+")
_SPECIAL: Final = re.compile(r"[ \t\r\n\\]")


def lines(text: str) -> list[str]:
    """Give the lines of `text`, each with its newline."""
    return _LINE.findall(text)


def fields(line: str, *, most: int) -> list[str]:
    """Give at most the first `most` fields of a line; none of one that is blank or a comment.

    A remark behind the third field ends them: programs read what follows as absent.
    """
    found = [match[0] for match in _matches(line, most)]
    return [] if found and found[0].startswith("#") else found


def _matches(line: str, most: int) -> Iterator[re.Match[str]]:
    for number, match in enumerate(_FIELD.finditer(line)):
        if number == most or (number > 2 and match[0].startswith("#")):
            return
        yield match


def with_field(line: str, number: int, value: str) -> str:
    """Give a line with `value` in field `number`, which is there, or is the next after the last."""
    found = list(_matches(line, number + 1))
    if number < len(found):
        start, end = found[number].span()
        return line[:start] + value + line[end:]
    end = found[-1].end()
    return f"{line[:end]} {value}{line[end:]}"


def commented_out(line: str, reason: str) -> str:
    """Give a line as a comment, under one that says why."""
    return f"# converter: {reason}\n# {line}"


def decode(field: str) -> str:
    """Give what a field means; bytes that are not UTF-8 become surrogate escapes."""
    return _ESCAPES.sub(_decode_run, field)


def _decode_run(match: re.Match[str]) -> str:
    data = bytes(int(digits, 8) for digits in match[0].split("\\")[1:])
    return data.decode("utf-8", "surrogateescape")


def encode(value: str) -> str:
    """Give `value` as a field that means it."""
    return _SPECIAL.sub(lambda match: f"\\{ord(match[0]):03o}", value)
