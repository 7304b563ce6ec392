"""What a change of a guest's file or registry looks like to a person."""

from __future__ import annotations

import codecs
import difflib
from typing import TYPE_CHECKING, Final

from converter.formats.reg_file import reg_lines

if TYPE_CHECKING:
    from converter.formats.registry import Value

# Comparing takes time with the square of the lines, and a person reads no more of them.
_SHOWN_LINES: Final = 4000


def registry_diff(path: str, key: str, name: str, before: Value | None, after: Value | None) -> str:
    """Show a change of a value as two `.reg` files would differ."""
    lines = [escaped(path), f" [{escaped(key)}]"]
    for sign, value in (("-", before), ("+", after)):
        lines += [f"{sign}{escaped(reg_lines(key, name, value)[-1])}"] if value else []
    return "".join(f"{line}\n" for line in lines)


def text_diff(path: str, old: bytes, new: bytes) -> str:
    """Show the difference as `diff -u` would; bytes that are not UTF-8 are shown escaped."""
    path = escaped(path)
    if _is_binary(old) or _is_binary(new):
        return f"Binary file {path}: {len(old)} bytes, then {len(new)}\n"
    before, after = _lines(old), _lines(new)
    if len(before) + len(after) > _SHOWN_LINES:
        return f"{path}: {len(before)} lines, then {len(after)}, too many to be shown\n"
    lines = difflib.unified_diff(
        before,
        after,
        fromfile=f"a{path}" if old else "/dev/null",
        tofile=f"b{path}" if new else "/dev/null",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


def escaped(name: str) -> str:
    """Give a name as one line: the next one would pass for the command's own."""
    return name.replace("\n", "\\n")


def _is_binary(data: bytes) -> bool:
    return b"\0" in data and not data.startswith(codecs.BOM_UTF16_LE)


def _lines(data: bytes) -> list[str]:
    # Windows' own settings are in UTF-16, and say so.
    encoding = "utf-16" if data.startswith(codecs.BOM_UTF16_LE) else "utf-8"
    return data.decode(encoding, "backslashreplace").splitlines(keepends=True)
