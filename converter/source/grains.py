"""The grains of sparse VMDKs: unpacked all (stream-optimized ones), or read where one is wanted.

"Virtual Disk Format 5.0" (VMware), "Stream-Optimized Compressed Sparse Extents": a grain is a
marker (LBA in sectors, u64; size, u32) and a zlib stream (RFC 1950) of one grain's bytes. It is
inflated and checked. By zlib: others are quicker, but none was given as much hostile data as zlib.
"""

from __future__ import annotations

import zlib
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Final

from converter.parallel import each
from converter.source import sparse, vmdk_sparse
from converter.source.reader import Reader, damaged
from converter.source.stretch import Packed, joined, of_blocks
from converter.source.vmdk_sparse import GRAIN_MARKER, SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from converter.source.reader import Fetch
    from converter.source.stretch import Stretch
    from converter.source.vmdk_sparse import SparseHeader

    # Where a grain is to be on the disk (LBA), and its place in the file, in sectors.
    Grain = tuple[int, int]

_AHEAD: Final = 8
# One after the other, grains are unpacked in runs: as many as begin in one stretch of the file,
# which is read at once, and have so much of the disk.
_STRETCH: Final = 1 << 20
_RUN: Final = 4 << 20
# Grains that are kept unpacked: who reads a table reads a sector after the other.
_KEPT: Final = 4
_INVALID_LENGTH: Final = "Uncompressed data has an invalid length"


def unpack(
    reader: Reader,
    descriptor: int,
    *,
    progress: Callable[[float], None],
    is_cancelled: Callable[[], bool],
) -> None:
    """Write the data of a stream-optimized disk to the empty sparse file `descriptor`.

    Raises `DamagedInputError` ``vmdk-grain-length`` for a grain that does not inflate to its
    length, ``vmdk-grain-place`` for one whose marker names another place.
    """
    header = vmdk_sparse.with_footer(reader, vmdk_sparse.read_header(reader))
    write = partial(_write, reader, header, descriptor)
    # In the order of the disk, which is that of the file too: it was written as a stream.
    runs = _runs(_grains(reader, header), max(1, _RUN // (header.grain * SECTOR)))
    for run, _ in each(write, runs, ahead=_AHEAD, is_cancelled=is_cancelled):
        progress(run[-1][0] / header.capacity)


def _runs(grains: Iterable[Grain], most: int) -> Iterator[Sequence[Grain]]:
    """Give `grains` in runs of at most so many; the first of a run lies before the others."""
    run: list[Grain] = []
    for grain in grains:
        if run and (len(run) == most or not 0 <= (grain[1] - run[0][1]) * SECTOR < _STRETCH):
            yield run
            run = []
        run.append(grain)
    if run:
        yield run


def _grains(reader: Reader, header: SparseHeader) -> Iterator[Grain]:
    """Give every grain that holds data."""
    for lba, places in vmdk_sparse.grain_tables(reader, header):
        for index, place in enumerate(places):
            if not header.is_empty(place):
                yield lba + index * header.grain, place


def contents(reader: Reader) -> Iterator[Stretch | Packed]:
    """Give what is stored of a sparse extent that was found sound."""
    header = vmdk_sparse.with_footer(reader, vmdk_sparse.read_header(reader))
    size, capacity = header.grain * SECTOR, header.capacity * SECTOR
    if header.is_compressed:
        for grain in _grains(reader, header):
            unpack = partial(_unpacked, reader, reader.read, header, grain)
            yield Packed(grain[0] * SECTOR, min(size, capacity - grain[0] * SECTOR), unpack)
        return
    grains = ((lba // header.grain, place * SECTOR) for lba, place in _grains(reader, header))
    yield from joined(of_blocks(grains, block=size, size=capacity))


def fetcher(reader: Reader) -> Fetch:
    """Give how to read a sparse extent that was found sound, compressed or not."""
    header = vmdk_sparse.with_footer(reader, vmdk_sparse.read_header(reader))
    size = header.grain * SECTOR

    @lru_cache(maxsize=_KEPT)
    def unpacked(lba: int, place: int) -> bytes:
        return _unpacked(reader, reader.read, header, (lba, place))

    def fetch(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, size)
        length = min(length, size - inside)
        place = vmdk_sparse.grain_place(reader, header, number)
        if header.is_empty(place):
            return bytes(length)
        if header.is_compressed:
            return unpacked(number * header.grain, place)[inside : inside + length]
        return reader.read(place * SECTOR + inside, length)

    return fetch


def _write(reader: Reader, header: SparseHeader, descriptor: int, run: Sequence[Grain]) -> None:
    start = run[0][1] * SECTOR
    stretch = reader.read(start, min(_STRETCH, reader.length - start))

    def read(offset: int, length: int) -> bytes:
        at = offset - start
        if at + length > len(stretch):  # only the last one goes beyond
            return reader.read(offset, length)
        return stretch[at : at + length]

    for grain in run:
        sparse.write(descriptor, _unpacked(reader, read, header, grain), grain[0] * SECTOR)


def _unpacked(
    reader: Reader, read: Callable[[int, int], bytes], header: SparseHeader, grain: Grain
) -> bytes:
    """Give what a compressed grain holds, as far as the disk goes; `read` reads the file."""
    lba, place = grain
    length = header.grain * SECTOR
    marked, size = GRAIN_MARKER.unpack(read(place * SECTOR, GRAIN_MARKER.size))
    if marked != lba:
        raise damaged(
            "vmdk-grain-place", reader.name, f"the grain for sector {lba} is marked {marked}"
        )
    # Deflate makes data longer by 0.1 % at most (RFC 1951); this is generous, and a bound.
    if size > 2 * length:
        raise damaged("vmdk-grain-length", reader.name, f"grain {lba}: {size} bytes compressed")
    # Of the last grain some writers store only what the disk has of it.
    room = min(length, (header.capacity - lba) * SECTOR)
    packed = read(place * SECTOR + GRAIN_MARKER.size, size)
    return _inflate(reader, lba, packed, (length, room))[:room]


def _inflate(reader: Reader, lba: int, packed: bytes, lengths: tuple[int, ...]) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, max(lengths) + 1)
    except zlib.error as error:
        raise damaged(
            "vmdk-grain-length",
            reader.name,
            f"the grain at sector {lba} cannot be inflated: {error}",
            service_message=_INVALID_LENGTH,
        ) from error
    # Without its end, and the checksum there, it may be anything.
    if len(data) not in lengths or not inflater.eof:
        raise damaged(
            "vmdk-grain-length",
            reader.name,
            f"the grain at sector {lba} has {len(data)} bytes and more, or no end; it should have"
            f" {max(lengths)}",
            service_message=_INVALID_LENGTH,
        )
    return data
