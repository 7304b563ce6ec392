"""How far the work is: what a user sees while it runs, in whichever form the caller wants.

`logging` is for developers; a `Monitor` is for users. The pipeline calls `phase` when it enters a
phase and `progress` inside it; the form (bar, plain lines, JSON lines, nothing) is the monitor's.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


class Monitor(Protocol):
    """Receives the course of one piece of work."""

    def phase(self, name: str, text: str) -> None:
        """Begin a phase: `name` is stable and short, `text` is for a person."""

    def progress(self, name: str, fraction: float) -> None:
        """Show `name` done to `fraction` (0 to 1, never falling). Any thread may call."""


class NullMonitor:
    """A monitor that shows nothing."""

    def phase(self, name: str, text: str) -> None:
        """Show nothing."""

    def progress(self, name: str, fraction: float) -> None:
        """Show nothing."""


class Stopwatch:
    """Seconds spent in each phase, by name, in order of first use."""

    def __init__(self) -> None:
        """Start with no phases."""
        self.seconds: dict[str, float] = {}

    @contextmanager
    def timing(self, name: str) -> Iterator[None]:
        """Add the time spent in the block to the phase `name`."""
        begun = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - begun
            self.seconds[name] = round(self.seconds.get(name, 0.0) + spent, 3)
