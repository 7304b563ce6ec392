"""Another partition table for a disk whose data stays where it is (BOOT-6).

What can be decided from the table alone: which partition gets which number, type and identifier,
where GRUB's core.img goes, how large the disk must be, and why it may not be possible. Identifiers
are made from those of the old table, so that the same disk always gives the same result. Partitions
keep their numbers, except those above 4 on an MBR, which has no more.

The first sector tells which table counts. It is written after all that the new table needs, and
before anything of the old one goes: wherever this ends, the disk has one of the tables, whole. From
GPT to MBR it also starts at any time, as core.img gets another place. Not so the other way: the GPT
comes where core.img was. What Windows needs is in `windows_conversion`.
"""

from __future__ import annotations

import uuid
import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.disk.boot_code import AREA, GRUB2, KERNEL_SECTOR
from converter.disk.core_image import block_list
from converter.disk.table import holds_others
from converter.disk.writing import GPT_SECTORS, SECTOR, Piece, gpt, mbr, wipe_gpt
from converter.errors import GuestRefusedError
from converter.formats import FormatError
from converter.model import Partition, TableType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.model import Disk

    Read = Callable[[int, int], bytes]

BIOS_BOOT: Final = "21686148-6449-6e6f-744e-656564454649"
_LINUX: Final = ("83", "0fc63daf-8483-4772-8e79-3d69d8477de4")
# Places and lengths are 32-bit numbers of sectors.
MBR_LIMIT: Final = (1 << 32) * SECTOR
_ALIGNMENT: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Conversion:
    """What is to become of a disk, but for GRUB's core.img, which may have to be built anew.

    `boot` is the old first sector. `core` is core.img as it is on the disk, b"" where the BIOS
    starts nothing; the new one goes to `core_start` and may have `core_room` bytes.
    """

    disk: Disk
    table: TableType
    partitions: tuple[Partition, ...]
    identifier: str
    size: int
    boot: bytes
    core: bytes = b""
    core_start: int = SECTOR
    core_room: int = 0

    @property
    def numbers(self) -> dict[int, int]:
        """The new number of each old partition that is still there."""
        new = {partition.start: partition.number for partition in self.partitions}
        return {
            old.number: new[old.start]
            for old in self.disk.partitions
            if old.start in new and not holds_others(old)
        }

    def pieces(self, core: bytes) -> tuple[Piece, ...]:
        """Give all that is written, with `core` (whole sectors, or b"") as GRUB's core.img."""
        code = bytearray(self.boot[:AREA]) if core else bytearray(AREA)
        if core:
            start = self.core_start // SECTOR
            code[KERNEL_SECTOR : KERNEL_SECTOR + 8] = start.to_bytes(8, "little")
        written = ((self.core_start, core),) if core else ()
        if self.table is TableType.GPT:
            table = gpt(
                self.partitions, identifier=self.identifier, size=self.size, boot_code=bytes(code)
            )
            return (*table[:-1], *written, table[-1])
        first = mbr(self.partitions, signature=int(self.identifier, 16), boot_code=bytes(code))
        end = max((part.start + part.size for part in self.partitions), default=0)
        return (*written, (0, first), *wipe_gpt(self.size, end=end))


def prepare(read: Read, disk: Disk, table: TableType, *, bios: bool) -> Conversion | None:
    """Plan another table for `disk`; None where it has that already.

    `bios`: it must start by BIOS afterwards. Raises `GuestRefusedError` where that is impossible.
    """
    if disk.table is table:
        return None
    if disk.table is TableType.NONE:
        raise refusal("table-none", disk, "is not partitioned", "leave --partition-table out")
    if bios and disk.loader != GRUB2:
        raise refusal(
            "table-bootloader",
            disk,
            f"is started by {disk.loader or 'nothing'}; only GRUB 2 in its first sector can follow",
            "install GRUB 2 to the disk (grub-install), or leave --partition-table out",
        )
    boot = read(0, SECTOR)
    try:
        extents = _core_extents(read, disk, boot) if bios else ()
        core = b"".join(_sectors(read, disk, start, count) for start, count in extents)
    except FormatError as error:
        raise refusal(
            "table-bootloader", disk, f"GRUB's core.img: {error}", "run grub-install"
        ) from error
    if table is TableType.GPT:
        return replace(_to_gpt(disk, boot, bios=bios), core=core)
    return replace(_to_mbr(disk, boot, used=[(0, _gpt_end(read)), *extents]), core=core)


def refusal(code: str, disk: Disk, found: str, hint: str) -> GuestRefusedError:
    """Give the error that refuses a conversion: its code, what was found, and what to do."""
    return GuestRefusedError(code, f"{disk.device}: {found}", hint=hint)


def _core_extents(read: Read, disk: Disk, boot: bytes) -> tuple[tuple[int, int], ...]:
    """Give where GRUB's core.img lies: first sector and number of each stretch."""
    start = int.from_bytes(boot[KERNEL_SECTOR : KERNEL_SECTOR + 8], "little")
    return ((start, 1), *block_list(_sectors(read, disk, start, 1)))


def _sectors(read: Read, disk: Disk, start: int, count: int) -> bytes:
    if not 0 < start < start + count <= disk.size // SECTOR:
        raise FormatError(f"{count} sectors at {start} are not on the disk")
    return read(start * SECTOR, count * SECTOR)


# --- GPT to MBR -----------------------------------------------------------------------------------


