"""lvm.conf(5): filters that let LVM see only disks with the names of one machine.

Patterns of a filter are regular expressions of the guest's: they are looked at, and not run.
"""

from __future__ import annotations

import re
from typing import Final

from converter.formats import columns

_STRING: Final = r'"(?:\\.|[^"\\\n])*"'
_LIST: Final = rf"\[(?:{_STRING}|[\s,]|#[^\n]*\n)*\]"
_SETTING: Final = rf"(?:devices/)?(?:global_)?filter[ \t]*=[ \t]*({_STRING}|{_LIST})"
_FILTER: Final = re.compile(rf"^[ \t]*{_SETTING}[^\n]*\n?", re.MULTILINE)
# Behind the beginning of its section, on one line.
_INLINE: Final = re.compile(rf"^[^#\"\n]*\{{[ \t]*{_SETTING}", re.MULTILINE)
_COMMENT: Final = re.compile(rf"({_STRING})|#[^\n]*")
_PATTERN: Final = re.compile(_STRING)
# What an accepting pattern looks like that is about certain disks: their names, or their places.
_DISKS: Final = re.compile(r"\b(?:sd|hd|vd|xvd|nvme)|\[[a-z]+\]d|by-path|by-id")
# What matches wherever it is looked for in the path of a device.
_ALL: Final = re.compile(r"(?:\.[*+?]?|/|\bdev\b)*")
_EVERYTHING: Final = '[ "a|.*|" ]'
_REASON: Final = "disks have other names on EC2"


def without_disk_filters(text: str) -> str:
    """Give the text with every filter as a comment that refuses all but disks it names.

    What it accepts beside them, such as DRBD's devices, is found without it, too.
    """

    def commented_out(match: re.Match[str]) -> str:
        if not _is_for_disks(match[1]):
            return match[0]
        return columns.commented_out("# ".join(columns.lines(match[0])), _REASON)

    def opened(match: re.Match[str]) -> str:
        if not _is_for_disks(match[1]):
            return match[0]
        return f"{match[0].removesuffix(match[1])}{_EVERYTHING}"

    return _INLINE.sub(opened, _FILTER.sub(commented_out, text))


def _is_for_disks(value: str) -> bool:
    strings = _PATTERN.findall(_COMMENT.sub(lambda match: match[1] or "", value))
    patterns = [item[1:-1] for item in strings]
    refuses_all = any(pattern[:1] == "r" and _is_all(pattern[2:-1]) for pattern in patterns)
    names_disks = any(pattern[:1] == "a" and _DISKS.search(pattern) for pattern in patterns)
    return refuses_all and names_disks


def _is_all(expression: str) -> bool:
    return _ALL.fullmatch(expression.translate({ord(mark): None for mark in "^$()"})) is not None
