"""Keeping signals away from what must not be done by halves."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals that end a run."""


@contextmanager
def deferred() -> Iterator[list[int]]:
    """Let the signals that end a run wait until the block is done.

    Gives the list of those that wait; what the block takes out of it is never delivered.
    Python handles signals on the main thread only: on any other there is nothing to do. (Blocking
    them there would not help: the kernel hands a signal to whichever thread does not block it.)
    """
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    before = {
        number: signal.signal(number, lambda arrived, _frame: held.append(arrived))
        for number in ENDING
    }
    try:
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for arrived in held:
            signal.raise_signal(arrived)
