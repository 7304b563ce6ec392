"""GRUB 2's `test` and `[` commands (GNU GRUB manual, "test").

Read from left to right: tests that follow one another are all asked for, with or without `-a`;
`-o` separates alternatives.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_MAX_DEPTH: Final = 16
_NUMBER: Final = re.compile(r"-?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,18})")
_STRINGS: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": lambda left, right: left == right,
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
}
_NUMBERS: Final[dict[str, Callable[[int, int], bool]]] = {
    "-eq": lambda left, right: left == right,
    "-ne": lambda left, right: left != right,
    "-lt": lambda left, right: left < right,
    "-le": lambda left, right: left <= right,
    "-gt": lambda left, right: left > right,
    "-ge": lambda left, right: left >= right,
}
# Of two files, which is newer: times are not known here.
_TIMES: Final = ("-nt", "-ot")


def evaluate(
    words: Sequence[str],
    *,
    size: Callable[[str], int | None],
    is_directory: Callable[[str], bool],
) -> bool:
    """Tell whether the expression `words`, without `]`, is true.

    `size` gives the size of a file by its name, None if there is none.
    """
    return _Test(list(words), size, is_directory).expression(0)


class _Test:
    def __init__(
        self,
        words: list[str],
        size: Callable[[str], int | None],
        is_directory: Callable[[str], bool],
    ) -> None:
        self._words = words
        self._size = size
        self._is_directory = is_directory
        self._at = 0

    def expression(self, depth: int) -> bool:
        if depth > _MAX_DEPTH:
            raise FormatError("a test is nested too deeply")
        earlier, value, inverts = False, True, False
        while self._at < len(self._words):
            word = self._words[self._at]
            result = self._binary()
            if result is None:
                result = self._unary()
            if result is None:
                self._at += 1
                if word == ")":
                    break
                if word == "!":
                    inverts = not inverts
                    continue
                if word == "-a":
                    continue
                if word == "-o":
                    earlier, value = earlier or value, True
                    continue
                result = self.expression(depth + 1) if word == "(" else bool(word)
            value = value and result is not inverts
            inverts = False
        return earlier or value

    def _binary(self) -> bool | None:
        if self._at + 2 >= len(self._words):
            return None
        left, operator, right = self._words[self._at : self._at + 3]
        if operator in _STRINGS:
            result = _STRINGS[operator](left, right)
        elif operator in _NUMBERS:
            result = _NUMBERS[operator](_number(left), _number(right))
        elif operator in _TIMES:
            result = False
        else:
            return None
        self._at += 3
        return result

    def _unary(self) -> bool | None:
        if self._at + 1 >= len(self._words):
            return None
        operator, value = self._words[self._at : self._at + 2]
        match operator:
            case "-n":
                result = bool(value)
            case "-z":
                result = not value
            case "-f":
                result = self._size(value) is not None
            case "-s":
                result = bool(self._size(value))
            case "-d":
                result = self._is_directory(value)
            case "-e":
                result = self._size(value) is not None or self._is_directory(value)
            case _:
                return None
        self._at += 2
        return result


def _number(text: str) -> int:
    match = _NUMBER.match(text)
    return int(match[0], 0 if "x" in match[0].lower() else 10) if match else 0
