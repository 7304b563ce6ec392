"""Every way in which the work can end early, with the exit code each has on the command line.

One exception carries a stable `code`, what happened (`message`) and what to do next (`hint`).
Subclasses exist only where the exit code differs; adapters raise them at the boundary to a tool
or library, so nothing above `guest/`, `source/` and `process` meets a foreign exception.
"""

from __future__ import annotations

import errno
from contextlib import contextmanager
from traceback import clear_frames
from typing import TYPE_CHECKING, ClassVar, Final

from converter.model import Finding, Severity
from converter.model.finding import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

# What is told of the faults of one input: more of them tell nobody more.
_MOST_FAULTS: Final = 100
# No room for it, by the disk, a quota, or what one file may have (setrlimit(2), RLIMIT_FSIZE).
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ConversionError(Exception):
    """Something ended the work; by itself (exit 6): nothing was published."""

    exit_code: ClassVar[int] = 6

    def __init__(self, code: str, message: str, *, hint: str = "") -> None:
        """`code` is stable and kebab-case; `message` says what was found; `hint` what to do."""
        self.message = shortened(message)
        super().__init__(self.message)
        self.code = code
        self.hint = hint


class DefectError(ConversionError):
    """The converter itself is wrong (exit 1)."""

    exit_code = 1


class UsageError(ConversionError):
    """The request itself is wrong: an option, a name, an existing output (exit 2)."""

    exit_code = 2


class InputError(ConversionError):
    """What was given is at fault: its subclasses say how."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        hint: str = "",
        service_message: str = "",
        findings: tuple[Finding, ...] = (),
    ) -> None:
        """Give all `findings` that were made, this fault included; without any, it is the one."""
        super().__init__(code, message, hint=hint)
        own = Finding(Severity.ERROR, code, message, hint, service_message)
        self.findings = findings or (own,)


class GuestRefusedError(InputError):
    """The guest or its container cannot be converted, although it is whole (exit 3)."""

    exit_code = 3

    def beside(self, findings: Iterable[Finding]) -> GuestRefusedError:
        """Give it with what else was found."""
        return GuestRefusedError(
            self.code,
            self.message,
            hint=self.hint,
            findings=tuple(dict.fromkeys((*self.findings, *findings))),
        )

    def behind(self, causes: Sequence[Finding]) -> GuestRefusedError:
        """Give it as what follows from the first of `causes`, if there are any."""
        if not causes:
            return self
        first = causes[0]
        return GuestRefusedError(
            first.code, first.message, hint=first.hint, findings=(*causes, *self.findings)
        )


class DamagedInputError(InputError):
    """The input is truncated, corrupt, or not what it claims to be (exit 4)."""

    exit_code = 4


class Faults:
    """Keeps what is wrong with the parts of an input, so that none of it hides the rest."""

    def __init__(self) -> None:
        """Begin with none."""
        self.errors: list[InputError] = []

    def add(self, error: InputError) -> None:
        """Keep an error that need not be raised by itself."""
        self.errors.append(error)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the `InputError` that ends the block, if one does.

        Not so what was read until then: it may be much, and an error that is kept refers to it.
        """
        try:
            yield
        except InputError as error:
            clear_frames(error.__traceback__)
            self.errors.append(error)

    def raise_all(self, findings: Iterable[Finding] = ()) -> None:
        """Raise what was kept, if anything was, as one error with what else was found.

        Damage counts more than a refusal: what is refused of a damaged input may be a consequence.
        """
        if not self.errors:
            return
        damage = [error for error in self.errors if isinstance(error, DamagedInputError)]
        first, *others = damage or self.errors
        own = [finding for error in self.errors[:_MOST_FAULTS] for finding in error.findings]
        left_out = len(self.errors) - _MOST_FAULTS
        if left_out > 0:
            more = f"{left_out} more faults like these were found"
            own.append(Finding(Severity.ERROR, first.code, more, first.hint))
        found = dict.fromkeys((*own, *findings))
        message = "; ".join(dict.fromkeys(error.message for error in (first, *others)))
        if damage:
            raise DamagedInputError(
                first.code, message, hint=first.hint, findings=tuple(found)
            ) from first
        raise GuestRefusedError(
            first.code, message, hint=first.hint, findings=tuple(found)
        ) from first


class HostError(ConversionError):
    """This machine lacks something the work needs; `converter doctor` says what (exit 5)."""

    exit_code = 5


class GuestError(ConversionError):
    """An operation inside the guest's filesystem failed (exit 6)."""


class InterruptionError(ConversionError):
    """Somebody stopped the work (exit 130)."""

    exit_code = 130


def is_full(error: OSError) -> bool:
    """Tell whether a disk, a quota or a limit had no room left."""
    return error.errno in _FULL


def disk_full(path: Path, why: object) -> HostError:
    """Make the error for a lack of room where `path` is written."""
    return HostError(
        "disk-full",
        f"{path}: {why}",
        hint="free some space, or choose another directory: for the output with -o, for temporary"
        " files with TMPDIR",
    )


def writing_failed(path: Path, error: OSError, *, code: str) -> ConversionError:
    """Translate what went wrong when `path` was written: ``disk-full``, or else `code`."""
    if is_full(error):
        return disk_full(path, error.strerror or error)
    return ConversionError(
        code,
        f"{path}: {error.strerror or error}",
        hint="check that the directory can be written, and the disk that it lies on",
    )
