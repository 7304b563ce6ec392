r"""Registry values as .reg files show them: for people who are told what is changed.

Specification: Microsoft, "How to add, modify, or delete registry subkeys and values by using a .reg
file", and what regedit writes (version 5.00).

Limits: long binary data is not wrapped onto further lines, as regedit would.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats.registry_values import ValueType

if TYPE_CHECKING:
    from converter.formats.registry_values import Value

# Values that hold a secret in clear text (Winlogon): they are never shown.
_SECRETS: Final = frozenset({"defaultpassword"})


def shown(name: str, value: Value) -> str:
    """Give a value as it is after the equals sign, unless its name says that it is a secret."""
    if name.casefold() in _SECRETS:
        return "(not shown)"
    if value.type == ValueType.SZ and (text := _exact_text(value)) is not None:
        return _quoted(text)
    if value.type == ValueType.DWORD and len(value.data) == 4:
        return f"dword:{value.number:08x}"
    kind = "hex" if value.type == ValueType.BINARY else f"hex({value.type:x})"
    return f"{kind}:{value.data.hex(',')}"


def reg_lines(path: str, name: str | None = None, value: Value | None = None) -> tuple[str, ...]:
    """Give the lines that set a value of the key at `path`, or delete it if there is no `value`.

    Without a name they delete the key.
    """
    if name is None:
        return (f"[-{path}]",)
    target = _quoted(name) if name else "@"
    return (f"[{path}]", f"{target}={'-' if value is None else shown(name, value)}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _exact_text(value: Value) -> str | None:
    """Give a string that is written as such, with one NUL at its end; None for any other."""
    try:
        text = value.text
    except FormatError:
        return None
    is_exact = len(value.data) == 2 * len(text) + 2
    return text if is_exact and text.isprintable() else None
