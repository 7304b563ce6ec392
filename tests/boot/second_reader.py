"""What dissect reads on the disks of a guest: a reader that shares no code with libguestfs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dissect.target import Target, container

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """`mounts` are where the guest's own fstab puts filesystems that were found by its names."""

    family: str
    name: str
    hostname: str
    users: frozenset[str]
    mounts: frozenset[str]
    fstab: str


def read(disks: Iterable[Path]) -> Seen:
    """Read the guest on raw `disks`."""
    target = Target()
    for disk in disks:
        target.disks.add(container.open(disk))
    target.apply()
    return Seen(
        family=target.os,
        name=target.version,
        hostname=target.hostname,
        users=frozenset(user.name for user in target.users()),
        # Filesystems that fstab does not name are put below `$fs$`.
        mounts=frozenset(place for place in target.fs.mounts if "$fs$" not in place),
        fstab=target.fs.path("/etc/fstab").read_text("utf-8"),
    )
