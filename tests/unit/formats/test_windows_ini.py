"""INI files of Windows: what is edited, and what stays."""

from __future__ import annotations

import codecs
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, windows_ini

TEXT = "[One]\r\nA=1\r\nb = two words \r\n;a=9\r\na=3\r\n\r\n[two]\r\nA=2\r\n"


@given(st.binary(max_size=60), st.sampled_from([b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE]))
def test_any_bytes_survive(data: bytes, mark: bytes) -> None:
    with contextlib.suppress(FormatError):
        assert bytes(windows_ini.parse(mark + data)) == mark + data


def test_half_a_character_is_refused() -> None:
    with pytest.raises(FormatError):
        windows_ini.parse(codecs.BOM_UTF16_LE + b"a")


@pytest.mark.parametrize("encoding", ["ascii", "utf-8-sig", "utf-16"])
def test_names_have_no_case_and_the_first_counts(encoding: str) -> None:
    found = windows_ini.parse(TEXT.encode(encoding))
    assert found.get("ONE", "a") == "1"
    assert found.get("one", "B") == "two words"
    assert found.get("Two", "a") == "2"
    assert found.get("two", "b") is None
    assert found.get("three", "a") is None
    assert found.items("One") == (("A", "1"), ("b", "two words"), ("a", "3"))


@pytest.mark.parametrize("encoding", ["ascii", "utf-16"])
def test_a_value_is_replaced_where_it_stands(encoding: str) -> None:
    found = windows_ini.parse(TEXT.encode(encoding)).with_value("one", "a", "x")
    assert bytes(found) == TEXT.replace("A=1", "a=x").encode(encoding)


def test_a_value_is_added_to_its_section_or_with_it() -> None:
    found = windows_ini.parse(b"[One]\r\nA=1\r\n\r\n[two]\r\nA=2")
    assert bytes(found.with_value("one", "c", "x").with_value("TWO", "c", "y")) == (
        b"[One]\r\nA=1\r\nc=x\r\n\r\n[two]\r\nA=2\r\nc=y\r\n"
    )
    assert bytes(found.with_value("Three", "c", "x")).endswith(b"A=2\r\n[Three]\r\nc=x\r\n")


def test_a_value_is_taken_out() -> None:
    found = windows_ini.parse(TEXT.encode()).without("one", "A")
    assert bytes(found) == TEXT.replace("A=1\r\n", "").replace("a=3\r\n", "").encode()


@given(st.text(alphabet="[]=;aA1 \r\n", max_size=60))
def test_what_is_set_is_read(text: str) -> None:
    found = windows_ini.parse(text.encode()).with_value("a", "A1", "value")
    assert found.get("A", "a1") == "value"
    assert windows_ini.parse(bytes(found)) == found
