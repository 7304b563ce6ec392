"""VHDX ([MS-VHDX], "Virtual Hard Disk v2 File Format").

Two headers, two region tables, a metadata region and the block allocation table (BAT), each with a
CRC-32C. A disk whose log holds writes that were not carried out is refused: only its hypervisor
should replay them. Numbers are little endian.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, Faults, GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.crc32c import crc32c
from converter.source.reader import check_blocks, damaged, size_zero, truncated
from converter.source.stretch import of_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.source.reader import Fetch, Reader
    from converter.source.stretch import Stretch

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
_PHYSICAL_SECTOR_SIZE: Final = uuid.UUID("CDA348C7-445D-4471-9CC9-E9885251C556")
_IDENTIFIER: Final = uuid.UUID("BECA12AB-B2E6-4523-93EF-C309E000C746")
_PARENT_LOCATOR: Final = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")
_KNOWN: Final = frozenset({_PHYSICAL_SECTOR_SIZE, _IDENTIFIER, _PARENT_LOCATOR})
_LEAVE_ALLOCATED, _HAS_PARENT = 1, 2
_REQUIRED_ITEM: Final = 4
_MAX_SIZE: Final = 64 << 40
_MAX_LOG: Final = 1 << 30
_LOG_SECTOR: Final = 4 << 10
_LOG_ENTRY: Final = b"loge"
_FULLY_PRESENT: Final = 6
# Two that mean nothing, and one of children: partially present.
_NO_STATES: Final = (4, 5, 7)

_Region = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Metadata:
    size: int
    block: int
    flags: int
    sector: int

    @property
    def ratio(self) -> int:
        """After how many blocks the table has an entry for a sector bitmap: for children only."""
        return (1 << 23) * 512 // self.block

    @property
    def entries(self) -> int:
        """How many entries the table has, those of sector bitmaps among them."""
        blocks = -(-self.size // self.block)
        return blocks + (blocks - 1) // self.ratio


def open_vhdx(reader: Reader) -> SourceDisk:
    """Read the headers, metadata and table of a VHDX and check them."""
    faults = Faults()
    log = (0, 0)
    with faults.kept():
        log = _check_log(reader, _header(reader))
    try:
        regions = _regions(reader)
        found = _metadata(reader, regions[_METADATA])
    except DamagedInputError:
        faults.raise_all()  # what a log still holds is missing elsewhere
        raise
    if found.flags & _HAS_PARENT:
        faults.add(
            GuestRefusedError(
                "vhdx-differencing",
                f"{reader.name}: is a differencing VHDX; most of its data is in another file",
                hint="merge it into its parent (Hyper-V: Edit Disk, Merge) and export that",
            )
        )
    if found.sector == 4096:
        faults.add(
            GuestRefusedError(
                "vhdx-sector-size",
                f"{reader.name}: has logical sectors of 4096 bytes; EBS volumes have 512",
                hint="restore the system to a disk with 512-byte sectors (New-VHD), and export"
                " that",
            )
        )
    faults.raise_all()
    if found.size == 0:
        raise size_zero(reader.name)
    if found.sector != 512:
        raise damaged("vhdx-metadata", reader.name, f"sectors of {found.sector} bytes")
    reserved = [(0, _MIB), log, *((at, at + length) for at, length in regions.values())]
    _check_bat(reader, regions[_BAT], found, reserved)
    subformat = "fixed" if found.flags & _LEAVE_ALLOCATED else "dynamic"
    return SourceDisk(reader.label, DiskFormat.VHDX, subformat, found.size, reader.file)


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
    header = max(whole, key=lambda data: int(struct.unpack_from("<Q", data, 8)[0]))
    version = struct.unpack_from("<H", header, 66)[0]
    if version != 1:
        raise damaged("vhdx-version", reader.name, f"a VHDX of version {version}")
    return header


def _check_log(reader: Reader, header: bytes) -> _Region:
    """Refuse a log with entries to replay; gives where the log is (start, end).

    A log without an identifier has none. Otherwise its entries bear the identifier; there may be
    none yet, as QEMU leaves it.
    """
    length, offset = struct.unpack_from("<IQ", header, 68)
    identifier = header[48:64]
    if length > _MAX_LOG:
        raise damaged("vhdx-header", reader.name, f"a log of {length} bytes")
    starts = range(offset, offset + length, _LOG_SECTOR) if any(identifier) else ()
    for start in starts:
        entry = reader.read(start, 64)
        if entry.startswith(_LOG_ENTRY) and entry[32:48] == identifier:
            raise GuestRefusedError(
                "vhdx-log-unreplayed",
                f"{reader.name}: its log holds writes that were not carried out (unclean shutdown)",
                hint="attach and detach it once in Hyper-V (Mount-VHD, Dismount-VHD), export again",
            )
    return offset, offset + length


def _regions(reader: Reader) -> dict[uuid.UUID, _Region]:
    """Give (start, length) of the regions of the first table that is whole."""
    for offset in _REGIONS:
        data = reader.read(offset, _TABLE_SIZE)
        if not data.startswith(b"regi") or not _checked(data):
            continue
        (count,) = struct.unpack_from("<I", data, 8)
        regions: dict[uuid.UUID, _Region] = {}
        for at in range(16, 16 + 32 * min(count, 2047), 32):
            key = uuid.UUID(bytes_le=data[at : at + 16])
            start, length, required = struct.unpack_from("<QII", data, at + 16)
            if required & 1 and key not in (_BAT, _METADATA):
                raise damaged("vhdx-regions", reader.name, f"needs the unknown region {key}")
            regions[key] = start, length
        if _BAT in regions and _METADATA in regions:
            return regions
    raise damaged("vhdx-regions", reader.name, "neither of its two region tables is whole")


def _metadata(reader: Reader, region: _Region) -> _Metadata:
    start, size = region
    if size < _TABLE_SIZE:
        raise damaged("vhdx-metadata", reader.name, f"a metadata region of {size} bytes")
    table = reader.read(start, _TABLE_SIZE)
    if not table.startswith(b"metadata"):
        raise damaged("vhdx-metadata", reader.name, "the metadata table is missing")
    (count,) = struct.unpack_from("<H", table, 10)
    items = {}
    for at in range(32, 32 + 32 * min(count, 1023), 32):
        key = uuid.UUID(bytes_le=table[at : at + 16])
        offset, length, flags = struct.unpack_from("<III", table, at + 16)
        if key in (_PARAMETERS, _SIZE, _SECTOR_SIZE):
            if length < 4 or offset + length > size:
                raise damaged("vhdx-metadata", reader.name, f"the item {key} cannot be there")
            items[key] = reader.read(start + offset, min(length, 8)).ljust(8, b"\0")
        elif flags & _REQUIRED_ITEM and key not in _KNOWN:
            raise damaged("vhdx-metadata", reader.name, f"needs the unknown item {key}")
    missing = {_PARAMETERS, _SIZE, _SECTOR_SIZE} - items.keys()
    if missing:
        raise damaged("vhdx-metadata", reader.name, f"{len(missing)} metadata items are missing")
    block, flags = struct.unpack("<II", items[_PARAMETERS])
    (disk,) = struct.unpack("<Q", items[_SIZE])
    if not _MIB <= block <= 256 * _MIB or block & (block - 1) or disk > _MAX_SIZE:
        raise damaged("vhdx-metadata", reader.name, f"a disk of {disk} in blocks of {block} bytes")
    return _Metadata(disk, block, flags, struct.unpack_from("<I", items[_SECTOR_SIZE])[0])


def _check_bat(
    reader: Reader, region: _Region, found: _Metadata, reserved: list[tuple[int, int]]
) -> None:
    """Check that every block that is present lies in the file, where nothing else is."""
    start, length = region
    if found.entries * 8 > length:
        raise damaged("vhdx-bat", reader.name, f"{found.entries} entries do not fit its table")
    places = (place for _, place in _present(reader, start, found))
    check_blocks(reader, places, length=found.block, reserved=reserved)


def _present(reader: Reader, table: int, found: _Metadata) -> Iterator[tuple[int, int]]:
    """Give (number, place) of the blocks in the file, which has to be long enough for them."""
    size, block, ratio = found.size, found.block, found.ratio
    number = -1
    for piece in reader.numbers(table, found.entries, "Q", "little"):
        if not any(piece):  # most of a large disk
            number += len(piece)
            continue
        for entry in piece:
            number += 1
            state = entry & 7
            if state in (0, 2) or number % (ratio + 1) == ratio:
                continue
            if state in _NO_STATES:
                raise damaged("vhdx-bat", reader.name, f"a block in the state {state}")
            if state != _FULLY_PRESENT:
                continue
            at = (entry >> 20) * _MIB
            # The last block of a disk need be there only as far as the disk goes.
            index = number - number // (ratio + 1)
            needed = at + min(block, size - index * block)
            if needed > reader.length:
                raise truncated(reader.name, needed, reader.length)
            yield index, at


def contents(reader: Reader) -> Iterator[Stretch]:
    """Give what is stored of the disk in a VHDX that `open_vhdx` found sound."""
    regions = _regions(reader)
    found = _metadata(reader, regions[_METADATA])
    blocks = _present(reader, regions[_BAT][0], found)
    return of_blocks(blocks, block=found.block, size=found.size)


def fetcher(reader: Reader) -> Fetch:
    """Give how to read the disk in a VHDX that `open_vhdx` found sound."""
    regions = _regions(reader)
    found = _metadata(reader, regions[_METADATA])
    table, _ = regions[_BAT]

    def fetch(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, found.block)
        length = min(length, found.block - inside)
        place = table + 8 * (number + number // found.ratio)
        [entry] = reader.words(place, 1, "Q", "little")
        if entry & 7 != _FULLY_PRESENT:
            return bytes(length)
        return reader.read((entry >> 20) * _MIB + inside, length)

    return fetch
