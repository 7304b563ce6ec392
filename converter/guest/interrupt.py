"""Lets a signal end a call into libguestfs that does not return.

Python carries out a signal's handler between two of its own instructions. While the main thread
waits inside libguestfs for an appliance that stands still there are none, and Ctrl-C would do
nothing. The signal's wake-up descriptor (signal.set_wakeup_fd) tells another thread of it, which
ends the appliance: the call fails, and the handler runs.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from converter.handoff.signals import ENDING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger(__name__)

# Threads, by their native ids, whose programs are left alone.
_clearing: set[int] = set()
_lock = threading.Lock()


@contextmanager
def interruptible(abort: Callable[[], None]) -> Iterator[None]:
    """Call `abort`, on another thread, when a signal that is handled arrives in the block.

    Only the main thread handles signals: on any other there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    theirs.settimeout(0)  # a signal must never wait for the watcher
    watcher = threading.Thread(target=_watch, args=(ours, abort), daemon=True)
    watcher.start()
    before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        theirs.close()
        watcher.join()
        ours.close()


def _watch(arrivals: socket.socket, abort: Callable[[], None]) -> None:
    """Read the numbers of the signals as they come, up to the end of the block."""
    while numbers := arrivals.recv(64):
        if any(number in ENDING for number in numbers):
            abort()


@contextmanager
def clearing_away() -> Iterator[None]:
    """Let be what the block starts on this thread: it removes what was made, and ends by itself."""
    thread = threading.get_native_id()
    try:
        with _lock:
            _clearing.add(thread)
        yield
    finally:
        with _lock:
            _clearing.discard(thread)


def kill_children(thread: int) -> None:
    """Kill every process that the thread with this native id has started (proc(5), children).

    None of a thread that is clearing away.
    """
    with _lock:
        if thread in _clearing:
            return
        try:
            listed = Path(f"/proc/self/task/{thread}/children").read_text(encoding="ascii")
        except OSError as error:
            # The thread is gone, or the kernel does not tell (CONFIG_PROC_CHILDREN).
            log.debug("children of thread %d: %s", thread, error)
            return
        for child in listed.split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