def _to_mbr(disk: Disk, boot: bytes, *, used: Sequence[tuple[int, int]]) -> Conversion:
    """Plan an MBR; in the stretches of sectors that are `used` nothing is to be written before."""
    kept = [partition for partition in disk.partitions if partition.type.lower() != BIOS_BOOT]
    types = load("partitions")["to_mbr"]
    numbered = in_mbr(disk, [(part, types.get(part.type.lower(), _LINUX[0])) for part in kept])
    first = min((partition.start for partition in kept), default=disk.size)
    start, room = _widest_gap(used, before=first // SECTOR)
    return Conversion(
        disk=disk,
        table=TableType.MBR,
        partitions=tuple(_with_one_active(numbered)),
        identifier=f"{mbr_signature(disk):08x}",
        size=disk.size,
        boot=boot,
        core_start=start * SECTOR,
        core_room=room * SECTOR,
    )


def mbr_signature(disk: Disk) -> int:
    """Give the signature that a disk with a GPT gets in an MBR."""
    return zlib.crc32(uuid.UUID(disk.identifier).bytes) or 1


def in_mbr(disk: Disk, kept: Sequence[tuple[Partition, str]]) -> list[Partition]:
    """Give the partitions that stay, each with its type there, as they are in an MBR.

    Raises `GuestRefusedError` where an MBR cannot hold them.
    """
    if len(kept) > 4:
        raise refusal(
            "table-too-many-partitions",
            disk,
            f"has {len(kept)} partitions that must stay, an MBR has room for 4",
            "remove partitions that are not needed, or keep the GPT: EC2 starts from it too",
        )
    if any(part.start + part.size > MBR_LIMIT for part, _ in kept):
        raise refusal(
            "table-too-large",
            disk,
            "has partitions beyond 2 TiB, which an MBR cannot tell of",
            "keep the GPT: EC2 starts from it too",
        )
    signature = mbr_signature(disk)
    return [
        replace(part, number=number, type=kind, uuid=f"{signature:08x}-{number:02x}", name="")
        for number, (part, kind) in zip(_numbers([part for part, _ in kept]), kept, strict=True)
    ]


def _gpt_end(read: Read) -> int:
    """Give the first sector behind the GPT at the start of the disk, as its header says."""
    header = read(SECTOR, SECTOR)
    usable = int.from_bytes(header[40:48], "little") if header.startswith(b"EFI PART") else 0
    return max(1 + GPT_SECTORS, usable)


def _widest_gap(used: Sequence[tuple[int, int]], *, before: int) -> tuple[int, int]:
    """Give the first sector and the number of those that are free, of the longest such stretch."""
    gaps = []
    at = 0
    for start, count in sorted([*used, (before, 0)]):
        gaps.append((min(start, before) - at, at))
        at = max(at, start + count)
    length, start = max(gaps)
    return start, max(0, length)


def _numbers(kept: Sequence[Partition]) -> list[int]:
    """Give each partition its own number if an MBR has it, else one that is free."""
    free = iter([n for n in range(1, 5) if all(part.number != n for part in kept)])
    return [part.number if part.number <= 4 else next(free) for part in kept]


def _with_one_active(partitions: Sequence[Partition]) -> list[Partition]:
    """Give them with one active: some BIOSes start no disk without."""
    marked = [part for part in partitions if part.active]
    linux = [part for part in partitions if part.type == _LINUX[0]]
    chosen = next(iter([*marked, *linux]), None)
    return [replace(part, active=part is chosen) for part in partitions]


# --- MBR to GPT -----------------------------------------------------------------------------------


def _to_gpt(disk: Disk, boot: bytes, *, bios: bool) -> Conversion:
    kept = [partition for partition in disk.partitions if not holds_others(partition)]
    first = min((partition.start for partition in kept), default=disk.size)
    start = (1 + GPT_SECTORS) * SECTOR
    if first < start + SECTOR:
        raise _no_room(disk, first)
    if any(partition.number > 128 for partition in kept):
        raise refusal(
            "table-too-many-partitions", disk, "has a partition above 128", "keep the MBR"
        )
    identifier = uuid.uuid5(uuid.NAMESPACE_OID, f"{disk.identifier} {disk.size}")
    types = load("partitions")["to_gpt"]
    made = [
        replace(
            partition,
            type=types.get(partition.type, _LINUX[1]),
            uuid=str(uuid.uuid5(identifier, str(partition.number))),
            active=False,
        )
        for partition in kept
    ]
    if bios:
        number = next(n for n in range(1, 129) if all(part.number != n for part in kept))
        made.append(
            Partition(
                number=number,
                start=start,
                size=first - start,
                type=BIOS_BOOT,
                name="BIOS boot",
                uuid=str(uuid.uuid5(identifier, str(number))),
            )
        )
    return Conversion(
        disk=disk,
        table=TableType.GPT,
        partitions=tuple(sorted(made, key=lambda part: part.number)),
        identifier=str(identifier),
        size=_size_for_gpt(disk, kept),
        boot=boot,
        core_start=start,
        core_room=first - start,
    )


def _no_room(disk: Disk, first: int) -> GuestRefusedError:
    return refusal(
        "table-no-room",
        disk,
        f"has its first partition at sector {first // SECTOR}: there is no room for a GPT before",
        "keep the MBR: EC2 starts from it too",
    )


def _size_for_gpt(disk: Disk, kept: Sequence[Partition]) -> int:
    """Give the size of the disk with room for the backup behind the last partition."""
    end = max((part.start + part.size for part in kept), default=0)
    if end + GPT_SECTORS * SECTOR <= disk.size:
        return disk.size
    return -(-(end + GPT_SECTORS * SECTOR) // _ALIGNMENT) * _ALIGNMENT
