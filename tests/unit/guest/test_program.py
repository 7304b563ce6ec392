"""What the appliance's shell is told, and what it answers."""

from __future__ import annotations

import base64
import shlex

import pytest

from converter.errors import GuestError
from converter.guest.program import result, script

HOSTILE = ["dpkg", "--install", "/a b'; touch /escaped; '$(reboot)`reboot`\n"]


def printed(output: bytes, status: str) -> str:
    return f"{base64.b64encode(output).decode()}\n{status}"


def test_nothing_of_the_guest_is_read_by_the_shell() -> None:
    words = shlex.split(script(HOSTILE))
    at = words.index("--install")
    assert words[at - 1 : at + 2] == HOSTILE
    assert not [word for word in words if word.startswith(("$(reboot", "/escaped"))]


def test_the_program_is_kept_apart() -> None:
    text = script(["true"])
    for needed in ("--pid", "--net", "--mount", "--kill-child", "--bounding-set=-all", "pids.max"):
        assert needed in text
    assert "sys_admin" not in text
    assert "mknod" not in text


def test_the_answer_has_status_and_output() -> None:
    ran = result("dpkg", printed(b"half \xff\x1b[2J\n", "3\n"))
    assert (ran.status, ran.output) == (3, "half \ufffd\x1b[2J\n")
    assert result("true", printed(b"", "0\n")).output == ""


def test_a_program_that_could_not_be_set_apart_was_not_run() -> None:
    with pytest.raises(GuestError, match=r"set apart: /proc is a link$") as caught:
        result("dpkg", printed(b"/proc is a link\n", "0\nnot-set-up\n"))
    assert "--agent none" in caught.value.hint


@pytest.mark.parametrize(
    "answer", ["", "\n", "\n\n", "a\n0\n", "====\n0\n", printed(b"x", "-1"), "é\n0"]
)
def test_an_answer_that_is_none_is_told(answer: str) -> None:
    with pytest.raises(GuestError, match="the guest"):
        result("dpkg", answer)
