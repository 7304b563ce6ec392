"""Work on a source that goes on beside everything else, on a thread of its own."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Job(ABC):
    """Something that is begun, waited for, or cancelled."""

    def __init__(self, name: str, *, on_failure: Callable[[], None] = lambda: None) -> None:
        """Prepare it; `on_failure` is called, on its thread, when it has failed."""
        self._on_failure = on_failure
        self._cancelled = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def _work(self) -> None:
        """Do it, and look at `is_cancelled` again and again."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Stop within a second, if it still runs; a failure is not raised any more."""
        self._cancelled.set()
        # A signal may have come while it was being started: then it sees by itself that it is over.
        if self._thread.is_alive():
            self._thread.join()

    def wait(self) -> None:
        """Wait for the end; raises what went wrong."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def is_cancelled(self) -> bool:
        """Tell whether it was told to stop."""
        return self._cancelled.is_set()

    @property
    def has_failed(self) -> bool:
        """Whether it ended with an error so far."""
        return self._failure is not None

    def _run(self) -> None:
        if self.is_cancelled():
            return
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - kept, and raised by wait()
            self._failure = error
        if self._failure is not None and not self.is_cancelled():
            self._on_failure()
