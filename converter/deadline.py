"""A time limit for each phase of the work: whatever an image holds, the work on it ends.

A corrupt filesystem can stop the appliance's kernel, a directory can have millions of files, and a
program of the guest can do anything to the machine it runs in. The limits are in data/limits.toml;
honest work on a slow machine is far below them.
"""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import ConversionError
from converter.guest.interrupt import kill_children

if TYPE_CHECKING:
    from collections.abc import Iterator

_GIB: Final = 1 << 30
# Seconds; the kernel's timers, and Python's, have an end.
_AGAIN: Final = 0.5
_LONGEST: Final = 1e8


class _Late(BaseException):
    """Raised wherever the main thread is when its time is over."""


@dataclass(slots=True)
class _Limit:
    """When a phase has to end: it began at `begun` (seconds, monotonic), and has `seconds`."""

    begun: float
    seconds: float

    @property
    def left(self) -> float:
        return max(0.0, self.begun + self.seconds - time.monotonic())


_CURRENT: Final = ContextVar[_Limit | None]("_CURRENT", default=None)


def prolong(seconds: float) -> None:
    """Give the phase that this thread works on so much more: there is more to it than was seen."""
    limit = _CURRENT.get()
    if limit is not None:
        limit.seconds += seconds


def seconds_for(phase: str, size: int = 0) -> float:
    """Give how long `phase` may take on disks of `size` bytes."""
    row = load("limits")["phases"][phase]
    seconds: float = row["seconds"] + row.get("seconds_per_gib", 0) * size / _GIB
    return min(seconds, _LONGEST)


@contextmanager
def deadline(phase: str, seconds: float) -> Iterator[None]:
    """Raise `ConversionError` ``phase-timeout`` when the block takes longer than `seconds`.

    What this thread has started is killed then, so that nothing waits for it any more; and the main
    thread is interrupted by SIGALRM in whatever it computes. On another thread, what computes is
    not interrupted: it ends late, with the same error. One deadline at a time.
    """
    late, done = threading.Event(), threading.Event()
    thread = threading.get_native_id()
    limit = _Limit(time.monotonic(), seconds)

    def watch() -> None:
        while limit.left:
            if done.wait(limit.left):
                return
        late.set()
        while not done.is_set():  # what is killed may be followed by another
            kill_children(thread)
            done.wait(_AGAIN)

    watcher = threading.Thread(target=watch, name=f"deadline-{phase}", daemon=True)
    token = _CURRENT.set(limit)
    try:
        with _alarm(limit, late):
            watcher.start()
            try:
                yield
            finally:
                done.set()
                watcher.join()
    except BaseException as error:
        if late.is_set():
            raise _too_late(phase, limit) from error
        raise
    finally:
        _CURRENT.reset(token)
    if late.is_set():  # whatever failed then was taken for something else
        raise _too_late(phase, limit)


def _too_late(phase: str, limit: _Limit) -> ConversionError:
    return ConversionError(
        "phase-timeout",
        f"the phase {phase!r} did not end within {limit.seconds:g} s",
        hint="run it again on an idle machine; if it ends like this once more, the image is damaged"
        " or made to, and the --log file shows where it stood still",
    )


@contextmanager
def _alarm(limit: _Limit, late: threading.Event) -> Iterator[None]:
    """Raise in the main thread when the time is over: the kernel tells, whoever holds the GIL."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_signal: int, _frame: object) -> None:
        if limit.left:
            signal.setitimer(signal.ITIMER_REAL, limit.left)
            return
        late.set()
        raise _Late

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit.seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        # It handles what is pending before it changes anything.
        signal.signal(signal.SIGALRM, before)
