"""systemd.syntax(7): assignments in sections."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import ini


@given(st.text(max_size=80))
def test_any_text_is_read_and_survives(text: str) -> None:
    assert str(ini.parse(text)) == text


def test_sections_and_keys_may_stand_several_times() -> None:
    unit = ini.parse("[Match]\nName=a b\n[Address]\nAddress=1\n[Address]\nAddress = 2 \nName=x\n")
    assert unit.get_all("Address", "Address") == ("1", "2")
    assert unit.words("Match", "Name") == ("a", "b")
    assert unit.get("Address", "Address") == "2"
    assert unit.get("Nothing", "Address") == ""


def test_an_empty_assignment_empties_the_list() -> None:
    unit = ini.parse("[Network]\nDNS=1\nDNS=\nDNS=2\n")
    assert unit.get_all("Network", "DNS") == ("2",)


def test_a_line_goes_on_past_comments() -> None:
    unit = ini.parse("[Match]\nName=a \\\n# between\n; and this\n  b\nMACAddress=c\n")
    assert unit.words("Match", "Name") == ("a", "b")
    assert unit.get("Match", "MACAddress") == "c"


def test_a_comment_does_not_go_on() -> None:
    unit = ini.parse("[Match]\n# old: \\\nName=eth0\n; \\\n")
    assert unit.get("Match", "Name") == "eth0"


def test_an_escaped_backslash_does_not_continue() -> None:
    unit = ini.parse("[A]\nB=x\\\\\nC=y\n")
    assert unit.get("A", "C") == "y"


def test_windows_line_ends_and_indentation() -> None:
    unit = ini.parse("[Match]\r\n  Name = eth0\t\r\n")
    assert unit.assignments == (("Match", "Name", "eth0"),)


def test_a_drop_in_comes_after_and_can_empty() -> None:
    unit = ini.parse("[Network]\nAddress=1\nDHCP=no\n")
    drop_in = ini.parse("[Network]\nAddress=\nDHCP=yes\n")
    whole = unit.with_drop_in(drop_in)
    assert whole.get_all("Network", "Address") == ()
    assert whole.get("Network", "DHCP") == "yes"


def test_a_hostile_file_is_read_in_time_that_follows_its_size() -> None:
    for text in ("a" + " " * 1_000_000, "\\\n" * 300_000, "[" * 500_000, "=" * 500_000):
        assert ini.parse(text).assignments == ()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("[A]\nk=1\n[B]\nk=1\n", "[A]\nk=2\n[B]\nk=1\n"),
        ("[A]\n k = 1 \r\nkk=1\n#k=1\n", "[A]\n k = 2 \r\nkk=1\n#k=1\n"),
        ("[A]\nk=\nk=1", "[A]\nk=\nk=2"),
        ("[A]\nk=1\\\n 3\n", "[A]\nk=1\\\n 3\n"),
        ("[A]\nj=x \\\nk=1\n", "[A]\nj=x \\\nk=1\n"),
        ("[A]\nk=\\\n3\n", "[A]\nk=\\\n3\n"),
        ("[A]\nj=x\\\n# c\nk=1\n", "[A]\nj=x\\\n# c\nk=1\n"),
        ("[A]\n# C:\\\nk=1\n", "[A]\n# C:\\\nk=2\n"),
        ("[A]\nk=1\\\\\n", "[A]\nk=2\n"),
        ("[A]\nk=1\n[A\\\nB]\nk=1\n", "[A]\nk=2\n[A\\\nB]\nk=1\n"),
        ("k=1\n", "k=1\n"),
    ],
)
def test_a_value_is_replaced(text: str, wanted: str) -> None:
    assert ini.with_value(text, "A", "k", "2") == wanted
