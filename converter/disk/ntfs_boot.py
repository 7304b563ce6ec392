"""The boot sector of an NTFS volume, which is all that a BIOS reads of it before Windows' loader.

It holds the BIOS parameter block: at 0x0B the bytes of a sector, at 0x1C the "hidden sectors" (the
start of the partition, which the boot code adds to the number of every sector that it reads), at
0x28 the number of sectors, at 0x48 the serial number. The boot code goes on in the sectors behind
it; since Windows Vista the second one starts with the name of the file that it loads, BOOTMGR. A
copy of the boot sector lies behind the volume, in the last sector of the partition. Sources:
Microsoft, "How NTFS works"; the Linux-NTFS documentation, "$Boot". Limit: sectors of 512 bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.disk.writing import Piece
    from converter.model import Partition

    Read = Callable[[int, int], bytes]

SECTOR: Final = 512
# What must be read to tell whether the boot code is Windows'.
RECORD: Final = 2 * SECTOR
_SIGNATURE: Final = b"\x55\xaa"
_MAGIC: Final = b"NTFS    "
_MAGIC_AT: Final = 3
_SECTOR_SIZE_AT: Final = 0x0B
_HIDDEN_AT: Final = 0x1C
_SECTORS_AT: Final = 0x28
_SERIAL_AT: Final = 0x48
# Each name is preceded by its length in characters: the loader, and the index it is looked for in.
_INDEX: Final = b"\x04\0" + "$I30".encode("utf-16-le")
_LOADER: Final = b"\x07\0" + "BOOTMGR".encode("utf-16-le") + _INDEX
_OLD_LOADER: Final = b"\x05\0" + "NTLDR".encode("utf-16-le") + _INDEX


@dataclass(frozen=True, slots=True)
class BootSector:
    """What the boot sector says: `sectors` are those of the volume, without the copy behind it."""

    hidden: int
    sectors: int
    serial: int


def parse(sector: bytes) -> BootSector:
    """Read a boot sector. Raises `FormatError` for what is none of NTFS, or has other sectors."""
    if len(sector) < SECTOR or sector[510:512] != _SIGNATURE:
        raise FormatError("its boot sector does not end in 55 AA")
    if not sector.startswith(_MAGIC, _MAGIC_AT):
        raise FormatError("its boot sector is not that of NTFS")
    (size,) = struct.unpack_from("<H", sector, _SECTOR_SIZE_AT)
    if size != SECTOR:
        raise FormatError(f"its NTFS has sectors of {size} bytes, not of {SECTOR}")
    (hidden,) = struct.unpack_from("<I", sector, _HIDDEN_AT)
    sectors, serial = (struct.unpack_from("<Q", sector, at)[0] for at in (_SECTORS_AT, _SERIAL_AT))
    if not sectors:
        raise FormatError("its NTFS has no sectors")
    return BootSector(hidden, sectors, serial)


def starts_windows(record: bytes) -> bool:
    """Tell whether the boot code in the first two sectors of a volume loads Windows' BOOTMGR.

    What other systems format has an NTFS boot sector too, but no such code behind it.
    """
    return record.startswith(_MAGIC, _MAGIC_AT) and record.startswith(_LOADER, SECTOR)


def starts_old_windows(record: bytes) -> bool:
    """Tell the same of NTLDR, which Windows had before Vista."""
    return record.startswith(_MAGIC, _MAGIC_AT) and record.startswith(_OLD_LOADER, SECTOR)


def with_hidden_sectors(read: Read, partition: Partition) -> tuple[Piece, ...]:
    """Give the sectors to be written so that the boot code finds its volume: both copies.

    `read` gives bytes of the disk. A copy that is not this volume's is left alone: it is for repair
    tools only. Nothing is given that is so already. Raises `FormatError`.
    """
    first = read(partition.start, SECTOR)
    found = parse(first)
    available = partition.size // SECTOR
    if found.sectors > available:
        raise FormatError(f"its NTFS has {found.sectors} sectors, the partition {available}")
    start = partition.start // SECTOR
    if start >= 1 << 32:
        raise FormatError(f"it starts at sector {start}, which its boot sector cannot tell of")
    sectors = {partition.start: first}
    if found.sectors < available:
        at = partition.start + (available - 1) * SECTOR
        copy = read(at, SECTOR)
        if _is_copy(copy, found):
            sectors[at] = copy
    made = {at: _hidden(old, start) for at, old in sectors.items()}
    return tuple((at, new) for at, new in made.items() if new != sectors[at])


def _hidden(sector: bytes, start: int) -> bytes:
    return sector[:_HIDDEN_AT] + struct.pack("<I", start) + sector[_HIDDEN_AT + 4 :]


def _is_copy(sector: bytes, of: BootSector) -> bool:
    try:
        copy = parse(sector)
    except FormatError:
        return False
    return (copy.sectors, copy.serial) == (of.sectors, of.serial)
