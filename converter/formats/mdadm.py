"""mdadm.conf(5): which arrays it names, and an edit that lets them be found on any disks.

A line that begins with a blank continues the one before; keywords may be cut to three letters and
have no case. Everything that is not edited survives byte for byte.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

# Empty lines, however many; or a line with those that continue it.
_LOGICAL: Final = re.compile(r"\n+|[^\n]+(?:\n|\Z)(?:(?=[ \t])[^\S\n]*\S[^\n]*(?:\n|\Z))*")
_WORD: Final = re.compile(r'(?:"[^"\n]*"|[^\s"])+')
_REMARK: Final = re.compile(r"(?<!\S)#[^\n]*")
_VALUE: Final = r'devices=(?:"[^"\n]*"|[^\s"])*'
_MEMBERS: Final = re.compile(rf"(?<![ \t])[ \t]+({_VALUE})", re.IGNORECASE)
# On a line of their own, which goes with them: a blank one would end the array's.
_LINE: Final = re.compile(rf"^[ \t]+{_VALUE}[ \t]*(?:\n|\Z)", re.IGNORECASE | re.MULTILINE)
_ANY: Final = "partitions"


def arrays(text: str) -> tuple[tuple[str, str], ...]:
    """Give each array's device and UUID (lower-case digits alone), "" where it has none."""
    found = []
    for line in _LOGICAL.findall(text):
        words = _words(line) if _is_keyword(line, "array") else []
        if len(words) > 1:
            found.append((words[1], uuid_digits(_value(words, "uuid"))))
    return tuple(found)


def uuid_digits(uuid: str) -> str:
    """Give an array's UUID without what separates its digits: programs differ in that."""
    return re.sub(r"[^0-9a-f]", "", uuid.lower())


def on_any_disk(text: str, uuid_of: Callable[[str], str]) -> str:
    """Give the text with no disk named: `DEVICE` allows all, `ARRAY` knows its array by UUID.

    `uuid_of` gives the UUID of the array that has a device name, "" where it is not known.
    """
    logical: list[str] = _LOGICAL.findall(text)
    devices = [line for line in logical if _is_keyword(line, "device")]
    named = bool(devices) and not any(_ANY in _words(line)[1:] for line in devices)
    edited = []
    for line in logical:
        if named and line is devices[0]:
            edited.append(f"DEVICE {_ANY}{_ending(line)}")
        elif _is_keyword(line, "array"):
            edited.append(_without_members(line, uuid_of))
        else:
            edited.append(line)
    return "".join(edited)


def _without_members(line: str, uuid_of: Callable[[str], str]) -> str:
    words = _words(line)
    if len(words) < 2 or not _value(words, "devices"):
        return line
    if any(_value(words, tag) for tag in ("uuid", "name", "super-minor")):
        return _MEMBERS.sub("", _LINE.sub("", line))
    uuid = uuid_of(words[1])
    return _MEMBERS.sub(f" UUID={uuid}", line) if uuid else line


def _words(line: str) -> list[str]:
    return [word.replace('"', "") for word in _WORD.findall(_REMARK.sub("", line))]


def _value(words: list[str], tag: str) -> str:
    values = [word.partition("=")[2] for word in words if word.lower().startswith(f"{tag}=")]
    return values[-1] if values else ""


def _is_keyword(line: str, keyword: str) -> bool:
    if line[0] in "\n#":  # as most of a file may be
        return False
    words = _words(line)
    return bool(words) and _is(words[0], keyword)


def _is(word: str, keyword: str) -> bool:
    return len(word) >= 3 and keyword.startswith(word.lower())


def _ending(line: str) -> str:
    return "\n" if line.endswith("\n") else ""
