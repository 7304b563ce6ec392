"""How many conversions fit on this machine at once.

A conversion's memory is bounded whatever the guest: that of libguestfs' appliance, of QEMU around
it, and of the converter itself. Its processors are not: more conversions than processors are all
there is to do, only later.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMINFO: Final = Path("/proc/meminfo")
_CGROUP: Final = Path("/proc/self/cgroup")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_AVAILABLE: Final = re.compile(r"^MemAvailable:\s+(\d+) kB$", re.MULTILINE)


def memory() -> int:
    """Give how many bytes of memory may still be used; 0 where that cannot be told.

    Free, or to be had without swapping (proc(5), MemAvailable), and no more than the control groups
    that this process is in may have at all (Linux, Documentation/admin-guide/cgroup-v2.rst).
    """
    try:
        found = _AVAILABLE.search(_MEMINFO.read_text(encoding="ascii"))
    except (OSError, ValueError):
        found = None
    return min([int(found[1]) << 10 if found else 0, *_limits()])


def _limits() -> Iterator[int]:
    for group in _groups():
        with suppress(OSError, ValueError):  # "max" is no number, and no limit
            yield int((group / "memory.max").read_text(encoding="ascii"))


def _groups() -> Iterator[Path]:
    """Give the control groups of this process, as this process sees them, the innermost first."""
    try:
        lines = _CGROUP.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        if line.startswith("0::/"):
            own = _CGROUPS / line.removeprefix("0::/")
            yield from (own, *(path for path in own.parents if path.is_relative_to(_CGROUPS)))


def processors() -> int:
    """Give how many processors this process may use."""
    return len(os.sched_getaffinity(0))
