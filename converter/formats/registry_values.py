"""Registry values: a type and its bytes, and what programs mean by them.

Specification: "Registry Value Types" in Microsoft's Win32 documentation. Text is UTF-16LE. A string
ends at its first NUL; writers often forget it, or leave rubbish after it. Types are numbers, and
Windows stores any of them: those that have no name here are kept as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import takewhile
from typing import Final

from converter.formats import FormatError


class ValueType(IntEnum):
    """The types that Windows names."""

    NONE = 0
    SZ = 1
    EXPAND_SZ = 2
    BINARY = 3
    DWORD = 4
    DWORD_BIG_ENDIAN = 5
    LINK = 6
    MULTI_SZ = 7
    RESOURCE_LIST = 8
    FULL_RESOURCE_DESCRIPTOR = 9
    RESOURCE_REQUIREMENTS_LIST = 10
    QWORD = 11


_STRINGS: Final = (ValueType.SZ, ValueType.EXPAND_SZ, ValueType.LINK)
_NUL: Final = "\0"


@dataclass(frozen=True, slots=True)
class Value:
    """`type` is a `ValueType`, or a number that none of them is."""

    type: int
    data: bytes

    @property
    def text(self) -> str:
        """The string, up to its first NUL."""
        if self.type not in _STRINGS:
            raise FormatError(f"registry value: {type_name(self.type)} is no string")
        return _decode(self.data).partition(_NUL)[0]

    @property
    def texts(self) -> tuple[str, ...]:
        """The strings of a list, up to the first empty one, which ends it."""
        if self.type != ValueType.MULTI_SZ:
            raise FormatError(f"registry value: {type_name(self.type)} is no list of strings")
        texts = _decode(self.data).split(_NUL)
        return tuple(takewhile(bool, texts))

    @property
    def number(self) -> int:
        """The number, without a sign."""
        match self.type, len(self.data):
            case (ValueType.DWORD, 4) | (ValueType.QWORD, 8):
                return int.from_bytes(self.data, "little")
            case ValueType.DWORD_BIG_ENDIAN, 4:
                return int.from_bytes(self.data, "big")
        size = len(self.data)
        raise FormatError(f"registry value: {size} bytes of {type_name(self.type)} are no number")


def type_name(number: int) -> str:
    """Give the name of a type as Windows writes it, or its number if it has none."""
    try:
        return f"REG_{ValueType(number).name}"
    except ValueError:
        return f"type {number:#x}"


def _decode(data: bytes) -> str:
    if len(data) % 2:
        raise FormatError(f"registry value: {len(data)} bytes are no UTF-16 text")
    return data.decode("utf-16-le", "surrogatepass")


def _encode(text: str) -> bytes:
    return text.encode("utf-16-le", "surrogatepass")


def sz(text: str) -> Value:
    """Give a string."""
    return Value(ValueType.SZ, _encode(text + _NUL))


def expand_sz(text: str) -> Value:
    """Give a string in which %NAME% stands for a variable of the environment."""
    return Value(ValueType.EXPAND_SZ, _encode(text + _NUL))


def multi_sz(*texts: str) -> Value:
    """Give a list of strings; none of them can be empty, as that ends the list."""
    return Value(ValueType.MULTI_SZ, _encode("".join(text + _NUL for text in texts) + _NUL))


def dword(number: int) -> Value:
    """Give a number of 32 bits."""
    return Value(ValueType.DWORD, number.to_bytes(4, "little"))


def qword(number: int) -> Value:
    """Give a number of 64 bits."""
    return Value(ValueType.QWORD, number.to_bytes(8, "little"))


def binary(data: bytes) -> Value:
    """Give bytes without a meaning to Windows."""
    return Value(ValueType.BINARY, data)
