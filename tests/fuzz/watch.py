"""What may happen while an input is parsed: in how long, in how much memory, with which files.

Files are watched by the interpreter's own audit events (PEP 578). It has none for stat(2) and
readlink(2), which open nothing.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import sysconfig
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import FrameType

    from tests.fuzz.target import Target

ROOT: Final = Path(__file__).resolve().parents[2]
SECONDS: Final = 5.0
_WAITING: Final = 20
MEMORY: Final = 512 << 20
_ADDRESSES: Final = 1 << 30
"""What may be asked for beyond what the process has at the start, in bytes."""
_NEVER: Final = (
    "subprocess.", "socket.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn",
    "ctypes.", "pty.", "urllib.", "ftplib.", "http.", "smtplib.",
)  # fmt: skip
# Our own code, which may be imported, and its data.
_OWN: Final = tuple(
    f"{path}{os.sep}"
    for path in {*sysconfig.get_paths().values(), sys.prefix, str(ROOT / "converter")}
)


class ForbiddenError(BaseException):
    """Something that no parser has to do; nothing may catch it."""


class TooSlowError(BaseException):
    """The time is over; nothing may catch it."""


@dataclass(frozen=True)
class Finding:
    """`place` is one for each mistake, whatever the input."""

    place: str
    what: str
    data: bytes


class Watch:
    """Runs a target under watch, in a process of its own."""

    def __init__(self, target: Target, work: Path) -> None:
        """`work` is the one directory where there may be files."""
        self._target, self._work = target, work
        self._inside = f"{work}{os.sep}"
        self._is_on = False
        self._forbidden = ""
        self._memory = self.base = 0
        self.inputs = self.understood = 0
        self.slowest = 0.0
        self.findings: dict[str, Finding] = {}

    def begin(self, first: Collection[bytes]) -> None:
        """Set the limits of this process, and run the `first` inputs.

        What is there already does not count. The target has imported what it needs by then.
        """
        for data in first:
            with suppress(Exception):
                self._target.run(data, self._work)
        resource.setrlimit(resource.RLIMIT_AS, (_address_space() + _ADDRESSES,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, _out_of_time)
        sys.addaudithook(self._audit)
        self._memory = self.base = most_memory()
        for data in first:
            self.run(data)

    def run(self, data: bytes, *, whole: bool = True) -> None:
        """Run the target on `data`, and note what must not be."""
        self.inputs += 1
        self._forbidden = ""
        self._is_on = True
        start = time.process_time()
        _set_timers(SECONDS)
        caught: BaseException | None = None
        try:
            self.understood += self._target.run(data, self._work, whole=whole)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is a finding
            caught = error
        finally:
            _set_timers(0)
            self._is_on = False
        if caught is not None:
            self._note(type(caught).__name__, str(caught), caught, data)
        self._judge(data, time.process_time() - start)

    def _judge(self, data: bytes, seconds: float) -> None:
        self.slowest = max(self.slowest, seconds)
        if seconds > 2 * SECONDS:
            self._note("TooSlowError", f"{seconds:.1f} seconds, not interrupted", None, data)
        if self._forbidden and not any(self._forbidden in f.what for f in self.findings.values()):
            self._note("forbidden", self._forbidden, None, data)
        memory = most_memory()
        if memory - self._memory > MEMORY:
            self._note("memory", f"{memory - self._memory} bytes", None, data)
            self._memory = memory

    def _note(self, kind: str, what: str, error: BaseException | None, data: bytes) -> None:
        place = f"{kind} {_where(error)}".strip()
        trace = "".join(traceback.format_exception(error)) if error else ""
        self.findings.setdefault(place, Finding(place, f"{what[:2000]}\n{trace[-8000:]}", data))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        is_forbidden = event.startswith(_NEVER)
        if event == "open":
            is_forbidden = not self._is_allowed(event, arguments[0])
        elif event.startswith(("os.", "shutil.")):
            is_forbidden |= not all(self._is_allowed(event, path) for path in arguments)
        if is_forbidden:
            self._forbidden = f"{event} {arguments!r}"
            raise ForbiddenError(self._forbidden)

    def _is_allowed(self, event: str, path: object) -> bool:
        """Tell whether a file may be touched; what is no path is an open file, or no file."""
        if not isinstance(path, (str, bytes, os.PathLike)):
            return True
        whole = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - no link is followed
        if f"{whole}/".startswith(self._inside):
            return True
        return event in ("open", "os.listdir", "os.scandir") and whole.startswith(_OWN)


def most_memory() -> int:
    """Give the most memory this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


def _set_timers(seconds: float) -> None:
    """Let so much of the processor's time pass, on a machine that may have others to serve."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.setitimer(signal.ITIMER_REAL, _WAITING * seconds)


def _out_of_time(_number: int, _frame: FrameType | None) -> None:
    raise TooSlowError


def _where(error: BaseException | None) -> str:
    """Give the last line of ours that was reached."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    own = [frame for frame in frames if frame.filename.startswith(str(ROOT))]
    inner = [frame for frame in own if "/fuzz/" not in frame.filename] or own
    return f"{Path(inner[-1].filename).name}:{inner[-1].lineno}" if inner else ""
