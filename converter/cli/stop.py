"""What ends a run of the command line before it is through: Ctrl-C and its like."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Final

from converter.handoff.signals import ENDING

if TYPE_CHECKING:
    from types import FrameType

# Seconds in which an impatient second signal does not interrupt the clearing away.
_PATIENCE: Final = 5.0


class _Stopped(KeyboardInterrupt):
    """An interruption that CPython does not remember.

    `python -m` ends by SIGINT, whatever the exit code was to be, when a KeyboardInterrupt of that
    very class has ever left an exec(), as importing is full of (Modules/main.c, pymain_run_python).
    """


class Stop:
    """Ends the run by `KeyboardInterrupt`, once for signals that come soon after another."""

    def __init__(self) -> None:
        """Wait for a signal."""
        self._last = float("-inf")
        self._is_over = False

    @property
    def was_called(self) -> bool:
        """Whether anybody wanted the run to end."""
        return self._last > float("-inf")

    def over(self) -> None:
        """Let signals be: what the run was for is there, and no signal takes it back."""
        self._is_over = True

    def install(self) -> None:
        """Handle the signals, but those that are ignored.

        nohup(1), or a shell's `&`: whoever ignores a signal for us means it.
        """
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self)

    def __call__(self, _signal: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        now = time.monotonic()
        if not self._is_over and now - self._last > _PATIENCE:
            self._last = now
            raise _Stopped


def ignore() -> None:
    """Ignore the signals for good: Python, when it ends, would give them their defaults."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
