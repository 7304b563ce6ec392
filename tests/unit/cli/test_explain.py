from __future__ import annotations

import json

import pytest

from converter import cli
from converter.codes import catalogue


@pytest.mark.parametrize("code", ["vmdk-subformat", "disk-full", "agent-present"])
def test_a_code_is_explained(capsys: pytest.CaptureFixture[str], code: str) -> None:
    assert cli.run(["explain", code]) == 0
    shown = capsys.readouterr().out
    entry = catalogue()[code]
    for text in (entry.verdict, entry.meaning, entry.cause, entry.cure, *entry.service):
        assert text in shown
    assert ("exit" in shown.splitlines()[0]) == (entry.exit_code is not None)


def test_a_command_in_it_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    cli.run(["explain", "encrypted-disk"])
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["explain", "several-grub-configs", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    entry = catalogue()["several-grub-configs"]
    assert shown == {
        "code": "several-grub-configs",
        "kind": "guest",
        "exit_code": 3,
        "policy": None,
        "also": ["info"],
        "needs_appliance": True,
        "meaning": entry.meaning,
        "cause": entry.cause,
        "cure": entry.cure,
        "service_messages": ["Multiple different grub/menu.lst files found."],
    }


@pytest.mark.parametrize(
    ("code", "hint"),
    [("vmdk-subfromat", "vmdk-subformat"), ("\x1b[2J", "docs/errors.md has all of them")],
)
def test_an_unknown_code(capsys: pytest.CaptureFixture[str], code: str, hint: str) -> None:
    assert cli.run(["explain", code]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "[code-unknown]" in shown.err
    assert hint in shown.err
    assert "\x1b" not in shown.err
