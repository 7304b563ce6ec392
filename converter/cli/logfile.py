"""`--log FILE`: everything that developers want to know of a run, in a file."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from converter.cli.output import emit, indented
from converter.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

log = logging.getLogger("converter")


class _Formatter(logging.Formatter):
    """Leaves nothing in a record that would write to the terminal, or pass for another record."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        return indented(super().format(record))


class _File(logging.FileHandler):
    """A file that goes on without what cannot be written: the work does not depend on it."""

    failure: OSError | None = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Keep why a record could not be written."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.failure = error
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close it, whether or not what it still holds can be written."""
        try:
            super().close()
        except OSError as error:
            self.failure = error


@contextmanager
def keeping_log(path: Path | None, *, inputs: Sequence[Path]) -> Iterator[None]:
    """Add every log record of the block to the file at `path`, and the error it ends with.

    Raises `UsageError` ``log-unwritable``; one of the `inputs` is never written.
    """
    if path is None:
        yield
        return
    handler = _open(path, inputs)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    try:
        yield
    except BaseException:
        log.debug("ended by", exc_info=True)
        raise
    finally:
        log.setLevel(before)
        log.removeHandler(handler)
        handler.close()
        if handler.failure is not None:
            reason = handler.failure.strerror
            emit(sys.stderr, f"converter: --log {path}: is not whole: {reason}")


def _open(path: Path, inputs: Sequence[Path]) -> _File:
    try:
        if any(path.exists() and item.exists() and path.samefile(item) for item in inputs):
            raise UsageError(
                "log-unwritable",
                f"--log {path}: is an input, and inputs are kept",
                hint="give a file of its own",
            )
        handler = _File(path, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(
            "log-unwritable",
            f"--log {path}: cannot be written: {error.strerror}",
            hint="give a file in a directory that can be written",
        ) from error
    handler.setFormatter(_Formatter("%(asctime)s %(name)s %(message)s"))
    return handler
