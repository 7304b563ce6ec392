"""Records whose every text is an attack on whoever is shown it."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

T = TypeVar("T")

MARKUP = (
    "</script></pre></td>\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7 * 7 }}&lt;"
)
# Clear the screen, ring, set the title, go back, eight-bit CSI, DEL, NUL; reorder the text, hide
# it, break the line otherwise; bytes that are no UTF-8.
TERMINAL = (
    "\x1b[2J\x07\x1b]0;title\x07\r\b\x9b2J\x7f\0\u202e\u2066\u200b\ufeff\u2028\u2029\x85\x0b\udcff"
)


def poisoned(value: T, poison: str) -> T:
    """Give `value` with `poison` at the end of every text in it that is not empty."""
    return cast("T", _poisoned(value, poison))


def _poisoned(value: object, poison: str) -> object:
    if isinstance(value, Enum):
        return value
    if isinstance(value, str):
        return value + poison if value else value
    if is_dataclass(value) and not isinstance(value, type):
        changed = {
            field.name: _poisoned(getattr(value, field.name), poison) for field in fields(value)
        }
        return replace(value, **changed)
    if isinstance(value, tuple | list | frozenset):
        return type(value)(_poisoned(item, poison) for item in value)
    if isinstance(value, dict):
        return {key: _poisoned(item, poison) for key, item in value.items()}
    return value
