"""What a person or a program sees of work in progress: the monitors of the command line.

All of it goes to stderr; stdout is for the answer alone.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from converter.cli.output import emit, printable

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import TaskID

# In a pipe: no more often than this, so that a log stays readable.
_PLAIN_STEP: Final = 0.25


class PlainMonitor:
    """One line for each phase and each quarter of it: for pipes and logs."""

    def __init__(self) -> None:
        """Begin the clock that every line shows."""
        self._begun = time.monotonic()
        self._shown: dict[str, float] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Nothing to open."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def _line(self, text: str) -> None:
        emit(sys.stderr, f"[{time.monotonic() - self._begun:6.1f} s] {text}")

    def phase(self, name: str, text: str) -> None:
        """See `Monitor`."""
        with self._lock:
            self._shown[name] = 0.0
            self._line(text)

    def progress(self, name: str, fraction: float) -> None:
        """See `Monitor`."""
        with self._lock:
            shown = self._shown.get(name, 0.0)
            if fraction >= min(shown + _PLAIN_STEP, 1.0) > shown:
                self._shown[name] = fraction
                self._line(f"{name}: {fraction:.0%}")


class BarMonitor:
    """Progress bars, one for each phase: for a terminal."""

    def __init__(self) -> None:
        """Make the display; it is shown inside the `with` block."""
        self._display = Progress(
            TextColumn("{task.description:<44}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        """Show the display."""
        self._display.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the display as it is."""
        self._display.stop()

    def phase(self, name: str, text: str) -> None:
        """See `Monitor`."""
        self._tasks[name] = self._display.add_task(printable(text), total=1.0)

    def progress(self, name: str, fraction: float) -> None:
        """See `Monitor`."""
        if name in self._tasks:
            self._display.update(self._tasks[name], completed=fraction)


def monitor() -> PlainMonitor | BarMonitor:
    """Give the monitor that fits what stderr is."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    return BarMonitor() if on_terminal else PlainMonitor()
