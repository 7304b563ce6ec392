"""What a command costs: its time, its processors' time, and the memory of its own process."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_POLL: Final = 0.05
_PEAK: Final = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_TAIL: Final = 3000


@dataclass(frozen=True)
class Cost:
    """Seconds of the clock and of all processors, with those of all that the command started.

    `peak` is the most memory that the process itself had, in bytes; `phases` are seconds, too.
    """

    wall: float
    cpu: float
    peak: int
    phases: Mapping[str, float] = field(default_factory=dict)


def run(
    argv: Sequence[str], *, status: int = 0, environment: Mapping[str, str] | None = None
) -> tuple[Cost, bytes]:
    """Run a command that ends with `status`, and give its cost and what it printed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=said,
            env={**os.environ, **(environment or {})},
        )
        over, peaks = threading.Event(), [0]
        watcher = threading.Thread(target=_watch, args=(child.pid, over, peaks))
        watcher.start()
        _, ended, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        over.set()
        watcher.join()
        child.returncode = os.waitstatus_to_exitcode(ended)
        out.seek(0)
        said.seek(0)
        printed, complaint = out.read(), said.read()
    if child.returncode != status:
        raise RuntimeError(f"{argv}: exit {child.returncode}: {complaint[-_TAIL:].decode()}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, max(peaks)), printed


def _watch(pid: int, over: threading.Event, peaks: list[int]) -> None:
    """Read the high-water mark of a process (proc(5), VmHWM) again and again: it is kept there."""
    while not over.wait(_POLL):
        try:
            found = _PEAK.search(Path(f"/proc/{pid}/status").read_text("ascii"))
        except OSError:
            return
        if found:
            peaks.append(int(found[1]) << 10)


def middle(costs: Sequence[Cost]) -> Cost:
    """Give the median of each number on its own."""
    names = {name for cost in costs for name in cost.phases}
    return Cost(
        median(cost.wall for cost in costs),
        median(cost.cpu for cost in costs),
        max(cost.peak for cost in costs),
        {name: median(cost.phases.get(name, 0.0) for cost in costs) for name in sorted(names)},
    )
