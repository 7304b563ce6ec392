"""What the appliance's kernel says of its disks.

A disk of the appliance is an overlay over the source, both files of this host. Where the host
cannot read or write them QEMU hands the error on, and the kernel tells of it (Linux,
block/blk-core.c, blk_errors). Nobody else does: what was written late is simply not there.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError, disk_full

if TYPE_CHECKING:
    from pathlib import Path


class Fault(StrEnum):
    """What a disk did not do."""

    READ = "a read"
    WRITE = "a write"
    NO_ROOM = "a write, for want of room"


# Of disks alone: what LVM makes of them has errors of its own, such as of a snapshot that is full.
# Where a line begins: the kernel also tells of names that the guest gave, such as of file systems.
_ERROR: Final = re.compile(
    r"^(?:<\d+>)?(?:\[[^]\n]*\] ?)*(?:(?:print_req_error|blk_update_request): )?"
    r"(critical space allocation|critical medium|I/O) error, dev [sv]d[a-z]+, sector \d+"
    r"(?: op 0x[0-9a-f]+:\((\w+)\))?",
    re.MULTILINE,
)


def fault(said: str) -> Fault | None:
    """Give what the disks did not do by the kernel's log, None where they did all; writes first."""
    found = {_fault(*match.groups()) for match in _ERROR.finditer(said)}
    return next((kind for kind in (Fault.NO_ROOM, Fault.WRITE, Fault.READ) if kind in found), None)


def _fault(kind: str, operation: str | None) -> Fault:
    if kind == "critical space allocation":
        return Fault.NO_ROOM
    return Fault.READ if operation == "READ" else Fault.WRITE


def judged(said: str, directory: Path) -> ConversionError | None:
    """Make the error for a log that tells of a fault, None for another; overlays: `directory`."""
    match fault(said):
        case Fault.NO_ROOM:
            return disk_full(directory, "no room was left while the guest was changed")
        case Fault.WRITE:
            return ConversionError(
                "overlay-failed",
                f"{directory}: the guest's changes could not be written there",
                hint="free some space (df, quota, ulimit -f), or see to the disk (dmesg)",
            )
        case Fault.READ:
            return ConversionError(
                "source-read-failed",
                "a disk of the guest could not be read",
                hint="check the disk or the share that the source lies on, or copy it to another"
                " one first",
            )
        case None:
            return None
