"""udev(7): rules, their terms, and that every line survives."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from converter.formats import udev_rules
from converter.formats.udev_rules import Term

PIECES = st.sampled_from([
    'SUBSYSTEM=="net", NAME="eth0"\n', "# c \\\n", " \\\n", "\n", 'ATTR{address}=="x", \\\n', "x",
])  # fmt: skip


@given(st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=60)))
def test_a_file_survives_byte_for_byte(text: str) -> None:
    assert str(udev_rules.parse(text)) == text


def test_terms() -> None:
    text = 'SUBSYSTEM=="net",ACTION!="remove", ATTR{address}=="00:50", NAME:="eth0", RUN+="x"\n'
    (rule,) = udev_rules.parse(text).rules
    assert rule.terms == (
        Term("SUBSYSTEM", "", "==", "net"),
        Term("ACTION", "", "!=", "remove"),
        Term("ATTR", "address", "==", "00:50"),
        Term("NAME", "", ":=", "eth0"),
        Term("RUN", "", "+=", "x"),
    )
    assert [term.matches for term in rule.terms] == [True, True, True, False, False]


def test_a_rule_goes_on_over_lines_but_a_comment_does_not() -> None:
    file = udev_rules.parse('# note \\\nSUBSYSTEM=="net", \\\n  NAME="eth0"\nX="y"\n')
    assert [len(rule.terms) for rule in file.rules] == [0, 2, 1]


def test_what_is_left_without_rules_is_empty() -> None:
    file = udev_rules.parse('# by a program\n\nSUBSYSTEM=="net", NAME="eth0"\n')
    assert not file.is_empty
    left = file.without(lambda rule: bool(rule.terms))
    assert left.is_empty
    assert str(left) == "# by a program\n\n"
