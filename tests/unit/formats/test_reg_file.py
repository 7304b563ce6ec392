"""Values as regedit writes them."""

from __future__ import annotations

import pytest

from converter.formats.reg_file import reg_lines, shown
from converter.formats.registry_values import Value, binary, dword, expand_sz, multi_sz, qword, sz


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (sz("plain"), '"plain"'),
        (sz(""), '""'),
        (sz('C:\\a "b"'), '"C:\\\\a \\"b\\""'),
        (sz("two\nlines"), "hex(1):74,00,77,00,6f,00,0a,00,6c,00,69,00,6e,00,65,00,73,00,00,00"),
        (Value(1, b"a\0"), "hex(1):61,00"),
        (Value(1, b"abc"), "hex(1):61,62,63"),
        (Value(1, b"\0\xd8\0\0"), "hex(1):00,d8,00,00"),
        (dword(26), "dword:0000001a"),
        (Value(4, b"\1"), "hex(4):01"),
        (qword(1), "hex(b):01,00,00,00,00,00,00,00"),
        (expand_sz("%"), "hex(2):25,00,00,00"),
        (multi_sz("a"), "hex(7):61,00,00,00,00,00"),
        (binary(b"\xff\x00"), "hex:ff,00"),
        (binary(b""), "hex:"),
        (Value(0, b""), "hex(0):"),
        (Value(0xFFFF0012, b"\1"), "hex(ffff0012):01"),
    ],
)
def test_values(value: Value, text: str) -> None:
    assert shown("x", value) == text


def test_lines() -> None:
    assert reg_lines("A\\B", "Start", dword(3)) == ("[A\\B]", '"Start"=dword:00000003')
    assert reg_lines("A", 'a"\\', sz("")) == ("[A]", '"a\\"\\\\"=""')
    assert reg_lines("A", "", sz("x")) == ("[A]", '@="x"')
    assert reg_lines("A", "Gone") == ("[A]", '"Gone"=-')
    assert reg_lines("A\\B") == ("[-A\\B]",)
