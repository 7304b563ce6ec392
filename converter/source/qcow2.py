"""qcow2, versions 2 and 3 (QEMU: docs/interop/qcow2.txt). Numbers are big endian.

An image that names another file (backing file, external data file) is refused before anything
opens it; so is one that is encrypted, or marked as being written or as corrupt.
"""

from __future__ import annotations

import struct
import threading
import zlib
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache, partial, reduce
from itertools import chain, groupby
from operator import or_
from typing import TYPE_CHECKING, Final

import zstandard

from converter.errors import Faults, GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import check_count, damaged, size_zero, truncated
from converter.source.stretch import Packed, Stretch, joined

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator

    from converter.errors import DamagedInputError
    from converter.source.reader import Fetch, Reader

    # The byte of the disk that it is at, its entry, and the bitmap of its subclusters.
    _Cluster = tuple[int, int, int]

MAGIC: Final = b"QFI\xfb"
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_OFFSET: Final = 0x00FFFFFFFFFFFE00
_RESERVED: Final = 0x3F00000000000000
_COMPRESSED: Final = 1 << 62
_COPIED: Final = 1 << 63
_ZERO: Final = 1
# The version since which a cluster can be marked as zeros.
_ZEROS_SINCE: Final = 3
_SECTOR: Final = 512
_SUBCLUSTERS: Final = 32
# Of a cluster without subclusters: what the bitmap of its data would be.
_WHOLE: Final = 0xFFFFFFFF
_L1_LIMIT: Final = 32 << 20
_LONGEST_NAME: Final = 1023
_DATA_FILE: Final = 0x44415441
# Of a header: everybody writes three at most.
_MOST_EXTENSIONS: Final = 32
_LEAST_HEADER: Final = 104
# Compression types: raw deflate (RFC 1951), Zstandard (RFC 8878).
_DEFLATE, _ZSTD = 0, 1
# Clusters that are kept unpacked.
_KEPT: Final = 4
# As much memory as a frame may ask for; no writer needs more than a cluster of 2 MiB.
_WINDOW: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the header says of the tables; `l1_offset` and sizes in bytes."""

    version: int
    size: int
    cluster_bits: int
    extended: bool
    l1_offset: int
    l1_entries: int
    compression: int

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits

    @property
    def entry(self) -> int:
        """How many bytes an L2 entry takes."""
        return 16 if self.extended else 8

    @property
    def entries(self) -> int:
        """How many entries an L2 table has."""
        return self.cluster // self.entry

    @property
    def covered(self) -> int:
        """How many bytes of the disk an L2 table stands for."""
        return self.entries * self.cluster

    def packed(self, entry: int) -> tuple[int, int]:
        """Give where in the file a compressed cluster begins, and the sectors after that one.

        Of the 62 bits of its place the upper ones count them.
        """
        bits = 62 - (self.cluster_bits - 8)
        return entry & ((1 << bits) - 1), (entry & (_COMPRESSED - 1)) >> bits


def open_qcow2(reader: Reader) -> SourceDisk:
    """Read a qcow2's header and tables and check them."""
    header = _header(reader)
    version, backing_offset, backing_size = struct.unpack_from(">IQI", header, 4)
    size, crypt, l1_entries = struct.unpack_from(">QII", header, 24)
    if version == 1:
        raise GuestRefusedError(
            "format-unknown",
            f"{reader.name}: is a qcow of version 1",
            hint="convert it with qemu-img convert -O qcow2",
        )
    if version not in (2, 3):
        raise damaged("qcow2-version", reader.name, f"a qcow2 of version {version}")
    faults = Faults()
    if backing_offset:
        named = _text(reader, backing_offset, backing_size)
        faults.add(_foreign(reader, f"the backing file {named!r}"))
    with faults.kept():
        _refuse_features(reader, header)
    if crypt:
        faults.add(
            GuestRefusedError(
                "encrypted-disk",
                f"{reader.name}: is an encrypted qcow2",
                hint="decrypt it with qemu-img convert, then convert the result",
            )
        )
    faults.raise_all()
    if size == 0:
        raise size_zero(reader.name)
    layout = _layout(reader, header)
    (length,) = struct.unpack_from(">I", header, 100)
    if version == 3 and not _LEAST_HEADER <= length <= layout.cluster:
        raise damaged("qcow2-header", reader.name, f"a header of {length} bytes")
    if l1_entries * layout.covered < size:
        raise damaged("qcow2-header", reader.name, f"{l1_entries} L1 entries for {size} bytes")
    _check_tables(reader, layout)
    return SourceDisk(reader.label, DiskFormat.QCOW2, f"version {version}", size, reader.file)


