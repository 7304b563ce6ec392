"""VHDX ([MS-VHDX], "Virtual Hard Disk v2 File Format").

Two headers, two region tables, a metadata region and the block allocation table (BAT), each with a
CRC-32C. A disk whose log holds writes that were not carried out is refused: only its hypervisor
should replay them.
"""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.crc32c import crc32c
from converter.source.reader import damaged, truncated

if TYPE_CHECKING:
    from converter.source.reader import Reader

MAGIC: Final = b"vhdxfile"
_HEADERS: Final = (64 << 10, 128 << 10)
_REGIONS: Final = (192 << 10, 256 << 10)
_HEADER_SIZE: Final = 4 << 10
_TABLE_SIZE: Final = 64 << 10
_MIB: Final = 1 << 20
_BAT: Final = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA: Final = uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_PARAMETERS: Final = uuid.UUID("CAA16737-FA36-4D43-B3B6-33F0AA44E76B")
_SIZE: Final = uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8")
_SECTOR_SIZE: Final = uuid.UUID("8141BF1D-A96F-4709-BA47-F233A8FAAB5F")
_LEAVE_ALLOCATED, _HAS_PARENT = 1, 2
_MAX_SIZE: Final = 64 << 40
_PRESENT: Final = (6, 7)


def open_vhdx(reader: Reader) -> SourceDisk:
    """Read the headers, metadata and table of a VHDX and check them."""
    header = _header(reader)
    if any(header[48:64]):
        raise GuestRefusedError(
            "vhdx-log-unreplayed",
            f"{reader.name}: its log holds writes that were not carried out (unclean shutdown)",
            hint="attach and detach it once in Hyper-V (Mount-VHD, Dismount-VHD), export again",
        )
    regions = _regions(reader)
    metadata = _metadata(reader, regions[_METADATA])
    block, flags = struct.unpack("<II", metadata[_PARAMETERS][:8])
    (size,) = struct.unpack("<Q", metadata[_SIZE][:8])
    (sector,) = struct.unpack("<I", metadata[_SECTOR_SIZE][:4])
    if flags & _HAS_PARENT:
        raise GuestRefusedError(
            "vhdx-differencing",
            f"{reader.name}: is a differencing VHDX; most of its data is in another file",
            hint="merge it into its parent (Hyper-V: Edit Disk, Merge) and export that",
        )
    if sector != 512:
        raise GuestRefusedError(
            "vhdx-sector-size",
            f"{reader.name}: has logical sectors of {sector} bytes; EBS volumes have 512",
            hint="convert the disk to 512-byte sectors (Convert-VHD onto a new disk)",
        )
    if size == 0:
        raise damaged("disk-size-zero", reader.name, "disk-image-size=0 has invalid format")
    if not _MIB <= block <= 256 * _MIB or block & (block - 1) or size > _MAX_SIZE:
        raise damaged("vhdx-metadata", reader.name, f"a disk of {size} in blocks of {block} bytes")
    _check_bat(reader, regions[_BAT], size=size, block=block)
    subformat = "fixed" if flags & _LEAVE_ALLOCATED else "dynamic"
    return SourceDisk(reader.file.path.name, DiskFormat.VHDX, subformat, size, reader.file)


def _checked(data: bytes) -> bool:
    """Tell whether the CRC-32C at byte 4, computed with that field zero, is right."""
    (stored,) = struct.unpack_from("<I", data, 4)
    return bool(crc32c(data[:4] + bytes(4) + data[8:]) == stored)


def _header(reader: Reader) -> bytes:
    """Give the current header: of those that are whole the one written last."""
    found = [reader.read(offset, _HEADER_SIZE) for offset in _HEADERS]
    whole = [data for data in found if data.startswith(b"head") and _checked(data)]
    if not whole:
        raise damaged("vhdx-header", reader.name, "neither of its two headers is whole")
    return max(whole, key=lambda data: int(struct.unpack_from("<Q", data, 8)[0]))


def _regions(reader: Reader) -> dict[uuid.UUID, tuple[int, int]]:
    for offset in _REGIONS:
        data = reader.read(offset, _TABLE_SIZE)
        if not data.startswith(b"regi") or not _checked(data):
            continue
        (count,) = struct.unpack_from("<I", data, 8)
        entries = [data[at : at + 32] for at in range(16, 16 + 32 * min(count, 2047), 32)]
        regions = {
            uuid.UUID(bytes_le=entry[:16]): struct.unpack_from("<QI", entry, 16)
            for entry in entries
        }
        if _BAT in regions and _METADATA in regions:
            return {key: (int(at), int(size)) for key, (at, size) in regions.items()}
    raise damaged("vhdx-regions", reader.name, "neither of its two region tables is whole")


def _metadata(reader: Reader, region: tuple[int, int]) -> dict[uuid.UUID, bytes]:
    start, size = region
    table = reader.read(start, min(size, _TABLE_SIZE))
    if not table.startswith(b"metadata"):
        raise damaged("vhdx-metadata", reader.name, "the metadata table is missing")
    (count,) = struct.unpack_from("<H", table, 10)
    items = {}
    for at in range(32, 32 + 32 * min(count, 1023), 32):
        key = uuid.UUID(bytes_le=table[at : at + 16])
        offset, length = struct.unpack_from("<II", table, at + 16)
        items[key] = reader.read(start + offset, min(length, _TABLE_SIZE)).ljust(8, b"\0")
    missing = {_PARAMETERS, _SIZE, _SECTOR_SIZE} - items.keys()
    if missing:
        raise damaged("vhdx-metadata", reader.name, f"{len(missing)} metadata items are missing")
    return items


def _check_bat(reader: Reader, region: tuple[int, int], *, size: int, block: int) -> None:
    """Check that every block that is present lies in the file."""
    start, length = region
    blocks = -(-size // block)
    # After every `ratio` blocks comes an entry for a sector bitmap, which only children use.
    ratio = (1 << 23) * 512 // block
    entries = blocks + (blocks - 1) // ratio
    if entries * 8 > length:
        raise damaged("vhdx-bat", reader.name, f"{blocks} blocks do not fit its table")
    for (entry,) in struct.iter_unpack("<Q", reader.read(start, entries * 8)):
        offset = (entry >> 20) * _MIB
        # The last block of a disk may be cut to the disk's size.
        needed = offset + (block if blocks > 1 else min(block, size))
        if entry & 7 in _PRESENT and needed > reader.length:
            raise truncated(reader.name, needed, reader.length)
