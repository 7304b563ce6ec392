"""qcow2, versions 2 and 3 (QEMU: docs/interop/qcow2.txt). Numbers are big endian.

An image that names another file (backing file, external data file) is refused before anything
opens it; so is one that is encrypted, or marked as being written or as corrupt.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import damaged, size_zero, truncated

if TYPE_CHECKING:
    from array import array

    from converter.source.reader import Reader

MAGIC: Final = b"QFI\xfb"
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_OFFSET: Final = 0x00FFFFFFFFFFFE00
_COMPRESSED: Final = 1 << 62
_COPIED: Final = 1 << 63
_ZERO: Final = 1
_SECTOR: Final = 512
_SUBCLUSTERS: Final = 32
_L1_LIMIT: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class _Layout:
    size: int
    cluster_bits: int
    extended: bool

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits

    @property
    def entry(self) -> int:
        """How many bytes an L2 entry takes."""
        return 16 if self.extended else 8


def open_qcow2(reader: Reader) -> SourceDisk:
    """Read a qcow2's header and tables and check them."""
    header = reader.head(112).ljust(112, b"\0")
    version, backing_offset, _size, cluster_bits, size, crypt, l1_entries, l1_offset = (
        struct.unpack(">IQIIQIIQ", header[4:48])
    )
    if version == 1:
        raise GuestRefusedError(
            "format-unknown",
            f"{reader.name}: is a qcow of version 1",
            hint="convert it with qemu-img convert -O qcow2",
        )
    if version not in (2, 3):
        raise damaged("qcow2-version", reader.name, f"a qcow2 of version {version}")
    features = struct.unpack_from(">Q", header, 72)[0] if version == 3 else 0
    if backing_offset:
        raise _foreign(reader, "a backing file")
    _refuse_features(reader, features)
    if crypt:
        raise GuestRefusedError(
            "encrypted-disk",
            f"{reader.name}: is an encrypted qcow2",
            hint="decrypt it with qemu-img convert, then convert the result",
        )
    if size == 0:
        raise size_zero(reader.name)
    layout = _Layout(size, cluster_bits, bool(features & _EXTENDED_L2))
    if not 9 <= cluster_bits <= 21 or l1_entries * 8 > _L1_LIMIT:
        raise damaged("qcow2-header", reader.name, f"{l1_entries} L1 entries, 2^{cluster_bits}")
    covered = layout.cluster // layout.entry * layout.cluster
    if l1_entries * covered < size:
        raise damaged("qcow2-header", reader.name, f"{l1_entries} L1 entries for {size} bytes")
    _check_tables(reader, layout, l1_offset, -(-size // covered))
    return SourceDisk(reader.label, DiskFormat.QCOW2, f"version {version}", size, reader.file)


def _foreign(reader: Reader, what: str) -> GuestRefusedError:
    return GuestRefusedError(
        "foreign-file",
        f"{reader.name}: names {what}; a disk image must be complete in itself",
        hint="make it one that is: qemu-img convert -O qcow2, where it comes from",
    )


def _refuse_features(reader: Reader, features: int) -> None:
    if features & _EXTERNAL:
        raise _foreign(reader, "an external data file")
    if features & _CORRUPT:
        raise damaged("qcow2-corrupt", reader.name, "is marked as corrupt by QEMU")
    if features & _DIRTY:
        raise damaged("qcow2-dirty", reader.name, "was not closed; run qemu-img check -r all")
    unknown = features & ~(_DIRTY | _CORRUPT | _EXTERNAL | _COMPRESSION | _EXTENDED_L2)
    if unknown:
        raise damaged("qcow2-features", reader.name, f"needs unknown features {unknown:#x}")


def _check_tables(reader: Reader, layout: _Layout, offset: int, count: int) -> None:
    """Check that every table, and the data of every cluster, lies in the file."""
    seen: set[int] = set()
    start = 0
    for tables in reader.numbers(offset, count, "Q", "big"):
        for entry in tables:
            table = entry & _OFFSET
            if table in seen:
                raise damaged("qcow2-table", reader.name, f"two L2 tables at byte {table}")
            if table:
                seen.add(table)
                _check_table(reader, layout, table, start)
            start += layout.cluster // layout.entry * layout.cluster


def _check_table(reader: Reader, layout: _Layout, table: int, start: int) -> None:
    """Check the L2 table at byte `table`, whose first cluster is at byte `start` of the disk."""
    entries = reader.words(table, layout.cluster // 8, "Q", "big")
    if _fit_surely(reader, layout, entries):
        return
    step = layout.entry // 8
    for index in range(0, len(entries), step):
        entry = entries[index]
        if not entry:
            continue
        left = layout.size - start - index // step * layout.cluster
        if left <= 0:
            return
        if layout.extended:
            end = _end(layout, entry, left, entries[index + 1])
        else:
            end = _end(layout, entry, left)
        if end > reader.length:
            raise truncated(reader.name, end, reader.length)


def _fit_surely(reader: Reader, layout: _Layout, entries: array[int]) -> bool:
    """Tell, of a whole table at once, that the data of plain clusters lie in the file."""
    ordered = sorted(entries)
    plain, copied = bisect_left(ordered, _COMPRESSED), bisect_left(ordered, _COPIED)
    last = ordered[-1]
    if layout.extended or plain != copied or last >= _COPIED | _COMPRESSED:
        return False
    places = (last & _OFFSET, ordered[max(plain - 1, 0)] & _OFFSET)
    return last == 0 or max(places) + layout.cluster <= reader.length


def _end(layout: _Layout, entry: int, left: int, bitmap: int | None = None) -> int:
    """Give where in the file the data that an L2 entry stands for ends.

    `left` is what the disk has from the cluster's beginning on: the last one need not be whole.
    `bitmap` tells, in its lower half, the allocated subclusters of an entry that has any.
    """
    if entry & _COMPRESSED:
        # Of the host offset's 62 bits the upper ones count further sectors.
        bits = 62 - (layout.cluster_bits - 8)
        place, sectors = entry & ((1 << bits) - 1), (entry & (_COMPRESSED - 1)) >> bits
        return (place // _SECTOR + 1 + sectors) * _SECTOR
    place = entry & _OFFSET
    needed = min(layout.cluster, -(-left // _SECTOR) * _SECTOR)
    if bitmap is not None:
        allocated = (bitmap & 0xFFFFFFFF).bit_length()
        needed = min(needed, allocated * (layout.cluster // _SUBCLUSTERS))
    elif entry & _ZERO:
        needed = 0
    return place + needed if place and needed else 0
