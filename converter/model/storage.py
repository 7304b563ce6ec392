"""What a guest's disks have on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class TableType(StrEnum):
    """The partition table of a disk."""

    MBR = "mbr"
    GPT = "gpt"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Partition:
    """An entry of a partition table. `type` is an MBR type byte ("83") or a GPT type GUID."""

    number: int
    start: int
    size: int
    type: str
    name: str = ""
    uuid: str = ""
    active: bool = False


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk as the guest sees it. `device` is the appliance's name for it.

    `boot_code` tells whether a BIOS that starts the first sector comes to a boot loader; `loader`
    is whose code is there (`disk.boot_code`).
    """

    device: str
    size: int
    table: TableType
    identifier: str
    boot_code: bool
    partitions: tuple[Partition, ...]
    loader: str = ""


@dataclass(frozen=True, slots=True)
class Filesystem:
    """A filesystem, swap area or other signature on a device (partition, volume or whole disk).

    `type` is blkid(8)'s word, "" where nothing is known to be there. `is_dirty`: what was written
    last is in its journal only; `has_errors`: it is marked as damaged. `last_mounted` is where it
    was mounted last, if it says so. `member` tells the devices of one filesystem apart that is on
    several (UUID_SUB), `devices` how many those are.
    """

    device: str
    type: str
    uuid: str = ""
    label: str = ""
    member: str = ""
    is_dirty: bool = False
    has_errors: bool = False
    last_mounted: str = ""
    devices: int = 1


@dataclass(frozen=True, slots=True)
class Volume:
    """An LVM logical volume; its `device` is there only while it is active.

    `uuid` is its own, without dashes, "" where it is not known.
    """

    device: str
    group: str
    name: str
    size: int
    is_active: bool = True
    is_snapshot: bool = False
    uuid: str = ""

    @property
    def mapped(self) -> str:
        """Its name below /dev/mapper, where a dash in a name is written twice (lvm(8))."""
        return "-".join(part.replace("-", "--") for part in (self.group, self.name))


@dataclass(frozen=True, slots=True)
class VolumeGroup:
    """An LVM volume group: its physical volumes (devices), and whether all of them are there."""

    name: str
    uuid: str
    is_complete: bool = True
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Array:
    """A software RAID array (md(4)) of `size` members, of which `present` are there.

    `device` is the appliance's name for it; `name` is the one in its metadata, as `host:0`.
    """

    device: str
    level: str
    uuid: str
    name: str
    size: int
    present: int
    members: tuple[str, ...] = ()

    @property
    def is_degraded(self) -> bool:
        """Whether members are missing."""
        return self.present < self.size


@dataclass(frozen=True, slots=True)
class Subvolume:
    """A Btrfs subvolume by its path from the top level, which has the number 5 and the path ""."""

    number: int
    path: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """What is free in a filesystem; `inodes` is None where files need none of a fixed number."""

    size: int
    free: int
    inodes: int | None = None


@dataclass(frozen=True, slots=True)
class Mount:
    """A filesystem where the guest mounts it, as its fstab says and the appliance found it.

    `path` is without symlinks. `subvolume` is that of a Btrfs filesystem, from its top level.
    """

    path: str
    device: str
    type: str
    uuid: str = ""
    subvolume: str = ""
    space: Space | None = None
