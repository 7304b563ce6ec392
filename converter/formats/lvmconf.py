"""lvm.conf(5): filters that let LVM see only disks with the names of one machine.

Patterns of a filter are regular expressions of the guest's: they are looked at, and not run.
"""

from __future__ import annotations

import re
from typing import Final

from converter.formats import columns

_STRING: Final = r'"(?:\\.|[^"\\\n])*"'
_LIST: Final = rf"\[\s*(?:{_STRING}\s*(?:,\s*)?)*\]"
_FILTER: Final = re.compile(
    rf"^[ \t]*(?:global_)?filter[ \t]*=[ \t]*({_STRING}|{_LIST})[^\n]*\n?", re.MULTILINE
)
_PATTERN: Final = re.compile(_STRING)
# What an accepting pattern looks like that is about certain disks: their names, or their places.
_DISKS: Final = re.compile(r"/?\b(?:sd|hd|vd|xvd|nvme)|by-path|by-id")
_REASON: Final = "disks have other names on EC2"


def without_disk_filters(text: str) -> str:
    """Give the text with every filter as a comment that refuses all but disks it names."""
    return _FILTER.sub(lambda match: _edited(match[0], match[1]), text)


def _edited(setting: str, value: str) -> str:
    patterns = [item[1:-1] for item in _PATTERN.findall(value)]
    accepted = [pattern for pattern in patterns if pattern.startswith("a")]
    refuses_all = any(pattern[:1] == "r" and _is_all(pattern[2:-1]) for pattern in patterns)
    if not (refuses_all and accepted and all(_DISKS.search(pattern) for pattern in accepted)):
        return setting
    lines = columns.lines(setting)
    return columns.commented_out("# ".join(lines), _REASON)


def _is_all(expression: str) -> bool:
    return expression.strip("^$") in (".*", "", ".", ".+", "/.*", "/dev/.*", "/dev/", "/", "(.*)")
