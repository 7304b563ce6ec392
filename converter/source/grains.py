"""Unpacking a stream-optimized VMDK: every grain is inflated, checked and written where it belongs.

"Virtual Disk Format 5.0" (VMware), "Stream-Optimized Compressed Sparse Extents": a grain is a
marker (LBA in sectors, u64; size, u32) and a zlib stream (RFC 1950) of one grain's bytes.
"""

from __future__ import annotations

import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final

from converter.source import vmdk
from converter.source.reader import Reader, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.model import SourceDisk
    from converter.source.vmdk import SparseHeader

_MARKER: Final = struct.Struct("<QI")
_THREADS: Final = 2
# Grains in flight: 16 MiB of data at the usual 64 KiB a grain.
_BATCH: Final = 256
# Marks of a grain table: nothing there, and a grain of zeros.
_EMPTY: Final = (0, 1)


def unpack(
    disk: SourceDisk,
    descriptor: int,
    *,
    progress: Callable[[float], None],
    is_cancelled: Callable[[], bool],
) -> None:
    """Write the data of `disk` to the empty sparse file `descriptor`.

    Raises `DamagedInputError` ``vmdk-grain-length`` for a grain that does not inflate to its
    length, ``vmdk-grain-place`` for one whose marker names another place.
    """
    with Reader(disk.file) as reader, ThreadPoolExecutor(_THREADS) as pool:
        header = vmdk.with_footer(reader, vmdk.read_header(reader))
        # In the order of the file: one sequential pass over it.
        grains = sorted(_grains(reader, header), key=lambda grain: grain[1])
        waiting = iter(grains)
        done = 0
        while (batch := list(islice(waiting, _BATCH))) and not is_cancelled():
            for _ in pool.map(lambda grain: _write(reader, header, descriptor, grain), batch):
                done += 1
            progress(done / len(grains))


def _grains(reader: Reader, header: SparseHeader) -> Iterator[tuple[int, int]]:
    """Give (LBA, place in the file) of every grain that holds data, in sectors."""
    entries = header.entries_per_table
    for number, table in enumerate(vmdk.grain_directory(reader, header)):
        if table in _EMPTY:
            continue
        data = reader.read(table * vmdk.SECTOR, entries * 4)
        for index, (place,) in enumerate(struct.iter_unpack("<I", data)):
            lba = (number * entries + index) * header.grain
            if place not in _EMPTY and lba < header.capacity:
                yield lba, place


def _write(reader: Reader, header: SparseHeader, descriptor: int, grain: tuple[int, int]) -> None:
    lba, place = grain
    length = header.grain * vmdk.SECTOR
    marked, size = _MARKER.unpack(reader.read(place * vmdk.SECTOR, _MARKER.size))
    if marked != lba:
        raise damaged(
            "vmdk-grain-place", reader.name, f"the grain for sector {lba} is marked {marked}"
        )
    # Deflate makes data longer by 0.1 % at most (RFC 1951); this is generous, and a bound.
    if size > 2 * length:
        raise damaged("vmdk-grain-length", reader.name, f"grain {lba}: {size} bytes compressed")
    data = _inflate(reader, lba, reader.read(place * vmdk.SECTOR + _MARKER.size, size), length)
    room = min(length, (header.capacity - lba) * vmdk.SECTOR)
    if data.count(0) != len(data):
        os.pwrite(descriptor, data[:room], lba * vmdk.SECTOR)


def _inflate(reader: Reader, lba: int, packed: bytes, length: int) -> bytes:
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(packed, length + 1)
    except zlib.error as error:
        raise damaged(
            "vmdk-grain-length",
            reader.name,
            f"grain at sector {lba}: Uncompressed data has invalid length ({error})",
        ) from error
    if len(data) != length:
        raise damaged(
            "vmdk-grain-length",
            reader.name,
            f"grain at sector {lba}: Uncompressed data has invalid length"
            f" ({len(data)} bytes instead of {length})",
        )
    return data
