"""VMDK: sparse extents with their grain tables, and text descriptors.

"Virtual Disk Format 5.0" (VMware, 2011). A hosted sparse extent begins with a 512-byte header; a
stream-optimized one has its grain directory's place in a footer. A descriptor is text: embedded in
a sparse extent, or a file that names its extents.

Extents are opened only in the descriptor's own directory; children of other disks, raw device
mappings and the formats of ESX's snapshots are refused.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import ByteRange, DiskFormat, Extent, SourceDisk
from converter.source.reader import Reader, damaged, truncated

if TYPE_CHECKING:
    from collections.abc import Callable

SECTOR: Final = 512
MAGIC: Final = b"KDMV"
COWD: Final = b"COWD"
SESPARSE: Final = struct.pack("<Q", 0xCAFEBABE)
_HEADER: Final = struct.Struct("<4sIIQQQQIQQQB4sH")
_GD_AT_END: Final = 0xFFFFFFFFFFFFFFFF
_COMPRESSED: Final = 1 << 16
_FOOTER_MARKER: Final = 3
_DESCRIPTOR_LIMIT: Final = 1 << 20
_MAX_GRAIN: Final = 1 << 16
_EXTENT: Final = re.compile(
    r'^\s*(?:RW|RDONLY|NOACCESS)\s+(\d+)\s+([A-Za-z0-9]+)(?:\s+"([^"]*)"(?:\s+(\d+))?)?\s*',
)
_SETTING: Final = re.compile(r'^\s*([A-Za-z.]+)\s*=\s*"?([^"\n]*)"?\s*$')
_NO_PARENT: Final = "ffffffff"
_MAPPINGS: Final = ("vmfsrawdevicemap", "vmfspassthroughrawdevicemap", "vmfsrdm", "vmfsrdmp",
                    "fulldevice", "partitioneddevice")  # fmt: skip


@dataclass(frozen=True, slots=True)
class SparseHeader:
    """The header of a hosted sparse extent; sizes and offsets in sectors, as on disk."""

    version: int
    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    entries_per_table: int
    directory: int
    compression: int

    @property
    def is_compressed(self) -> bool:
        """Whether its grains are compressed (stream-optimized)."""
        return bool(self.flags & _COMPRESSED)

    @property
    def tables(self) -> int:
        """How many grain tables its directory has."""
        covered = self.grain * self.entries_per_table
        return -(-self.capacity // covered)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A text descriptor: its settings (keys in lower case) and its extents as written."""

    settings: dict[str, str]
    extents: tuple[tuple[int, str, str, int], ...]

    @property
    def create_type(self) -> str:
        """The disk's own word for what it is."""
        return self.settings.get("createtype", "")


def read_header(reader: Reader, offset: int = 0) -> SparseHeader:
    """Read and check a sparse header at `offset`. Raises `DamagedInputError`."""
    fields = _HEADER.unpack(reader.read(offset, SECTOR)[: _HEADER.size])
    (
        magic,
        version,
        flags,
        capacity,
        grain,
        descriptor,
        descriptor_size,
        entries,
        _rgd,
        directory,
    ) = fields[:10]
    compression = fields[13]
    header = SparseHeader(
        version,
        flags,
        capacity,
        grain,
        descriptor,
        descriptor_size,
        entries,
        directory,
        compression,
    )
    if magic != MAGIC or version not in (1, 2, 3):
        raise damaged("vmdk-header", reader.name, f"no VMDK header of a known version ({version})")
    if grain == 0 or grain & (grain - 1) or grain > _MAX_GRAIN:
        raise damaged("vmdk-header", reader.name, f"a grain of {grain} sectors is none")
    if not 0 < entries <= 1 << 16:
        raise damaged("vmdk-header", reader.name, f"{entries} entries in a grain table")
    if header.is_compressed and compression != 1:
        raise damaged(
            "vmdk-compression",
            reader.name,
            f"File uses unsupported compression algorithm {compression} (1, deflate, is known)",
        )
    return header


def with_footer(reader: Reader, header: SparseHeader) -> SparseHeader:
    """Give the header that says where the grain directory is: the footer's, where there is one."""
    if header.directory != _GD_AT_END:
        return header
    # Marker, footer, end-of-stream marker: the last three sectors.
    start = reader.length - 3 * SECTOR
    if start < SECTOR:
        raise truncated(reader.name, 4 * SECTOR, reader.length)
    marker = reader.read(start, SECTOR)
    if marker[8:16] != struct.pack("<II", 0, _FOOTER_MARKER) or (
        reader.read(start + SECTOR, 4) != MAGIC
    ):
        raise damaged(
            "truncated", reader.name, "the footer that ends a stream-optimized VMDK is missing"
        )
    footer = read_header(reader, start + SECTOR)
    if footer.directory == _GD_AT_END or footer.capacity != header.capacity:
        raise damaged("vmdk-footer", reader.name, "header and footer contradict each other")
    return footer


def grain_directory(reader: Reader, header: SparseHeader) -> tuple[int, ...]:
    """Give the sector of each grain table; each lies in the file or is 0 (nothing there)."""
    count = header.tables
    size = count * 4
    offset = header.directory * SECTOR
    if offset + size > reader.length:
        raise truncated(reader.name, offset + size, reader.length)
    tables = struct.unpack(f"<{count}I", reader.read(offset, size))
    length = header.entries_per_table * 4
    for table in tables:
        if table * SECTOR + length > reader.length:
            raise truncated(reader.name, table * SECTOR + length, reader.length)
    return tables


