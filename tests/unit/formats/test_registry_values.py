"""What values mean to programs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError
from converter.formats.registry_values import (
    Value,
    ValueType,
    binary,
    dword,
    expand_sz,
    multi_sz,
    qword,
    sz,
    type_name,
)

texts = st.text(st.characters(exclude_characters="\0"))


@given(texts, st.lists(texts.filter(bool)))
def test_texts_come_back(text: str, list_of_texts: list[str]) -> None:
    assert sz(text).text == text
    assert expand_sz(text).text == text
    assert multi_sz(*list_of_texts).texts == tuple(list_of_texts)


@given(st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << 64) - 1))
def test_numbers_come_back(short: int, long: int) -> None:
    assert dword(short).number == short
    assert qword(long).number == long


def test_bytes() -> None:
    assert sz("aé") == Value(ValueType.SZ, b"a\0\xe9\0\0\0")
    assert multi_sz("a", "b") == Value(ValueType.MULTI_SZ, b"a\0\0\0b\0\0\0\0\0")
    assert multi_sz() == Value(ValueType.MULTI_SZ, b"\0\0")
    assert dword(0x01020304) == Value(4, b"\4\3\2\1")
    assert Value(ValueType.DWORD_BIG_ENDIAN, b"\1\2\3\4").number == 0x01020304
    assert binary(b"x") == Value(3, b"x")


def test_what_others_write() -> None:
    assert Value(ValueType.SZ, b"a\0").text == "a"
    assert Value(ValueType.SZ, b"a\0\0\0b\0").text == "a"
    assert Value(ValueType.SZ, b"").text == ""
    assert Value(ValueType.LINK, b"a\0").text == "a"
    assert Value(ValueType.SZ, b"\0\xd8").text == "\ud800"
    assert Value(ValueType.MULTI_SZ, b"a\0\0\0b\0").texts == ("a", "b")
    assert Value(ValueType.MULTI_SZ, b"a\0\0\0\0\0b\0").texts == ("a",)
    assert Value(ValueType.MULTI_SZ, b"").texts == ()


@pytest.mark.parametrize(
    ("value", "what", "match"),
    [
        (dword(1), "text", "REG_DWORD is no string"),
        (sz("a"), "texts", "REG_SZ is no list of strings"),
        (sz("a"), "number", "4 bytes of REG_SZ are no number"),
        (Value(4, b"\1\2\3"), "number", "3 bytes of REG_DWORD are no number"),
        (Value(99, b""), "text", "type 0x63 is no string"),
        (Value(1, b"abc"), "text", "3 bytes are no UTF-16"),
        (Value(7, b"a"), "texts", "1 bytes are no UTF-16"),
    ],
)
def test_what_is_something_else(value: Value, what: str, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        getattr(value, what)


def test_names_of_types() -> None:
    assert type_name(ValueType.EXPAND_SZ) == "REG_EXPAND_SZ"
    assert type_name(0xFFFF0012) == "type 0xffff0012"
