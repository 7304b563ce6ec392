"""How a Windows guest's disk is divided, and the table that says so.

As Windows Setup does it: BIOS has an active "System Reserved" partition before C:; UEFI has an ESP
and the reserved partition (MSR), with the recovery partition first up to Windows Server 2019 and
last after it. Windows 7 and Server 2008 R2 have none.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from converter import process
from images.windows.guest import GIB, State

if TYPE_CHECKING:
    from pathlib import Path

    from images.windows.guest import Windows

SECTOR: Final = 512
MIB: Final = 1 << 20
# A C: that is too small for any conversion.
_LITTLE: Final = 1 * GIB
SIGNATURE: Final = 0xC0FFEE07
DISK_ID: Final = uuid.UUID("C0FFEE07-5B5E-4B5C-9D5B-7D1C0FFE0000")
# What Windows keeps free before the first partition and after the last, for LDM's database.
_EDGE: Final = MIB
# The first build whose Setup puts the recovery partition behind C:.
_RECOVERY_LAST: Final = 19041


class Role(StrEnum):
    """What a partition is for."""

    ESP = "esp"
    MSR = "msr"
    SYSTEM_RESERVED = "system-reserved"
    WINDOWS = "windows"
    SECOND_WINDOWS = "second-windows"
    DATA = "data"
    RECOVERY = "recovery"
    LDM_METADATA = "ldm-metadata"


_BASIC: Final = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"
# Types and attributes in a GPT, and the types in an MBR that are not 7.
_GPT: Final = {
    Role.ESP: ("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "GUID:63"),
    Role.MSR: ("E3C9E316-0B5C-4DB8-817D-F92DF00215AE", "GUID:63"),
    Role.RECOVERY: ("DE94BBA4-06D1-4D40-A16A-BFD50179D6AC", "RequiredPartition GUID:63"),
    Role.LDM_METADATA: ("5808C8AA-7E8F-42E0-85D2-E1E90434CFB3", ""),
}
_MBR: Final = {Role.RECOVERY: "27"}
_LDM_DATA: Final = "AF9B60A0-1431-4F62-BC68-3311714A69AD"
_LDM_MBR: Final = "42"
_NAMES: Final = {
    Role.ESP: "EFI system partition",
    Role.MSR: "Microsoft reserved partition",
    Role.LDM_METADATA: "LDM metadata partition",
}


@dataclass(frozen=True, slots=True)
class Partition:
    """A partition: offsets and sizes in bytes; `identifier` is a GPT's."""

    number: int
    role: Role
    start: int
    size: int
    is_active: bool = False

    @property
    def identifier(self) -> uuid.UUID:
        """The partition's own GUID in a GPT."""
        return uuid.UUID(int=DISK_ID.int + self.number)


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk's partitions, in their order."""

    is_gpt: bool
    partitions: tuple[Partition, ...]

    def find(self, role: Role) -> Partition | None:
        """Give the partition for `role`, None when there is none."""
        return next((each for each in self.partitions if each.role is role), None)

    def get(self, role: Role) -> Partition:
        """Give the partition for `role`, which is there."""
        return next(each for each in self.partitions if each.role is role)

    @property
    def system(self) -> Partition:
        """The partition that the firmware starts from, which holds the boot manager."""
        return next(p for p in self.partitions if p.is_active or p.role is Role.ESP)


def plan(windows: Windows) -> Layout:
    """Give the partitions of a guest's disk."""
    wanted = _roles(windows)
    fixed = sum(size for _, size in wanted)
    rest = windows.size - 2 * _EDGE - fixed
    wanted = [(role, size or rest) for role, size in wanted]
    partitions, start = [], _EDGE
    for number, (role, size) in enumerate(wanted, start=1):
        is_active = not windows.is_uefi and number == 1
        partitions.append(Partition(number, role, start, size, is_active))
        start += size
    return Layout(windows.is_uefi, tuple(partitions))


def _roles(windows: Windows) -> list[tuple[Role, int]]:
    """Give what the disk is divided into, with sizes; 0 is what the others leave."""
    about = windows.about
    is_old = not about.has_driver_database
    is_last = about.build >= _RECOVERY_LAST
    recovery = [] if is_old else [(Role.RECOVERY, 499 * MIB)]
    first = [] if is_last else recovery
    main = [(Role.WINDOWS, _LITTLE if windows.has(State.LOW_SPACE) else 0)]
    if windows.has(State.DUAL_BOOT):
        main.append((Role.SECOND_WINDOWS, GIB))
    if windows.has(State.BITLOCKER_DATA):
        main.append((Role.DATA, 256 * MIB))
    last = recovery if is_last else []
    if not windows.is_uefi:
        if windows.has(State.SINGLE_PARTITION):
            return main
        # Its own files of recovery are in "System Reserved" up to Windows Server 2019.
        return [(Role.SYSTEM_RESERVED, (100 if is_old else 500) * MIB), *main, *last]
    system = [(Role.ESP, 100 * MIB), (Role.MSR, (128 if about.version < (10, 0) else 16) * MIB)]
    if windows.has(State.DYNAMIC_DISK):
        system.append((Role.LDM_METADATA, MIB))
    return [*first, *system, *main, *last]


def write_table(layout: Layout, windows: Windows, disk: Path) -> None:
    """Make the sparse file `disk`, with its partition table."""
    with disk.open("wb") as file:
        file.truncate(windows.size)
    label = f"gpt\nlabel-id: {DISK_ID}" if layout.is_gpt else f"dos\nlabel-id: {SIGNATURE:#x}"
    lines = [f"label: {label}", "unit: sectors"]
    is_dynamic = windows.has(State.DYNAMIC_DISK)
    line = _gpt_line if layout.is_gpt else _mbr_line
    lines += [line(partition, is_dynamic=is_dynamic) for partition in layout.partitions]
    process.run(
        ["sfdisk", "--quiet", "--no-tell-kernel", str(disk)], stdin="\n".join(lines).encode()
    )


def _gpt_line(partition: Partition, *, is_dynamic: bool) -> str:
    kind, attributes = _GPT.get(partition.role, (_LDM_DATA if is_dynamic else _BASIC, ""))
    name = _NAMES.get(
        partition.role, "LDM data partition" if is_dynamic else "Basic data partition"
    )
    extra = f', attrs="{attributes}"' if attributes else ""
    return f'{_place(partition)}, type={kind}, uuid={partition.identifier}, name="{name}"{extra}'


def _mbr_line(partition: Partition, *, is_dynamic: bool) -> str:
    kind = _LDM_MBR if is_dynamic else _MBR.get(partition.role, "7")
    return f"{_place(partition)}, type={kind}{', bootable' if partition.is_active else ''}"


def _place(partition: Partition) -> str:
    return f"start={partition.start // SECTOR}, size={partition.size // SECTOR}"
