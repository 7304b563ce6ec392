r"""INI files as Windows reads them (GetPrivateProfileString): gpt.ini, scripts.ini.

Sections and keys are compared without regard to case, and the first of a name counts. The text is
UTF-16LE after its byte-order mark, else of some code page, of which only ASCII matters here; it is
written back byte for byte. Lines that are edited end in CR LF.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT: Final = 1 << 20
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")
# What writes every byte back; UTF-8 after its mark is that as well.
_BYTES: Final = "latin-1"
_WIDE: Final = "utf-16-le"


@dataclass(frozen=True, slots=True)
class WindowsIni:
    """A file: its byte-order mark, and its lines with their ends."""

    mark: bytes
    lines: tuple[str, ...]

    def __bytes__(self) -> bytes:
        return self.mark + "".join(self.lines).encode(self._encoding, "surrogatepass")

    @property
    def _encoding(self) -> str:
        return _WIDE if self.mark == codecs.BOM_UTF16_LE else _BYTES

    def get(self, section: str, key: str) -> str | None:
        """Give the value of `key`, if there is one."""
        wanted = key.upper()
        return next((value for name, value in self.items(section) if name.upper() == wanted), None)

    def items(self, section: str) -> tuple[tuple[str, str], ...]:
        """Give the keys and values of a section, in order."""
        return tuple((key, value) for _, key, value in self._assignments(section))

    def _assignments(self, section: str) -> Iterator[tuple[int, str, str]]:
        here = False
        for number, line in enumerate(self.lines):
            stripped = line.strip()
            if stripped.startswith("["):
                here = _is_header(stripped, section)
            elif here and not stripped.startswith(";"):
                key, equals, value = stripped.partition("=")
                if equals:
                    yield number, key.rstrip(), value.lstrip()

    def with_value(self, section: str, key: str, value: str) -> WindowsIni:
        """Give the file with `value` for `key`: in its line, or in one more of the section."""
        text = f"{key}={value}\r\n"
        for number, name, _ in self._assignments(section):
            if name.upper() == key.upper():
                return self._with_lines(number, number + 1, text)
        end = self._end(section)
        if end is None:
            gap = len(self.lines)
            return self._with_lines(gap, gap, f"[{section}]\r\n", text)
        return self._with_lines(end, end, text)

    def without(self, section: str, key: str) -> WindowsIni:
        """Give the file without the lines of `key`."""
        numbers = {n for n, name, _ in self._assignments(section) if name.upper() == key.upper()}
        return replace(
            self, lines=tuple(line for n, line in enumerate(self.lines) if n not in numbers)
        )

    def _end(self, section: str) -> int | None:
        """Give the number of the line after the last of a section that is not blank."""
        end, here = None, False
        for number, line in enumerate(self.lines):
            stripped = line.strip()
            if stripped.startswith("["):
                if end is not None:
                    break
                here = _is_header(stripped, section)
            if here and stripped:
                end = number + 1
        return end

    def _with_lines(self, start: int, stop: int, *lines: str) -> WindowsIni:
        before = self.lines[:start]
        if before and not before[-1].endswith("\n"):
            before = (*before[:-1], before[-1] + "\r\n")
        return replace(self, lines=before + lines + self.lines[stop:])


def parse(data: bytes) -> WindowsIni:
    """Read a file. Raises `FormatError` for UTF-16 that is none, and what is too long."""
    if len(data) > LIMIT:
        raise FormatError(f"is {len(data)} bytes long, at most {LIMIT} are expected")
    for mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF8):
        if data.startswith(mark):
            break
    else:
        mark = b""
    encoding = _WIDE if mark == codecs.BOM_UTF16_LE else _BYTES
    try:
        text = data[len(mark) :].decode(encoding, "surrogatepass")
    except UnicodeDecodeError as error:
        raise FormatError("is no text in UTF-16, which its first bytes promise") from error
    return WindowsIni(mark, tuple(_LINE.findall(text)))


def _is_header(line: str, section: str) -> bool:
    return line[1:].partition("]")[0].strip().upper() == section.upper()