def _header(reader: Reader) -> bytes:
    return reader.head(112).ljust(112, b"\0")


def _features(header: bytes) -> int:
    """Give the incompatible features: a header of version 2 ends before them."""
    version, features = struct.unpack_from(">I64xQ", header, 4)
    return int(features) if version == 3 else 0


def _layout(reader: Reader, header: bytes) -> _Layout:
    version, bits, size, _crypt, l1_entries, l1_offset = struct.unpack_from(">I12xIQIIQ", header, 4)
    features = _features(header)
    compression = header[104] if features & _COMPRESSION else _DEFLATE
    extended = bool(features & _EXTENDED_L2)
    if not 9 <= bits <= 21 or l1_entries * 8 > _L1_LIMIT:
        raise damaged("qcow2-header", reader.name, f"{l1_entries} L1 entries, 2^{bits}")
    return _Layout(version, size, bits, extended, l1_offset, l1_entries, compression)


def _foreign(reader: Reader, what: str) -> GuestRefusedError:
    return GuestRefusedError(
        "foreign-file",
        f"{reader.name}: names {what}; a disk image must be complete in itself",
        hint="make it one that is: qemu-img convert -O qcow2, where it comes from",
    )


def _text(reader: Reader, offset: int, length: int) -> str:
    """Give a name as far as it is in the file; "" where it cannot be."""
    there = max(0, min(length, _LONGEST_NAME, reader.length - offset))
    return reader.read(offset, there).decode("utf-8", "surrogateescape") if there else ""


