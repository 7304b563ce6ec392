r"""An MBR instead of the GPT for a disk with Windows, which then starts by BIOS (BOOT-4, BOOT-5).

Partitions stay where they are and keep their numbers. The EFI system partition and the one that is
reserved for Windows lose their entries only: their sectors are in no partition then, and nothing
is written there, so that UEFI finds its loader wherever this ends. What Windows needs in its files
(`\bootmgr`, `\Boot\BCD`, MountedDevices) is not done here, and must be there before.

The order is that of `conversion`: first the volume's boot sector learns where it lies (which is as
right in the GPT), then the first sector turns the disk from a whole GPT into a whole MBR, at last
what is left of the GPT is wiped.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.disk import windows_mbr
from converter.disk.conversion import MBR_LIMIT, in_mbr, mbr_signature, refusal
from converter.disk.ntfs_boot import RECORD, starts_windows, with_hidden_sectors
from converter.disk.writing import Piece, mbr, wipe_gpt
from converter.formats import FormatError
from converter.formats.mounted_devices import MbrPlace
from converter.model import Partition, TableType

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from converter.errors import GuestRefusedError
    from converter.model import Disk

    Read = Callable[[int, int], bytes]

_DATA_LIMIT: Final = 3
_KEEP: Final = "give --boot-mode uefi: the disk keeps its GPT then"


@dataclass(frozen=True, slots=True)
class WindowsConversion:
    """What is to become of a disk. `pieces` are to be written in their order, each before the next.

    `system` is the active partition: the one that Windows' boot manager is on.
    """

    disk: Disk
    partitions: tuple[Partition, ...]
    identifier: str
    pieces: tuple[Piece, ...]

    @property
    def system(self) -> Partition:
        """The active partition, as it is afterwards."""
        return next(part for part in self.partitions if part.active)

    @property
    def places(self) -> Mapping[uuid.UUID, MbrPlace]:
        """Where the partitions that stay are then, by the identifier that they have in the GPT."""
        kept = {part.start for part in self.partitions}
        return {
            uuid.UUID(old.uuid): self.place(old)
            for old in self.disk.partitions
            if old.start in kept
        }

    def place(self, partition: Partition) -> MbrPlace:
        """Give what Windows calls a partition, old or new, afterwards."""
        return MbrPlace(int(self.identifier, 16), partition.start)


def prepare_windows(read: Read, disk: Disk, *, system: Partition) -> WindowsConversion | None:
    """Plan an MBR for `disk`; None where it has one. `system` is what Windows' boot manager is on.

    `read` gives bytes of the disk. Raises `GuestRefusedError` where it is impossible.
    """
    if disk.table is TableType.MBR:
        return None
    if disk.table is TableType.NONE:
        raise refusal(
            "table-none", disk, "is not partitioned", "convert the disk that Windows is on"
        )
    kept = in_mbr(disk, _kept(disk))
    if all(part.start != system.start for part in kept):
        raise refusal(
            "table-system", disk, f"partition {system.number} has no place in an MBR", _KEEP
        )
    partitions = tuple(replace(part, active=part.start == system.start) for part in kept)
    record = _boot_record(read, disk, system)
    signature = mbr_signature(disk)
    first = mbr(partitions, signature=signature, boot_code=windows_mbr.CODE)
    end = max(part.start + part.size for part in disk.partitions)
    return WindowsConversion(
        disk=disk,
        partitions=partitions,
        identifier=f"{signature:08x}",
        pieces=(*record, (0, first), *wipe_gpt(disk.size, end=end)),
    )


def _kept(disk: Disk) -> list[tuple[Partition, str]]:
    """Give the partitions that stay and their types in an MBR, if all conditions are met."""
    known = load("partitions")["windows"]
    types: dict[str, str] = {**known["data"], **known["recovery"]}
    parts = [(part, part.type.lower()) for part in disk.partitions]
    if any(kind in known["dynamic"] for _, kind in parts):
        raise refusal(
            "table-dynamic", disk, "is a dynamic disk", "convert it to a basic disk in the machine"
        )
    for part, kind in parts:
        if kind not in types and kind not in known["dropped"]:
            raise refusal(
                "table-foreign",
                disk,
                f"partition {part.number} has the type {kind}, not Windows'",
                _KEEP,
            )
    if disk.size > MBR_LIMIT:
        raise refusal(
            "table-too-large", disk, f"has {disk.size} bytes, an MBR reaches 2 TiB", _KEEP
        )
    data = sum(kind in known["data"] for _, kind in parts)
    if data > _DATA_LIMIT:
        raise refusal(
            "table-too-many-partitions",
            disk,
            f"has {data} partitions with data, Windows' MBR is made for {_DATA_LIMIT}",
            _KEEP,
        )
    return [(part, types[kind]) for part, kind in parts if kind in types]


def _boot_record(read: Read, disk: Disk, system: Partition) -> tuple[Piece, ...]:
    """Give what is to be written to the boot sectors of `system`, which must start Windows."""
    record = read(system.start, min(RECORD, system.size))

    def known(offset: int, length: int) -> bytes:
        return record[:length] if offset == system.start else read(offset, length)

    try:
        pieces = with_hidden_sectors(known, system)
    except FormatError as error:
        raise _no_code(disk, system, str(error)) from error
    if not starts_windows(record):
        raise _no_code(disk, system, "its boot sector does not load BOOTMGR")
    return pieces


def _no_code(disk: Disk, system: Partition, why: str) -> GuestRefusedError:
    return refusal(
        "table-boot-record",
        disk,
        f"partition {system.number} cannot start Windows by BIOS: {why}",
        f"write it in the machine (bootsect /nt60 C:), or {_KEEP}",
    )
