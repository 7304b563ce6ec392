"""What QEMU tells of the machine that it runs, in its own protocol (QMP).

https://www.qemu.org/docs/master/interop/qmp-intro.html; the event is SHUTDOWN, of
https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#run-state.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME: Final = "qmp"
# More than a FIFO holds (pipe(7)).
_MOST: Final = 1 << 20


class Events:
    """The events of one machine after another, over two FIFOs."""

    def __init__(self, path: Path, commands: int, said: int) -> None:
        """Write to and read from the FIFOs `path`.in and `path`.out, which are open."""
        self.arguments = (
            "-chardev", f"pipe,id={_NAME},path={value(path)}",
            "-mon", f"chardev={_NAME},mode=control",
        )  # fmt: skip
        self.files = _fifos(path)
        self._commands = commands
        self._said = said

    def expect(self) -> None:
        """Have the machine that is started next tell its events."""
        os.write(self._commands, b'{"execute": "qmp_capabilities"}\n')

    def was_reset(self) -> bool:
        """Tell whether the machine, which has ended, would have started again.

        It is to run with `-no-reboot`. What it said is taken.
        """
        try:
            said = os.read(self._said, _MOST)
        except BlockingIOError:
            return False
        return any(_reason(line) == "guest-reset" for line in said.splitlines())


def value(path: Path) -> str:
    """Give `path` as the value of an option of QEMU's: a comma there is written twice."""
    return str(path).replace(",", ",,")


@contextmanager
def events(directory: Path) -> Iterator[Events]:
    """Make the FIFOs in `directory`, for as long as machines may be started."""
    path = directory / _NAME
    for fifo in _fifos(path):
        os.mkfifo(fifo, 0o600)
    # Both ends are ours too: so opening waits for nobody, and what was said stays after QEMU.
    commands, said = (os.open(fifo, os.O_RDWR | os.O_NONBLOCK) for fifo in _fifos(path))
    try:
        yield Events(path, commands, said)
    finally:
        os.close(commands)
        os.close(said)


def _fifos(path: Path) -> tuple[Path, Path]:
    return path.with_suffix(".in"), path.with_suffix(".out")


def _reason(line: bytes) -> str | None:
    """Give why the machine ended, where `line` says so. A guest that got out of QEMU wrote it."""
    try:
        event: Any = json.loads(line)
        return str(event["data"]["reason"]) if event["event"] == "SHUTDOWN" else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
