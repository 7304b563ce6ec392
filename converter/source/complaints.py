"""What it means when qemu-img fails."""

from __future__ import annotations

import errno
import os
import re
import signal
from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError, DamagedInputError, UsageError, disk_full

if TYPE_CHECKING:
    from pathlib import Path

# The last is what `qemu-img create` makes of EFBIG.
_FULL: Final = re.compile(
    "No space left on device|Disk quota exceeded|File too large|The image size is too large"
)
_LOCKED: Final = re.compile("Failed to get .* lock|Is another process using the image")
_TARGET: Final = re.compile(
    "error while writing|Could not create|Could not resize|Permission denied"
)


def judged(source: str, target: Path, status: int, said: str) -> ConversionError:
    """Make the error for a qemu-img that reads `source`, writes `target`, and failed.

    What is not the host's fault is the source's: it was found sound, and QEMU knows better.
    """
    return (
        source_in_use(source, said)
        or host_fault(target, status, said)
        or DamagedInputError(
            "source-damaged",
            f"{source}: {said.strip()}",
            hint="copy it again from where it was exported to, or export it again",
        )
    )


def source_in_use(source: str, said: str) -> UsageError | None:
    """Make the error for a qemu-img that did not get its lock on `source`, None for another."""
    if not _LOCKED.search(said):
        return None
    return UsageError(
        "source-in-use",
        f"{source}: another program has it open for writing: {said.strip()}",
        hint="shut the machine down first, or convert a copy",
    )


def host_fault(target: Path, status: int, said: str) -> ConversionError | None:
    """Make the error for a qemu-img that failed to write `target`, None if that was not why."""
    if status == -signal.SIGXFSZ:
        return disk_full(target, os.strerror(errno.EFBIG))
    if status < 0:
        return ConversionError(
            "tool-failed",
            f"qemu-img was killed by signal {-status}",
            hint="see whether the machine ran out of memory (dmesg), and run it again",
        )
    if not said.strip():
        return ConversionError(
            "tool-failed",
            f"qemu-img ended with the exit status {status}, and did not say why",
            hint="run it again with --log FILE: it has the whole command",
        )
    if _FULL.search(said):
        return disk_full(target, said.strip())
    if _TARGET.search(said):
        return ConversionError(
            "copy-failed",
            f"{target}: {said.strip()}",
            hint="check that the directory can be written, and the disk that it lies on",
        )
    return None
