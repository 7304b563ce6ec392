"""Nothing that a guest can say reaches a terminal, or a reader of JSON, as anything but text."""

from __future__ import annotations

import json
import logging
import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.cli import output
from converter.cli.logfile import keeping_log
from converter.cli.terminal import BarMonitor, PlainMonitor
from converter.errors import ConversionError, GuestRefusedError
from converter.handoff import manifest
from converter.handoff.facts import guest_as_json, jsonable
from tests.unit.poison import TERMINAL, poisoned
from tests.unit.samples import report

if TYPE_CHECKING:
    from pathlib import Path

# The tab is in configuration files, and moves nothing but what follows it.
HARMLESS = {"\n", "\t"}


def is_plain(text: str) -> bool:
    """Tell whether nothing in `text` acts on a terminal, hides, or reorders."""
    hidden = ("C", "Zl", "Zp")
    return not [
        character
        for character in text
        if unicodedata.category(character).startswith(hidden) and character not in HARMLESS
    ]


def test_this_test_would_tell() -> None:
    assert not [
        character for character in TERMINAL if is_plain(character) != (character in "[2J]0;title")
    ]
    assert is_plain("ä \t\n漢字 😀")


@given(st.text(st.characters()))
def test_no_text_acts_on_a_terminal(text: str) -> None:
    assert is_plain(output.printable(text))
    if is_plain(text):
        assert output.printable(text) == text


def test_answers_and_complaints(capsys: pytest.CaptureFixture[str]) -> None:
    made = poisoned(report(), TERMINAL)
    output.show_tree(jsonable(guest_as_json(made.after)))
    output.show_tree(manifest.document(made))
    output.show_findings(made.findings)
    for diff in made.plan.diffs:
        output.show(diff)
    output.complain(ConversionError("code", TERMINAL, hint=TERMINAL))
    output.complain(GuestRefusedError("code", TERMINAL, findings=made.findings))
    found = capsys.readouterr()
    assert is_plain(found.out + found.err)
    assert "\\x1b[2J" in found.out
    assert "\\x1b[2J" in found.err


def test_a_name_with_a_newline_does_not_look_like_a_finding(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.complain(ConversionError("code", "a\nerror: b [defect]\nconverter: c"))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if not line.startswith("    ")] == [
        "converter: a",
        "converter:   more: converter explain code",
    ]


def test_json_is_ascii_and_can_be_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    made = poisoned(report(), TERMINAL)
    output.show_json(manifest.document(made))
    output.show_json(output.error_as_json(GuestRefusedError("c", TERMINAL, hint=TERMINAL)))
    text = capsys.readouterr().out + manifest.render(made).decode("ascii")
    assert is_plain(text)
    assert text.isascii()
    json.loads(manifest.render(made))
    # No lone surrogate: not every reader takes them.
    assert "\\udcff" not in text.replace("\\\\udcff", "")


def test_progress(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainMonitor() as shown:
        shown.phase("copy", TERMINAL)
    assert is_plain(capsys.readouterr().err)
    with BarMonitor() as bars:
        bars.phase("copy", TERMINAL)
    drawn = capsys.readouterr().err.replace("\n", "")
    assert "\\x07\\x1b]0;title" in drawn
    assert not [character for character in "\x07\x9b\u202e\0\b" if character in drawn]


def test_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log"
    # pytest keeps what is logged, and cannot hand a surrogate from one process to another.
    hostile = TERMINAL.removesuffix("\udcff")
    with keeping_log(path, inputs=()):
        logging.getLogger("converter.guest").debug("said %s", hostile)
    assert is_plain(path.read_text("utf-8"))
    with pytest.raises(ConversionError), keeping_log(path, inputs=()):
        raise ConversionError("code", hostile)
    assert is_plain(path.read_text("utf-8"))