def _data_file(reader: Reader, header: bytes) -> str:
    """Give the name of the external data file, which a header extension has; "" without one."""
    (offset,) = struct.unpack_from(">I", header, 100)
    for _ in range(_MOST_EXTENSIONS):
        if offset + 8 > reader.length:
            break
        kind, length = struct.unpack(">II", reader.read(offset, 8))
        if kind == _DATA_FILE:
            return _text(reader, offset + 8, length)
        if kind == 0:
            break
        offset += 8 + -(-length // 8) * 8
    return ""


def _refuse_features(reader: Reader, header: bytes) -> None:
    features = _features(header)
    if features & _EXTERNAL:
        raise _foreign(reader, f"the external data file {_data_file(reader, header)!r}")
    if features & _CORRUPT:
        raise damaged(
            "qcow2-corrupt",
            reader.name,
            "is marked as corrupt by QEMU",
            hint="export it again, or repair a copy: qemu-img check -r all",
        )
    if features & _DIRTY:
        raise damaged(
            "qcow2-dirty",
            reader.name,
            "was not closed",
            hint="run qemu-img check -r all on it, while no machine uses it",
        )
    if features & _COMPRESSION and header[104] not in (_DEFLATE, _ZSTD):
        raise damaged("qcow2-features", reader.name, f"is compressed in the way {header[104]}")
    unknown = features & ~(_DIRTY | _CORRUPT | _EXTERNAL | _COMPRESSION | _EXTENDED_L2)
    if unknown:
        raise damaged(
            "qcow2-features",
            reader.name,
            f"needs unknown features {unknown:#x}",
            hint="write it anew, where it comes from: qemu-img convert -O qcow2",
        )


def _check_tables(reader: Reader, layout: _Layout) -> None:
    """Check that every table, and the data of every cluster, lies in the file, and has room there.

    QEMU shares clusters with internal snapshots only, not within a disk.
    """
    seen: set[int] = set()
    start = clusters = 0
    count = -(-layout.size // layout.covered)
    for tables in reader.numbers(layout.l1_offset, count, "Q", "big"):
        for entry in tables:
            table = entry & _OFFSET
            if table in seen:
                raise damaged("qcow2-table", reader.name, f"two L2 tables at byte {table}")
            if table % layout.cluster:
                raise damaged("qcow2-table", reader.name, f"an L2 table at the odd byte {table}")
            if table:
                seen.add(table)
                clusters += _check_table(reader, layout, table, start)
            start += layout.covered
    check_count(reader, clusters, layout.cluster)


def _check_table(reader: Reader, layout: _Layout, table: int, first: int) -> int:
    """Check the L2 table at byte `table`, whose first cluster is at byte `first` of the disk.

    Gives how many clusters of the file it names, compressed ones apart.
    """
    numbers = reader.words(table, layout.cluster // 8, "Q", "big")
    if _fit_surely(reader, layout, numbers):
        return len(numbers) - numbers.count(0) - numbers.count(_ZERO)
    count = 0
    for start, entry, bitmap in _clusters(layout, first, numbers):
        count += bool(entry & _OFFSET and not entry & _COMPRESSED)
        if _is_odd(layout, entry, bitmap):
            raise damaged(
                "qcow2-table", reader.name, f"no cluster can be as the one for byte {start} is"
            )
        end = _end(layout, entry, layout.size - start, bitmap)
        if end > reader.length:
            raise truncated(reader.name, end, reader.length)
    return count


def _fit_surely(reader: Reader, layout: _Layout, entries: array[int]) -> bool:
    """Tell, of a whole table at once, that plain clusters lie in the file, where they may."""
    ordered = sorted(entries)
    plain, copied = bisect_left(ordered, _COMPRESSED), bisect_left(ordered, _COPIED)
    last, every = ordered[-1], reduce(or_, entries)
    if layout.extended or plain != copied or last >= _COPIED | _COMPRESSED:
        return False
    if every & _RESERVED or _is_odd(layout, every, _WHOLE):
        return False
    places = (last & _OFFSET, ordered[max(plain - 1, 0)] & _OFFSET)
    return last == 0 or max(places) + layout.cluster <= reader.length


def _is_odd(layout: _Layout, entry: int, bitmap: int) -> bool:
    """Tell whether QEMU would not read a cluster: where none can be, or more than one thing."""
    if entry & _COMPRESSED:
        return False
    place = entry & _OFFSET
    if layout.extended:
        allocated, zeros = bitmap & _WHOLE, bitmap >> _SUBCLUSTERS
        return bool(place % layout.cluster or allocated & zeros or (allocated and not place))
    return bool(place % layout.cluster or (entry & _ZERO and layout.version < _ZEROS_SINCE))


def _end(layout: _Layout, entry: int, left: int, bitmap: int) -> int:
    """Give where in the file the data that an L2 entry stands for ends.

    `left` is what the disk has from the cluster's beginning on: the last one need not be whole.
    `bitmap` tells, in its lower half, the allocated subclusters.
    """
    if entry & _COMPRESSED:
        place, sectors = layout.packed(entry)
        return (place // _SECTOR + 1 + sectors) * _SECTOR
    place = entry & _OFFSET
    needed = min(layout.cluster, -(-left // _SECTOR) * _SECTOR)
    if layout.extended:
        allocated = (bitmap & _WHOLE).bit_length()
        needed = min(needed, allocated * (layout.cluster // _SUBCLUSTERS))
    elif entry & _ZERO:
        needed = 0
    return place + needed if place and needed else 0


def own_stretches(reader: Reader) -> tuple[int, Iterator[Stretch]]:
    """Give the size of the disk in a qcow2, and what the file holds itself, in order.

    The rest is that of its backing file, or zero. It is one that QEMU wrote for us; even so it may
    not be what it was made, where a guest got the better of QEMU. Raises `DamagedInputError`
    ``qcow2-header`` for one that is compressed, or has parts of clusters, or data elsewhere.
    """
    header = _header(reader)
    layout = _layout(reader, header)
    odd = _features(header) & (_EXTERNAL | _COMPRESSION | _EXTENDED_L2)
    if header[:4] != MAGIC or odd:
        raise damaged("qcow2-header", reader.name, "is not the overlay that was made")
    return layout.size, joined(_own_clusters(reader, layout))


def _own_clusters(reader: Reader, layout: _Layout) -> Iterator[Stretch]:
    for first, entries in _tables(reader, layout):
        if entries.count(_ZERO) == len(entries):  # a large disk that was trimmed has many of these
            yield Stretch(first, min(layout.covered, layout.size - first), None)
            continue
        for start, entry, _ in _clusters(layout, first, entries):
            place = None if entry & _ZERO else entry & _OFFSET
            yield Stretch(start, min(layout.cluster, layout.size - start), place)


def _tables(reader: Reader, layout: _Layout) -> Iterator[tuple[int, array[int]]]:
    """Give every L2 table there is: the byte of the disk that it begins at, and its numbers."""
    start = 0
    count = -(-layout.size // layout.covered)
    for tables in reader.numbers(layout.l1_offset, count, "Q", "big"):
        for table in tables:
            if table & _OFFSET:
                yield start, reader.words(table & _OFFSET, layout.cluster // 8, "Q", "big")
            start += layout.covered


def _clusters(layout: _Layout, first: int, numbers: array[int]) -> Iterator[_Cluster]:
    """Give the clusters of a table that it says something of, as far as the disk goes."""
    step = layout.entry // 8
    for index in range(0, len(numbers), step):
        start = first + index // step * layout.cluster
        if start >= layout.size:
            return
        if any(numbers[index : index + step]):
            yield start, numbers[index], numbers[index + 1] if layout.extended else _WHOLE


def contents(reader: Reader) -> Iterator[Stretch | Packed]:
    """Give what is stored of the disk in a qcow2 that `open_qcow2` found sound, in order."""
    layout = _layout(reader, _header(reader))
    clusters = chain.from_iterable(
        _clusters(layout, first, numbers) for first, numbers in _tables(reader, layout)
    )
    for is_packed, alike in groupby(clusters, lambda cluster: bool(cluster[1] & _COMPRESSED)):
        if is_packed:
            yield from (_packed(reader, layout, cluster) for cluster in alike)
        else:
            yield from joined(chain.from_iterable(_stored(layout, cluster) for cluster in alike))


def _packed(reader: Reader, layout: _Layout, cluster: _Cluster) -> Packed:
    start, entry, _ = cluster
    length = min(layout.cluster, layout.size - start)
    return Packed(start, length, partial(_unpacked, reader, layout, entry))


def _stored(layout: _Layout, cluster: _Cluster) -> Iterator[Stretch]:
    """Give the parts of a cluster that hold data."""
    start, entry, bitmap = cluster
    place = entry & _OFFSET
    if not place or (entry & _ZERO and not layout.extended):
        return
    end = min(start + layout.cluster, layout.size)
    parts = _SUBCLUSTERS if layout.extended else 1
    part = layout.cluster // parts
    for number in range(parts):
        at = start + number * part
        if bitmap >> number & 1 and at < end:
            yield Stretch(at, min(part, end - at), place + number * part)


def fetcher(reader: Reader) -> Fetch:
    """Give how to read the disk in a qcow2 that `open_qcow2` found sound.

    Raises `DamagedInputError` ``qcow2-cluster`` for a compressed cluster that cannot be unpacked.
    """
    layout = _layout(reader, _header(reader))

    @lru_cache(maxsize=_KEPT)
    def unpacked(entry: int) -> bytes:
        return _unpacked(reader, layout, entry)

    def fetch(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, layout.cluster)
        length = min(length, layout.cluster - inside)
        entry, bitmap = _entry(reader, layout, number)
        if entry & _COMPRESSED:
            return unpacked(entry)[inside : inside + length]
        if layout.extended:
            part = layout.cluster // _SUBCLUSTERS
            length = min(length, part - inside % part)
            is_data = bitmap >> inside // part & 1
        else:
            is_data = not entry & _ZERO
        place = entry & _OFFSET
        return reader.read(place + inside, length) if place and is_data else bytes(length)

    return fetch


def _entry(reader: Reader, layout: _Layout, number: int) -> tuple[int, int]:
    """Give a cluster's entry, and the bitmap of its subclusters, if it has any."""
    first, second = divmod(number, layout.entries)
    [table] = reader.words(layout.l1_offset + 8 * first, 1, "Q", "big")
    if not table & _OFFSET:
        return 0, 0
    place = (table & _OFFSET) + second * layout.entry
    entry, *bitmap = reader.words(place, layout.entry // 8, "Q", "big")
    return entry, bitmap[0] if bitmap else 0


def _unpacked(reader: Reader, layout: _Layout, entry: int) -> bytes:
    place, sectors = layout.packed(entry)
    # What follows its end in the last sector belongs to others.
    packed = reader.read(place, (sectors + 1) * _SECTOR - place % _SECTOR)
    try:
        if layout.compression == _ZSTD:
            found = _unzstd(packed, layout.cluster)
        else:
            found = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, layout.cluster)
    except (zlib.error, zstandard.ZstdError) as error:
        raise _no_cluster(reader, place, str(error)) from error
    if len(found) != layout.cluster:
        raise _no_cluster(reader, place, f"{len(found)} bytes instead of {layout.cluster}")
    return found


def _unzstd(packed: bytes, size: int) -> bytes:
    """Give what a frame of at most `size` bytes holds. Raises `zstandard.ZstdError`."""
    if zstandard.frame_content_size(packed) > size:  # so much would be made room for
        raise zstandard.ZstdError("more than a cluster")
    return _of_thread.zstd.decompress(packed, max_output_size=size)


class _OfThread(threading.local):
    """What each thread has of its own: to make one takes longer than to unpack a cluster."""

    def __init__(self) -> None:
        self.zstd = zstandard.ZstdDecompressor(max_window_size=_WINDOW)


_of_thread: Final = _OfThread()


def _no_cluster(reader: Reader, place: int, why: str) -> DamagedInputError:
    what = f"the compressed cluster at byte {place} cannot be unpacked: {why}"
    return damaged("qcow2-cluster", reader.name, what)
