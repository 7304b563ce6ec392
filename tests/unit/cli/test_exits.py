"""Exit codes, and one JSON document on stdout whatever happens."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from converter import __main__, cli, pipeline
from converter.cli import commands, host
from converter.cli.stop import Stop
from converter.doctor import Check
from converter.errors import (
    ConversionError,
    DamagedInputError,
    GuestError,
    GuestRefusedError,
    HostError,
    UsageError,
)
from converter.handoff import manifest
from tests.unit.samples import ERROR, WARNING, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from converter.model import Report

HOSTILE = "x\x1b]0;owned\x07\x1b[2J\u202e\r\nconverter: all is well"
COMMANDS = [
    ["inspect", "x"],
    ["check", "x"],
    ["plan", "x"],
    ["convert", "x", "-o", "out"],
    ["boot", "x"],
    ["verify", "x"],
    ["doctor"],
]
OUTCOMES: list[tuple[BaseException, int, str]] = [
    (ZeroDivisionError("oops"), 1, "defect"),
    (BrokenPipeError(errno.EPIPE, "Broken pipe"), 1, "defect"),  # of the work, not of its answer
    (UsageError("wrong", "m", hint="h"), 2, "wrong"),
    (DamagedInputError("torn", "m"), 4, "torn"),
    (HostError("tool-missing", "m"), 5, "tool-missing"),
    (ImportError("no guestfs"), 5, "module-missing"),
    (OSError(errno.ENOSPC, "No space left"), 5, "disk-full"),
    (ConversionError("failed", "m"), 6, "failed"),
    (KeyboardInterrupt(), 130, "interrupted"),
]


def engine_raises(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    for name in ("inspect", "examine", "convert"):
        monkeypatch.setattr(pipeline, name, fail)
    monkeypatch.setattr(commands, "boot_image", fail)
    monkeypatch.setattr(manifest, "verify", fail)
    monkeypatch.setattr(host, "examine", fail)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(("error", "code", "name"), OUTCOMES, ids=lambda value: str(value)[:12])
def test_every_end_has_its_code_and_its_document(  # noqa: PLR0917
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    error: BaseException,
    code: int,
    name: str,
) -> None:
    engine_raises(monkeypatch, error)
    assert cli.run(command) == code
    plain = capsys.readouterr()
    assert plain.out == ""
    assert f"[{name}]" in plain.err
    assert (f"converter explain {name}" in plain.err) == (code not in (2, 130))
    assert cli.run([*command, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"error", "findings"}
    assert set(document["error"]) == {"code", "message", "hint", "exit_code"}
    assert (document["error"]["code"], document["error"]["exit_code"]) == (name, code)


@pytest.mark.parametrize("command", COMMANDS[:4], ids=lambda command: command[0])
@pytest.mark.parametrize("given", [(), (WARNING, ERROR)], ids=["at mounting", "judged"])
def test_a_refusal_says_everything_that_was_found(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    given: Any,
) -> None:
    engine_raises(monkeypatch, GuestRefusedError("bad", "it is bad", hint="mend", findings=given))
    assert cli.run(command) == 3
    shown = capsys.readouterr()
    stream = shown.out if command[0] == "check" else shown.err
    assert ("converter explain" in shown.err) == (command[0] != "check")
    for finding in given:
        assert finding.message in stream
    assert "it is bad [bad]" in stream
    assert cli.run([*command, "--json"]) == 3
    document = json.loads(capsys.readouterr().out)
    assert [finding["code"] for finding in document["findings"]] == (
        [finding.code for finding in given] or ["bad"]
    )
    if command[0] == "check":
        assert set(document) == {"verdict", "findings"}
        assert document["verdict"] == "refused"
    else:
        assert document["error"]["exit_code"] == 3


@pytest.mark.parametrize("command", COMMANDS[:4], ids=lambda command: command[0])
def test_damage_says_everything_that_was_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    found = (ERROR, WARNING)
    engine_raises(monkeypatch, DamagedInputError("bad", "it is bad", hint="mend", findings=found))
    assert cli.run(command) == 4
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "the input is damaged\n" in shown.err
    assert all(f"{item.message} [{item.code}]" in shown.err for item in found)
    assert cli.run([*command, "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert [item["code"] for item in document["findings"]] == [item.code for item in found]
    assert document["error"]["code"] == "bad"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--wrong"],
        ["wrong"],
        ["check"],
        ["check", "x", "--wrong"],
        ["check", "x", "--policy", "azure"],
        ["check", ""],
        ["convert", "x"],
        ["convert", "x", "-o", ""],
        ["convert", "x", "-o", "out", "--boot-mode", "coreboot"],
        ["convert", "x", "-o", "out", "--no-changes", "--generalize"],
        ["boot", "x", "--timeout", "nan"],
        ["boot", "x", "--timeout", "inf"],
        ["boot", "x", "--timeout", "0"],
        ["verify"],
        ["verify", "a", "b"],
        ["doctor", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "converter" in shown.err
    if arguments:
        assert cli.run([*arguments, "--json"]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["exit_code"] == 2


def test_json_after_the_end_of_options_is_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    engine_raises(monkeypatch, UsageError("wrong", "m"))
    assert cli.run(["check", "--", "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "-h"], ["--version"]])
def test_help_is_no_error(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert cli.run(arguments) == 0
    assert "converter" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("kind", [RuntimeError, GuestRefusedError, ConversionError])
def test_nothing_writes_to_the_terminal_but_us(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    kind: type[Exception],
) -> None:
    texts = (HOSTILE,) if kind is RuntimeError else (HOSTILE, HOSTILE)
    engine_raises(monkeypatch, kind(*texts))
    cli.run(command)
    shown = capsys.readouterr()
    for stream in (shown.out, shown.err):
        assert not any(character in stream for character in "\x1b\x07\r\u202e")
        assert "\nconverter: all is well" not in stream


def test_a_defect_says_how_to_report_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    engine_raises(monkeypatch, ZeroDivisionError("oops"))
    log = tmp_path / "log"
    assert cli.run(["inspect", "x", "--log", str(log)]) == 1
    shown = capsys.readouterr().err
    assert "ZeroDivisionError: oops" in shown
    assert "--log" in shown
    assert "Traceback" not in shown
    assert "Traceback" in log.read_text()


class TestLog:
    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
    def test_every_command_has_one(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: list[str]
    ) -> None:
        engine_raises(monkeypatch, ConversionError("failed", HOSTILE))
        log = tmp_path / "log"
        assert cli.run([*command, "--log", str(log)]) == 6
        assert "\x1b" not in log.read_text()
        assert "failed" in log.read_text() or "owned" in log.read_text()

    @pytest.mark.parametrize("place", [".", "missing/log"])
    def test_that_cannot_be_written(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path, place: str
    ) -> None:
        assert cli.run(["check", "x", "--json", "--log", str(tmp_path / place)]) == 2
        assert json.loads(capsys.readouterr().out)["error"]["code"] == "log-unwritable"

    @pytest.mark.parametrize("link", [False, True])
    def test_never_writes_to_an_input(self, tmp_path: Path, *, link: bool) -> None:
        disk, log = tmp_path / "disk.raw", tmp_path / "log"
        disk.write_bytes(b"precious")
        if link:
            log.symlink_to(disk)
        assert cli.run(["check", str(disk), "--log", str(log if link else disk)]) == 2
        assert disk.read_bytes() == b"precious"


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Make stdout a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    with io.TextIOWrapper(os.fdopen(writing, "wb")) as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        yield


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 5)])
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_reader_that_went_away_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, *, ok: bool
) -> None:
    monkeypatch.setattr(host, "examine", lambda: [Check("python", ok=ok, detail="x")] * 2000)
    assert cli.run(["doctor", *options]) == code


@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"]])
def test_help_of_which_nobody_reads_the_end(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Gone())
    assert cli.run(arguments) == 0


def test_without_any_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "examine", tuple)
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.run(["doctor", "--json"]) == 0


class TestSignals:
    @pytest.fixture(autouse=True)
    def handlers(self) -> Iterator[None]:
        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.getsignal(number) for number in numbers}
        yield
        for number, handler in before.items():
            signal.signal(number, handler)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_end_the_run_once_even_if_sent_twice(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
    ) -> None:
        cleared: list[str] = []

        def interrupted(*_: Any, **__: Any) -> None:
            try:
                signal.raise_signal(number)
            finally:
                signal.raise_signal(signal.SIGINT)
                cleared.append("away")

        monkeypatch.setattr(pipeline, "inspect", interrupted)
        monkeypatch.setattr(sys, "argv", ["converter", "inspect", "x"])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 130
        assert cleared == ["away"]

    def test_are_no_plain_keyboard_interrupt(self) -> None:
        """Python would end itself by SIGINT, whatever the exit code, if one came in an import."""
        Stop().install()
        with pytest.raises(KeyboardInterrupt) as caught:
            exec("signal.raise_signal(signal.SIGTERM)")  # noqa: S102
        assert caught.type is not KeyboardInterrupt

    def test_that_python_swallows_are_the_reason_for_what_follows(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(*_: Any, **__: Any) -> None:
            with contextlib.suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            raise GuestError("guest-operation-failed", "the appliance is gone")

        monkeypatch.setattr(pipeline, "inspect", interrupted)
        monkeypatch.setattr(sys, "argv", ["converter", "inspect", "x"])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 130

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_end_it_while_it_is_loaded(
        self, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
    ) -> None:
        def ended(code: int) -> None:
            raise SystemExit(code)

        monkeypatch.setattr(os, "_exit", ended)
        monkeypatch.setattr(__main__, "import_module", lambda _name: signal.raise_signal(number))
        with pytest.raises(SystemExit) as caught:
            __main__.main()
        assert caught.value.code == 130

    def test_that_come_when_the_result_is_there_end_nothing(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def convert(*_: Any, published: Callable[[], None]) -> Report:
            published()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.raise_signal(number)
            return report()

        monkeypatch.setattr(pipeline, "convert", convert)
        monkeypatch.setattr(sys, "argv", ["converter", "convert", "x", "-o", str(tmp_path)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 0
        # Python gives handlers of its own up before the process is gone.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN

    def test_that_are_ignored_stay_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        monkeypatch.setattr(host, "examine", tuple)
        monkeypatch.setattr(sys, "argv", ["converter", "doctor"])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
