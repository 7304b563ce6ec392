"""The only place that starts processes.

Every child dies with the thread that started it (`setpriv --pdeathsig`, prctl(2)
PR_SET_PDEATHSIG), so that `kill -9` of the converter leaves nothing behind; its output is kept,
and a failure is an error that quotes it. What reads something that nobody vouches for is given a
`Confinement`.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from converter.confinement import Confinement, describe
from converter.errors import ConversionError, HostError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

# What a failing tool says is at the end of what it printed.
_TAIL = 2000
# What a tool may take that reads what nobody vouches for.
_MEMORY = 1 << 30


@dataclass(frozen=True, slots=True)
class Completed:
    """What a finished process left: its exit status and both of its outputs."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def reason(self) -> str:
        """The end of what the tool said, as one printable string."""
        said = (self.stderr.strip() or self.stdout.strip())[-_TAIL:]
        return said.decode("utf-8", "replace") or f"exit status {self.status}"


def find_tool(name: str) -> str:
    """Give the absolute path of the program `name`, or raise `HostError`."""
    path = shutil.which(name)
    if path is None:
        raise HostError(
            "tool-missing",
            f"the program {name} is not installed",
            hint="run `converter doctor`: it names the package to install",
        )
    return path


def start(  # noqa: PLR0913 - as many as a process has
    argv: Sequence[str],
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    confinement: Confinement | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` without waiting; the child is killed when the calling thread ends.

    It may do what we may, unless there is a `confinement`.
    """
    tool = find_tool(argv[0])
    if confinement is None:
        beginning = [find_tool("setpriv"), "--pdeathsig", "KILL", "--", tool]
    else:
        beginning = confinement.command(tool)
    command = [*beginning, *argv[1:]]
    how = "" if confinement is None else f" ({describe()})"
    log.debug("run%s: %s", how, shlex.join(argv))
    try:
        return subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, close_fds=True
        )
    except OSError as error:
        raise HostError(
            "tool-unstartable",
            f"{argv[0]} cannot be started: {error}",
            hint="check the limits on processes and memory (ulimit -a), and the program itself",
        ) from error


@contextmanager
def _killed_late(
    child: subprocess.Popen[bytes], name: str, timeout: float | None
) -> Iterator[None]:
    """Kill the child when its time is over, or when whatever waits for it is interrupted."""
    try:
        yield
    except subprocess.TimeoutExpired as error:
        child.kill()
        raise ConversionError(
            "tool-timeout",
            f"{name} did not finish within {timeout:g} s",
            hint="run it again when the machine has less to do; if it stays so, report it",
        ) from error
    except BaseException:
        child.kill()
        raise


def run(
    argv: Sequence[str],
    *,
    timeout: float | None = None,
    check: bool = True,
    stdin: bytes = b"",
    confinement: Confinement | None = None,
) -> Completed:
    """Run `argv` to its end and give its outputs, within the `confinement` if there is one.

    Raises `ConversionError` ``tool-failed`` when it exits non-zero (unless `check` is false) and
    ``tool-timeout`` when it runs longer than `timeout` seconds; it is killed then.
    """
    with (
        start(argv, stdin=subprocess.PIPE, confinement=confinement) as child,
        _killed_late(child, argv[0], timeout),
    ):
        out, err = child.communicate(stdin, timeout=timeout)
    done = Completed(child.returncode, out, err)
    log.debug("exit %d: %s", done.status, done.reason if done.status else argv[0])
    if check and done.status != 0:
        raise ConversionError(
            "tool-failed",
            f"{argv[0]} failed: {done.reason}",
            hint="run it again with --log FILE: it has the whole command and what it said",
        )
    return done


def pour(
    argv: Sequence[str],
    target: IO[bytes],
    *,
    limit: int,
    timeout: float,
    read: Sequence[Path] = (),
) -> Completed:
    """Run `argv`, a tool that reads the files `read`, hostile or not, and keep its output.

    The output goes to the file `target`. The tool is confined, and ended by the kernel when a file
    of its gets more than `limit` bytes, or it takes a lot of memory; it is killed after `timeout`
    seconds. Raises `ConversionError` ``tool-timeout``.
    """
    confinement = Confinement(read=tuple(read), limits={"fsize": limit, "as": _MEMORY})
    with tempfile.TemporaryFile() as said:
        with (
            start(argv, stdout=target, stderr=said, confinement=confinement) as child,
            _killed_late(child, argv[0], timeout),
        ):
            status = child.wait(timeout)
        said.seek(max(0, said.seek(0, os.SEEK_END) - _TAIL))
        return Completed(status, b"", said.read())
