from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, grub_test


def evaluate(expression: list[str]) -> bool:
    sizes = {"/file": 3, "/empty": 0}
    return grub_test.evaluate(expression, size=sizes.get, is_directory="/boot".__eq__)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a = a", True), ("a = b", False), ("-z", True), ("! x", False), ("! ! x", True),
        ("-f /file", True), ("-s /file", True), ("-s /empty", False), ("-f /boot", False),
        ("-d /boot", True), ("-e /boot", True), ("-e /x", False), ("! -e /x", True),
        ("3 -lt 10", True), ("-3 -lt 2", True), ("x -eq 0", True), ("0x1f -ge 31", True),
        ("a = a -a b = c", False), ("a = b -o c = c", True), ("a = b -o c = d", False),
        ("a = a b = b", True), ("( a = b -o c = c ) -a d", True), ("( ( x ) )", True),
        ("/file -nt /empty", False), ("", True),
    ],
)  # fmt: skip
def test_expressions(expression: str, *, expected: bool) -> None:
    assert evaluate(expression.split()) is expected


def test_depth_is_bounded() -> None:
    with pytest.raises(FormatError):
        evaluate(["("] * 100)


WORDS = ("a", "=", "!", "-a", "-o", "(", ")", "-f", "/file", "-eq", "1", "")


@given(st.lists(st.sampled_from(WORDS), max_size=12))
def test_any_expression_has_a_value(words: list[str]) -> None:
    assert evaluate(words) in (True, False)
