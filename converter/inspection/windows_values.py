"""Values of a registry as far as they are what they should be; what is not counts as not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.formats import FormatError

if TYPE_CHECKING:
    from converter.formats.registry import Value


def text(value: Value | None) -> str:
    """Give a value's text, "" where it is none."""
    try:
        return value.text if value else ""
    except FormatError:
        return ""


def number(value: Value | None) -> int | None:
    """Give a value's number, None where it is none."""
    try:
        return value.number if value else None
    except FormatError:
        return None


def texts(value: Value | None) -> tuple[str, ...]:
    """Give a value's texts; one alone counts as well."""
    if value is None:
        return ()
    try:
        return value.texts
    except FormatError:
        alone = text(value)
        return (alone,) if alone else ()
