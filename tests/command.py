"""The command as a user runs it: a process of its own, in a process group of its own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MARK = "CONVERTER_TEST_RUN"
# Whoever runs the tests may have a driver store.
_NO_STORE = {"CONVERTER_DRIVERS": "/nonexistent"}
# Ctrl-C reaches the command, though who runs the tests may ignore it (a shell's `&`).
_FROM_A_TERMINAL = ("env", "--default-signal=INT")


class Run:
    """A running `converter`, and whatever it starts: told by a mark in the environment."""

    def __init__(
        self, *arguments: str | Path, within: Sequence[str] = (), **environment: str
    ) -> None:
        """Start it; `within` is a command that runs another one in some place."""
        self._mark = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [*within, *_FROM_A_TERMINAL, sys.executable, "-m", "converter", *map(str, arguments)],
            env={**os.environ, **_NO_STORE, **environment, _MARK: self._mark},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def wait(self) -> Done:
        stdout, stderr = self.process.communicate()
        return Done(self.process.returncode, stdout, stderr)

    def stop_after(self, seconds: float, number: int) -> Done:
        """Let it run for `seconds`, at most, and send it a signal: to itself, not to its group."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        self.process.send_signal(number)
        return self.wait()

    def stop_child(self, name: str) -> int | None:
        """Wait until it runs the program `name`, and let that stand still (SIGSTOP)."""
        while self.process.poll() is None:
            for pid in self.processes():
                if Path(os.fsdecode(_read(pid, "cmdline").split(b"\0")[0])).name == name:
                    os.kill(pid, signal.SIGSTOP)
                    return pid
        return None

    def processes(self) -> list[int]:
        """Give the ids of all processes that it has started, itself included."""
        wanted = f"{_MARK}={self._mark}".encode()
        return [pid for pid in _all_processes() if wanted in _environment(pid).split(b"\0")]

    def left_over(self, *, within: float) -> list[str]:
        """Give the command lines of the processes that still are there after `within` seconds."""
        deadline = time.monotonic() + within
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
                os.close(descriptor)
        return [_read(pid, "cmdline").replace(b"\0", b" ").decode() for pid in self.processes()]


class Done:
    """How a `Run` ended."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code = code
        self.stdout = stdout
        self.stderr = stderr

    @property
    def document(self) -> Any:
        """Give the one JSON document on stdout."""
        return json.loads(self.stdout)

    def good(self) -> Done:
        assert self.code == 0, f"exit {self.code}\n{self.stdout}\n{self.stderr}"
        return self


def converter(*arguments: str | Path, **environment: str) -> Done:
    """Run the command to its end."""
    return Run(*arguments, **environment).wait()


def _all_processes() -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            yield int(entry.name)


def _environment(pid: int) -> bytes:
    return _read(pid, "environ")


def _read(pid: int, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""