def parse_descriptor(text: str) -> Descriptor:
    """Read a descriptor's text; what means nothing is passed over."""
    settings: dict[str, str] = {}
    extents = []
    for line in text.split("\n"):
        if match := _EXTENT.match(line):
            extents.append((int(match[1]), match[2], match[3] or "", int(match[4] or 0)))
        elif match := _SETTING.match(line):
            settings[match[1].lower()] = match[2].strip()
    return Descriptor(settings, tuple(extents))


def refuse_unsupported(name: str, descriptor: Descriptor) -> None:
    """Raise `GuestRefusedError` for a disk that is not complete in itself."""
    kind = descriptor.create_type.lower()
    kinds = {kind, *(extent[1].lower() for extent in descriptor.extents)}
    mapping = next((word for word in _MAPPINGS if word in kinds), None)
    if mapping is not None:
        raise GuestRefusedError(
            "vmdk-rdm",
            f"{name}: is a raw device mapping ({mapping}); the data is on a device of the old host",
            hint="clone the disk to a thin VMDK (vmkfstools -i) and export that",
        )
    if "sesparse" in kinds:
        raise sesparse(name)
    parent = descriptor.settings.get("parentcid", _NO_PARENT).lower()
    hinted = "parentfilenamehint" in descriptor.settings
    if parent != _NO_PARENT or hinted or "vmfssparse" in kinds:
        raise GuestRefusedError(
            "vmdk-child",
            f"{name}: is a snapshot of another disk"
            f" ({descriptor.settings.get('parentfilenamehint', 'parent not named')})",
            hint="consolidate the machine's snapshots and export it again",
        )


def sesparse(name: str) -> GuestRefusedError:
    """Make the refusal of ESX's snapshot format."""
    return GuestRefusedError(
        "vmdk-sesparse",
        f"{name}: is a seSparse VMDK, a snapshot of ESX",
        hint="consolidate the machine's snapshots and export it again",
    )


def open_sparse(reader: Reader) -> SourceDisk:
    """Read a sparse extent that is a whole disk by itself."""
    header = read_header(reader)
    descriptor = _embedded(reader, header)
    refuse_unsupported(reader.name, descriptor)
    if len(descriptor.extents) > 1:
        raise damaged(
            "vmdk-extent", reader.name, "is one extent of several; give the descriptor instead"
        )
    subformat = descriptor.create_type or (
        "streamOptimized" if header.is_compressed else "monolithicSparse"
    )
    header = with_footer(reader, header)
    _check_size(reader.name, header.capacity)
    grain_directory(reader, header)
    return SourceDisk(
        reader.file.path.name, DiskFormat.VMDK, subformat, header.capacity * SECTOR, reader.file
    )


def _embedded(reader: Reader, header: SparseHeader) -> Descriptor:
    size = header.descriptor_size * SECTOR
    if size == 0:
        raise damaged(
            "vmdk-extent",
            reader.name,
            "is an extent without a descriptor; give the descriptor file",
        )
    if size > _DESCRIPTOR_LIMIT:
        raise damaged("vmdk-header", reader.name, f"a descriptor of {size} bytes")
    data = reader.read(header.descriptor_offset * SECTOR, size).partition(b"\0")[0]
    return parse_descriptor(data.decode("utf-8", "replace"))


def _check_size(name: str, sectors: int) -> None:
    if sectors == 0:
        raise damaged("disk-size-zero", name, "disk-image-size=0 has invalid format")


def open_descriptor(reader: Reader, find: Callable[[str], ByteRange]) -> SourceDisk:
    """Read a descriptor file and check every extent it names.

    `find` gives the file of a name beside the descriptor, or raises.
    """
    if reader.length > _DESCRIPTOR_LIMIT:
        raise damaged("vmdk-header", reader.name, f"a descriptor of {reader.length} bytes")
    text = reader.read(0, reader.length).partition(b"\0")[0].decode("utf-8", "replace")
    descriptor = parse_descriptor(text)
    refuse_unsupported(reader.name, descriptor)
    extents = tuple(_extent(reader.name, item, find) for item in descriptor.extents)
    _check_size(reader.name, sum(extent.sectors for extent in extents))
    size = sum(extent.sectors for extent in extents) * SECTOR
    kind = descriptor.create_type or "custom"
    return SourceDisk(reader.file.path.name, DiskFormat.VMDK, kind, size, reader.file, extents)


def _extent(
    name: str, written: tuple[int, str, str, int], find: Callable[[str], ByteRange]
) -> Extent:
    sectors, kind, file_name, offset = written
    kind = kind.upper()
    if kind == "ZERO":
        return Extent(kind, sectors)
    if kind not in ("FLAT", "VMFS", "SPARSE"):
        raise damaged("vmdk-extent", name, f"an extent of the unknown type {kind}")
    file = find(file_name)
    if kind == "SPARSE":
        with Reader(file) as reader:
            header = with_footer(reader, read_header(reader))
            grain_directory(reader, header)
            if header.capacity < sectors:
                raise damaged("vmdk-extent", reader.name, "is smaller than the descriptor says")
    elif (offset + sectors) * SECTOR > file.length:
        raise truncated(file_name, (offset + sectors) * SECTOR, file.length)
    return Extent(kind, sectors, file, offset * SECTOR)
