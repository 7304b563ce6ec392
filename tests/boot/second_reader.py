"""What dissect reads on the disks of a guest: a reader that shares no code with libguestfs.

Files are read from dissect's filesystems, not from its tree of mounted ones: in that one, dissect
3.25 does not find what is in the directories of a Btrfs subvolume.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dissect.target import Target, container

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """`mounts` are the lines of fstab whose filesystem is there by the name in them: the places."""

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
    root = next(found for found in target.filesystems if found.exists("/etc/fstab"))

    def text(path: str) -> str:
        return str(root.path(path).read_text("utf-8"))

    release = dict(line.split("=", 1) for line in text("/etc/os-release").splitlines())
    names = {name for found in target.filesystems for name in _names(found)}
    lines = [line.split() for line in text("/etc/fstab").splitlines()]
    return Seen(
        family=target.os,
        name=release["PRETTY_NAME"].strip('"'),
        hostname=text("/etc/hostname").strip(),
        users=frozenset(line.split(":")[0] for line in text("/etc/passwd").splitlines()),
        mounts=frozenset(line[1] for line in lines if line and line[0] in names),
        fstab=text("/etc/fstab"),
    )


def _names(found: Any) -> Iterator[str]:
    """Give what fstab may call a filesystem of dissect's: by its UUID, or as a logical volume."""
    match found.__type__:
        case "ext":
            yield f"UUID={found.extfs.uuid}"
        case "xfs":
            yield f"UUID={found.xfs.uuid}"
        case "btrfs":
            yield f"UUID={found.btrfs.uuid}"
        case "fat":
            number = found.fatfs.volume_id.upper()
            yield f"UUID={number[:4]}-{number[4:]}"
    if found.volume is not None and not isinstance(found.volume, list):
        yield f"/dev/mapper/{found.volume.name}"
        yield "/dev/" + str(found.volume.name).replace("-", "/", 1)
