"""The orders in which boot loaders put versions.

`rpm`: rpm's, as Fedora's GRUB has it in blscfg (with `~` before everything, and `+` behind its base
only). `uapi`: the UAPI Group's Version Format Specification (UAPI.10), systemd-boot's order.

Both give a negative number, 0 or a positive one, as `functools.cmp_to_key` takes it.
"""

from __future__ import annotations

import re
from typing import Final

_RPM_NOISE: Final = re.compile(r"[^A-Za-z0-9~+]*")
_UAPI_NOISE: Final = re.compile(r"[^A-Za-z0-9~^.-]*")
_DIGITS: Final = re.compile(r"[0-9]*")
_LETTERS: Final = re.compile(r"[A-Za-z]*")


def rpm(left: str, right: str) -> int:
    """Compare two versions as rpm does."""
    at, to = 0, 0
    while at < len(left) or to < len(right):
        at, to = _after(_RPM_NOISE, left, at), _after(_RPM_NOISE, right, to)
        first, second = left[at : at + 1], right[to : to + 1]
        if "~" in (first, second):
            if first != second:
                return -1 if first == "~" else 1
            at, to = at + 1, to + 1
            continue
        if "+" in (first, second):
            if not first or not second:
                return -1 if not first else 1
            if first != second:
                return -1 if first == "+" else 1
            at, to = at + 1, to + 1
            continue
        if not first or not second:
            break
        pattern = _DIGITS if first.isdigit() else _LETTERS
        end, stop = _after(pattern, left, at), _after(pattern, right, to)
        if stop == to:
            # Segments of different kinds: numbers are newer.
            return 1 if pattern is _DIGITS else -1
        result = _segments(left[at:end], right[to:stop])
        if result:
            return result
        at, to = end, stop
    return _compare(at < len(left), to < len(right))


def uapi(left: str, right: str) -> int:
    """Compare two versions as UAPI.10 has it."""
    at, to = 0, 0
    while True:
        at, to = _after(_UAPI_NOISE, left, at), _after(_UAPI_NOISE, right, to)
        for separator in "~-^.":
            first, second = left[at : at + 1], right[to : to + 1]
            if separator != "~" and not (first and second):
                return _compare(bool(first), bool(second))
            if separator in (first, second):
                if first != second:
                    return -1 if first == separator else 1
                at, to = at + 1, to + 1
        first, second = left[at : at + 1], right[to : to + 1]
        if first.isdigit() or second.isdigit():
            end, stop = _after(_DIGITS, left, at), _after(_DIGITS, right, to)
            result = _compare(end > at, stop > to)
        else:
            end, stop = _after(_LETTERS, left, at), _after(_LETTERS, right, to)
            result = 0
        result = result or _segments(left[at:end], right[to:stop])
        if result:
            return result
        at, to = end, stop
        if at >= len(left) and to >= len(right):
            return 0


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _segments(left: str, right: str) -> int:
    """Compare two runs of digits, by their value, or of letters."""
    if left[:1].isdigit() or right[:1].isdigit():
        left, right = left.lstrip("0"), right.lstrip("0")
        if len(left) != len(right):
            return _compare(len(left), len(right))
    return (left > right) - (left < right)


def _compare(left: int, right: int) -> int:
    return (left > right) - (left < right)
