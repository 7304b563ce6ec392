"""What a command costs: its time, its processors' time, and the memory of its own process."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# Seconds after which a command is ended: virt-v2v may take ten minutes here.
_LONGEST: Final = 3600
# And what it has left behind.
_ORPHANS: Final = 30
_POLL: Final = 0.05
# Adding up the pages of a QEMU takes a moment: not each time.
_POLLS_FOR_ALL: Final = 10
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_SHARE: Final = re.compile(r"^Pss:\s+(\d+) kB", re.MULTILINE)
_TAIL: Final = 3000
# Who is left behind by a command becomes ours, and is waited for (prctl(2)).
_PR_SET_CHILD_SUBREAPER: Final = 36
ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
_starting: Final = threading.Lock()
_running: Final = set[int]()


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of all processors, with those of all that the command started.

    `peak` is the most memory that the process itself had, in bytes, and `together` the most that
    was seen of it and all that it started; `phases` are seconds, too. `stored` are the bytes that
    what it made takes on the disk.
    """

    wall: float
    cpu: float
    peak: int
    together: int
    phases: Mapping[str, float] = field(default_factory=dict)
    stored: int = 0


def run(
    argv: Sequence[str], *, status: int = 0, environment: Mapping[str, str] | None = None
) -> tuple[Cost, bytes]:
    """Run a command that ends with `status`, and give its cost and what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        with _starting:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=said,
                env=_environment(environment or {}),
                start_new_session=True,
            )
            _running.add(child.pid)
        over, watcher = threading.Event(), _Watcher(child.pid)
        thread = threading.Thread(target=watcher.watch, args=(over,))
        thread.start()
        timer = threading.Timer(_LONGEST, os.killpg, (child.pid, signal.SIGKILL))
        timer.start()
        try:
            _, ended, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        finally:
            wall = time.perf_counter() - start
            timer.cancel()
            over.set()
            thread.join()
            left_behind = _left_behind(child.pid)
        child.returncode = os.waitstatus_to_exitcode(ended)
        out.seek(0)
        said.seek(0)
        printed, complaint = out.read(), said.read()
    if child.returncode != status:
        tail = complaint[-_TAIL:].decode(errors="replace")
        raise RuntimeError(f"{argv}: exit {child.returncode}: {tail}")
    cpu = usage.ru_utime + usage.ru_stime + left_behind
    return Cost(wall, cpu, watcher.peak, watcher.together), printed


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    # Who has this set would have everything compiled anew each time.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **more}


def _left_behind(command: int) -> float:
    """Wait for what a command that is over left behind, and give its processors' seconds.

    virt-v2v tells its NBD servers to end, and does not wait for them.
    """
    seconds = 0.0
    with _starting:
        _running.discard(command)
        for pid in set(_children(os.getpid())) - _running:
            timer = threading.Timer(_ORPHANS, os.kill, (pid, signal.SIGKILL))
            timer.start()
            usage = os.wait4(pid, 0)[2]
            timer.cancel()
            seconds += usage.ru_utime + usage.ru_stime
    return seconds


class _Watcher:
    """Looks at the memory of a process again and again; in bytes."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.peak = 0
        self.together = 0

    def watch(self, over: threading.Event) -> None:
        """Look until it is over. The kernel keeps the process's own peak (proc(5), VmHWM)."""
        for turn in count():
            self.peak = max(self.peak, _memory(self._pid, "status", _PEAK))
            if turn % _POLLS_FOR_ALL == 0:
                shares = (_memory(pid, "smaps_rollup", _SHARE) for pid in _family(self._pid))
                self.together = max(self.together, sum(shares))
            if over.wait(_POLL):
                return


def _family(pid: int) -> Iterator[int]:
    """Give a process and all that descend from it (proc(5), children)."""
    yield pid
    for child in _children(pid):
        yield from _family(child)


def _children(pid: int) -> Iterator[int]:
    with suppress(OSError):  # it is over
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            yield from map(int, task.read_text("ascii").split())


def _memory(pid: int, file: str, pattern: re.Pattern[str]) -> int:
    """Read a number of bytes from a file about a process; 0 when that is over."""
    try:
        found = pattern.search(Path(f"/proc/{pid}/{file}").read_text("ascii"))
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def middle(costs: Sequence[Cost]) -> Cost:
    """Give the median of each number on its own; of memory and disk, the most."""
    names = dict.fromkeys(name for cost in costs for name in cost.phases)
    return Cost(
        median(cost.wall for cost in costs),
        median(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
        max(cost.together for cost in costs),
        {name: median(cost.phases.get(name, 0.0) for cost in costs) for name in names},
        max(cost.stored for cost in costs),
    )
