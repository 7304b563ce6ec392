from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from converter.cli.terminal import BarMonitor, PlainMonitor, monitor

if TYPE_CHECKING:
    import pytest


def test_plain_lines_are_few_and_end_with_all(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainMonitor() as shown:
        shown.phase("copy", "copying \x1b[2J")
        for step in range(1, 1001):
            shown.progress("copy", step / 1000)
        shown.progress("copy", 1.0)
    found = capsys.readouterr()
    assert found.out == ""
    assert [line.partition("] ")[2] for line in found.err.splitlines()] == [
        *("copying \\x1b[2J", "copy: 25%", "copy: 50%", "copy: 75%", "copy: 100%"),
    ]


def test_the_end_is_shown_after_uneven_steps(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainMonitor() as shown:
        for fraction in (0.0, 0.9, 0.95, 1.0):
            shown.progress("copy", fraction)
    assert capsys.readouterr().err.count("copy:") == 2


def test_a_bar_takes_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with BarMonitor() as shown:
        shown.progress("copy", 0.5)
        shown.phase("copy", "[/red] copying \x07")
        shown.progress("copy", 1.0)
    found = capsys.readouterr()
    assert found.out == ""
    assert "[/red] copying \\x07" in found.err


def test_a_pipe_gets_lines_and_so_does_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(monitor(), PlainMonitor)
    monkeypatch.setattr(sys, "stderr", None)
    with monitor() as shown:
        shown.phase("copy", "copying")


def test_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert isinstance(monitor(), BarMonitor)
