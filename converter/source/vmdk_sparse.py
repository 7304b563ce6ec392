"""Hosted sparse extents of VMDKs: header, footer, grain directory and grain tables.

"Virtual Disk Format 5.0" (VMware, 2011), "Hosted Sparse Extents". The header takes a sector; a
stream-optimized extent has its grain directory's place in a footer, a copy of the header that is
written last. Sizes and offsets are in sectors. Numbers are little endian.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.source import vmdk_descriptor
from converter.source.reader import check_count, damaged, find_clash, truncated, words

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator

    from converter.source.reader import Reader

    # The sector of the disk that a grain table begins with, and where in the file it is.
    _Table = tuple[int, int]

SECTOR: Final = 512
MAGIC: Final = b"KDMV"
HEADER: Final = struct.Struct("<4sIIQQQQIQQQB4sH")
GD_AT_END: Final = 0xFFFFFFFFFFFFFFFF
NEWLINES, _ZERO_GRAINS, COMPRESSED, MARKERS = 1, 1 << 2, 1 << 16, 1 << 17
# How the header's four line ends look after a transfer that left them alone.
LINE_ENDS: Final = b"\n \r\n"
FOOTER_MARKER: Final = 3
_DEFLATE: Final = 1
# QEMU's limits too: 64 KiB and 512 are what everybody writes.
_MAX_GRAIN: Final = 1 << 16
_MAX_ENTRIES: Final = 512
# 64 TiB in grains of 4 KiB.
_MAX_TABLES: Final = 1 << 25
_SEARCHED: Final = 20 * SECTOR
# Tables that are read at once.
_RUN: Final = 512
# Of a grain: the sector of the disk that it is at, and its length.
GRAIN_MARKER: Final = struct.Struct("<QI")


@dataclass(frozen=True, slots=True)
class SparseHeader:
    """The header of a hosted sparse extent; sizes and offsets in sectors, as on disk."""

    flags: int
    capacity: int
    grain: int
    descriptor_offset: int
    descriptor_size: int
    entries_per_table: int
    directory: int

    @property
    def is_compressed(self) -> bool:
        """Whether its grains are compressed (stream-optimized)."""
        return bool(self.flags & COMPRESSED)

    @property
    def first_free(self) -> int:
        """The first sector that neither header nor descriptor takes."""
        return 1 + self.descriptor_size

    def is_empty(self, place: int) -> bool:
        """Tell whether a grain table's entry stands for zeros: nothing there, or marked so."""
        return place == 0 or (place == 1 and bool(self.flags & _ZERO_GRAINS))

    @property
    def table_sectors(self) -> int:
        """How many sectors a grain table takes."""
        return -(-4 * self.entries_per_table // SECTOR)

    @property
    def tables(self) -> int:
        """How many grain tables its directory has."""
        covered = self.grain * self.entries_per_table
        return -(-self.capacity // covered)


def read_header(reader: Reader, offset: int = 0) -> SparseHeader:
    """Read and check a sparse header at `offset`. Raises `DamagedInputError`."""
    fields = HEADER.unpack(reader.read(offset, SECTOR)[: HEADER.size])
    magic, version, flags, capacity, grain, descriptor, descriptor_size, entries = fields[:8]
    directory, line_ends, compression = fields[9], fields[12], fields[13]
    header = SparseHeader(flags, capacity, grain, descriptor, descriptor_size, entries, directory)
    if magic != MAGIC or version not in (1, 2, 3):
        raise damaged("vmdk-header", reader.name, f"no VMDK header of a known version ({version})")
    if flags & NEWLINES and line_ends != LINE_ENDS:
        raise damaged(
            "vmdk-header",
            reader.name,
            "was damaged by a transfer as text",
            hint="copy it again in binary mode (FTP: binary)",
        )
    if grain == 0 or grain & (grain - 1) or grain > _MAX_GRAIN:
        raise damaged("vmdk-header", reader.name, f"a grain of {grain} sectors is none")
    if not 0 < entries <= _MAX_ENTRIES:
        raise damaged("vmdk-header", reader.name, f"{entries} entries in a grain table")
    if header.is_compressed and compression != _DEFLATE:
        raise damaged(
            "vmdk-compression",
            reader.name,
            f"is compressed by the algorithm {compression}; 1, deflate, is the one there is",
            service_message="File uses unsupported compression algorithm 0",
        )
    # QEMU goes by the algorithm alone, VMware by the flag: it would be two disks.
    if compression == _DEFLATE and not header.is_compressed:
        raise damaged("vmdk-compression", reader.name, "names an algorithm, and is not compressed")
    if header.is_compressed and not flags & MARKERS:
        raise damaged("vmdk-header", reader.name, "has compressed grains without markers")
    return header


def with_footer(reader: Reader, header: SparseHeader) -> SparseHeader:
    """Give the header that says where the grain directory is: the footer's, where there is one."""
    if header.directory != GD_AT_END:
        return header
    # Marker, footer, end-of-stream marker: the last three sectors. QEMU looks for them elsewhere in
    # a file that ends within a sector.
    start = reader.length - 3 * SECTOR
    if start < SECTOR:
        raise truncated(reader.name, 4 * SECTOR, reader.length)
    marker, end = reader.read(start, SECTOR), reader.read(start + 2 * SECTOR, SECTOR)
    if (
        reader.length % SECTOR
        or marker[8:16] != struct.pack("<II", 0, FOOTER_MARKER)
        or reader.read(start + SECTOR, 4) != MAGIC
        or any(end[:16])
    ):
        raise damaged(
            "truncated",
            reader.name,
            "the footer that ends a stream-optimized VMDK is missing, or something follows it",
        )
    footer = read_header(reader, start + SECTOR)
    same = ("flags", "capacity", "grain", "entries_per_table")
    if footer.directory == GD_AT_END or any(
        getattr(footer, field) != getattr(header, field) for field in same
    ):
        raise damaged("vmdk-footer", reader.name, "header and footer contradict each other")
    return footer


def embedded_descriptor(reader: Reader, header: SparseHeader) -> bytes:
    """Give the text inside the extent, b"" if it has none."""
    size = header.descriptor_size * SECTOR
    if size == 0:
        return b""
    # QEMU reads it where everybody has it, whatever the header says.
    if header.descriptor_offset != 1 or size > vmdk_descriptor.LIMIT:
        raise damaged("vmdk-header", reader.name, f"{size} bytes of descriptor at an odd place")
    return reader.read(SECTOR, size).rstrip(b"\0")


def searched_by_qemu(reader: Reader) -> bytes:
    """Give where QEMU looks for a parent's name, whatever the header says of the descriptor.

    QEMU, block/vmdk.c, vmdk_parent_open.
    """
    there = min(_SEARCHED, reader.length - SECTOR)
    return reader.read(SECTOR, there).partition(b"\0")[0] if there > 0 else b""


def grain_tables(reader: Reader, header: SparseHeader) -> Iterator[tuple[int, array[int]]]:
    """Give each grain table with any grain: the sector of the disk it begins at, and its entries.

    Raises `DamagedInputError` ``vmdk-table`` for a table that lies where another thing is.
    """
    if header.tables > _MAX_TABLES:
        raise damaged("vmdk-header", reader.name, f"a disk of {header.capacity} sectors")
    sectors = (table for _, table in _placed(reader, header))
    clash = find_clash(sectors, length=1, reserved=((0, header.first_free),))
    if clash is not None:
        raise damaged("vmdk-table", reader.name, f"no grain table can be at sector {clash}")
    for run in _runs(_placed(reader, header), header.table_sectors):
        yield from _tables(reader, header, run)


def _placed(reader: Reader, header: SparseHeader) -> Iterator[_Table]:
    """Give where each grain table is that there is."""
    lba = 0
    for directory in reader.numbers(header.directory * SECTOR, header.tables, "I", "little"):
        for table in directory:
            if table:
                yield lba, table
            lba += header.grain * header.entries_per_table


def _runs(tables: Iterable[_Table], size: int) -> Iterator[list[_Table]]:
    """Give tables of so many sectors in runs that follow each other in the file: most writers'."""
    run: list[_Table] = []
    for table in tables:
        if run and (len(run) == _RUN or table[1] != run[-1][1] + size):
            yield run
            run = []
        run.append(table)
    if run:
        yield run


def _tables(
    reader: Reader, header: SparseHeader, run: list[_Table]
) -> Iterator[tuple[int, array[int]]]:
    step, length = header.table_sectors * SECTOR, 4 * header.entries_per_table
    data = reader.read(run[0][1] * SECTOR, (len(run) - 1) * step + length)
    empty = bytes(length)
    for number, (lba, _) in enumerate(run):
        table = data[number * step : number * step + length]
        if table == empty:  # of a large disk most are
            continue
        # What a table has beyond the disk's end means nothing.
        places = words(table, "I", "little")[: -(-(header.capacity - lba) // header.grain)]
        if any(places):
            yield lba, places


def grain_place(reader: Reader, header: SparseHeader, number: int) -> int:
    """Give the sector of the file at which a grain is, as its table has it: see `is_empty`."""
    table, index = divmod(number, header.entries_per_table)
    [start] = reader.words(header.directory * SECTOR + 4 * table, 1, "I", "little")
    return reader.words(start * SECTOR + 4 * index, 1, "I", "little")[0] if start else 0


def check_tables(reader: Reader, header: SparseHeader) -> None:
    """Check that every grain lies in the file, behind the header, and that it has room for all."""
    count = 0
    for lba, places in grain_tables(reader, header):
        count += len(places) - places.count(0)
        count -= places.count(1) if header.is_empty(1) else 0
        fits = _end(header, max(places), header.grain) <= reader.length
        if fits and min(places) >= header.first_free:
            continue
        for index, place in enumerate(places):
            if header.is_empty(place):
                continue
            # The last grain of a disk need be there only as far as the disk goes.
            left = header.capacity - lba - index * header.grain
            end = _end(header, place, min(header.grain, left))
            if end > reader.length:
                raise truncated(reader.name, end, reader.length)
            if place < header.first_free:
                raise damaged("vmdk-table", reader.name, f"no grain can be at sector {place}")
    check_count(reader, count, SECTOR if header.is_compressed else header.grain * SECTOR)


def _end(header: SparseHeader, place: int, sectors: int) -> int:
    """Give where a grain ends in the file, in bytes; of a compressed one, where its marker does."""
    return place * SECTOR + (GRAIN_MARKER.size if header.is_compressed else sectors * SECTOR)
