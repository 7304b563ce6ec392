from __future__ import annotations

import io
import os
import shutil
import subprocess
from pathlib import Path
from typing import IO, Any, Self

import pytest

from converter import process
from converter.confinement import LAUNCHER, Confinement
from converter.errors import ConversionError, HostError


class Child:
    """A process as `run` sees it."""

    def __init__(self, returncode: int = 0, error: BaseException | None = None) -> None:
        self.returncode = returncode
        self.error = error
        self.killed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.killed or self.error is None

    def communicate(self, data: bytes, timeout: float | None) -> tuple[bytes, bytes]:
        assert (data, timeout) in {(b"in", None), (b"in", 2.5)}
        if self.error:
            raise self.error
        return b"out", b"err\n"

    def kill(self) -> None:
        self.killed = True


def run(monkeypatch: pytest.MonkeyPatch, child: Child, **options: Any) -> process.Completed:
    monkeypatch.setattr(process, "start", lambda *_, **__: child)
    return process.run(["tool", "-x"], stdin=b"in", **options)


def test_both_outputs_and_the_status_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, Child(3), check=False)
    assert done == process.Completed(3, b"out", b"err\n")
    assert done.reason == "err"


def test_a_failure_quotes_the_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConversionError, match="tool failed: err") as caught:
        run(monkeypatch, Child(1))
    assert caught.value.code == "tool-failed"


def test_nothing_runs_on_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(error=subprocess.TimeoutExpired("tool", 2.5))
    with pytest.raises(ConversionError, match=r"within 2\.5 s") as caught:
        run(monkeypatch, child, timeout=2.5)
    assert caught.value.code == "tool-timeout"
    assert child.killed


def test_nothing_runs_on_after_an_interruption(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Child(error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, child)
    assert child.killed


class Pouring(Child):
    """A process as `pour` sees it, which writes as it is started."""

    def wait(self, timeout: float) -> int:
        assert timeout == 2.5
        if self.error:
            raise self.error
        return self.returncode


def pour(monkeypatch: pytest.MonkeyPatch, child: Pouring, target: IO[bytes]) -> process.Completed:
    def start(
        argv: list[str], *, stdout: IO[bytes], stderr: IO[bytes], confinement: Confinement
    ) -> Pouring:
        assert argv == ["tool", "-x"]
        assert confinement == Confinement(
            read=(Path("/hostile"),), limits={"fsize": 100, "as": 1 << 30}
        )
        stdout.write(b"out")
        stderr.write(b"x" * 5000 + b"end\n")
        return child

    monkeypatch.setattr(process, "start", start)
    read = [Path("/hostile")]
    return process.pour(["tool", "-x"], target, read=read, limit=100, timeout=2.5)


def test_what_is_poured_into_a_file_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    target = io.BytesIO()
    done = pour(monkeypatch, Pouring(3), target)
    assert target.getvalue() == b"out"
    assert (done.status, done.stdout, done.reason[-4:]) == (3, b"", "xend")
    assert len(done.stderr) == 2000


def test_nothing_is_poured_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    child = Pouring(error=subprocess.TimeoutExpired("tool", 2.5))
    with pytest.raises(ConversionError, match=r"tool did not finish within 2\.5 s"):
        pour(monkeypatch, child, io.BytesIO())
    assert child.killed


@pytest.mark.parametrize(
    ("done", "reason"),
    [
        (process.Completed(1, b"said", b" \n"), "said"),
        (process.Completed(7, b"", b""), "exit status 7"),
        (process.Completed(1, b"", b"\xff" + b"x" * 5000 + b"end"), "x" * 1997 + "end"),
    ],
)
def test_reasons(done: process.Completed, reason: str) -> None:
    assert done.reason == reason


def test_a_missing_tool_is_a_lack_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {"setpriv": "/bin/setpriv"}.get)
    with pytest.raises(HostError, match="qemu-img is not installed") as caught:
        process.start(["qemu-img"])
    assert "doctor" in caught.value.hint


def test_children_end_with_us(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    process.start(["qemu-img", "info"])
    assert started == [
        ["/bin/setpriv", "--pdeathsig", "KILL", "--", "/bin/qemu-img", "info"],
    ]


def test_what_is_confined_is_started_by_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: started.append(command))
    confinement = Confinement(read=(Path("/a b"),), written=(Path("/c"),), limits={"fsize": 7})
    process.start(["qemu-img", "info"], confinement=confinement)
    [command] = started
    assert command[3:] == [
        *(str(LAUNCHER), "--parent", str(os.getpid())),
        *("--read", "/a b", "--write", "/c", "--limit", "fsize=7"),
        *("--", "/bin/qemu-img", "info"),
    ]


def test_a_tool_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(HostError, match="Cannot allocate"):
        process.start(["qemu-img"])
