"""Writing stream-optimized VMDKs, as VMware's own export does: from front to back, packed.

"Virtual Disk Format 5.0" (VMware, 2011), "Stream-Optimized Compressed Sparse Extents": the header
and the descriptor in the first 64 KiB; then, in the order of the disk, every grain that is not
zero (a marker and a zlib stream, RFC 1950), and behind the grains of a table that table; at the
end the grain directory, a footer (the header once more, that says where the directory is), and an
end-of-stream marker. Everything begins at a sector; numbers are little endian.

The same data always give the same bytes.
"""

from __future__ import annotations

import struct
from array import array
from contextlib import closing
from functools import partial
from itertools import groupby
from typing import IO, TYPE_CHECKING, Final

from isal import isal_zlib

from converter.errors import ConversionError
from converter.parallel import each
from converter.source.sparse import blocks, is_zero
from converter.source.vmdk_sparse import (
    COMPRESSED,
    FOOTER_MARKER,
    GD_AT_END,
    GRAIN_MARKER,
    HEADER,
    LINE_ENDS,
    MAGIC,
    MARKERS,
    NEWLINES,
    SECTOR,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.source.reader import Reader

_GRAIN: Final = 128 * SECTOR
_ENTRIES: Final = 512
_OVERHEAD: Final = 128
_DESCRIPTOR_SECTORS: Final = 20
_DEFLATE: Final = 1
# Of the specification's versions, the one that streams have.
_VERSION: Final = 3
# A marker of what is no grain: its length in sectors, a zero, and what it is; it fills a sector.
_MARKER: Final = struct.Struct("<QII")
_TABLE_MARKER, _DIRECTORY_MARKER = 1, 2
_MOST_SECTORS: Final = 1 << 32
# ISA-L's highest: nine times as fast as zlib's default here, for files that are a tenth larger.
_LEVEL: Final = 3
_AHEAD: Final = 64
_HEADS, _SECTORS_PER_TRACK, _MOST_CYLINDERS = 255, 63, 65535

# The name in an extent line of a stream stands for the file itself, whatever that is called.
_DESCRIPTOR: Final = """\
# Disk DescriptorFile
version=1
CID=fffffffe
parentCID=ffffffff
createType="streamOptimized"

# Extent description
RW {sectors} SPARSE "call-me-stream.vmdk"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "{cylinders}"
ddb.geometry.heads = "{heads}"
ddb.geometry.sectors = "{track}"
ddb.virtualHWVersion = "4"
"""


def write(image: Reader, out: IO[bytes], *, progress: Callable[[float], None]) -> None:
    """Write the disk `image` to the empty file `out`; the last sector is filled up with zeros.

    `progress` is told the fraction that is done. Raises `ConversionError` ``export-failed`` for a
    disk that is too large for the format, and what `Reader.read` raises.
    """
    sectors = -(-image.length // SECTOR)
    stream = _Stream(out)
    stream.put(_header(sectors, GD_AT_END) + _descriptor(sectors), length=_OVERHEAD * SECTOR)
    directory = array("I", bytes(4 * -(-image.length // (_GRAIN * _ENTRIES))))
    pack = partial(_packed, image)
    touched = blocks(image.data(0, image.length), _GRAIN)
    # Closed here: what is done ahead ends before the image is closed.
    with closing(each(pack, touched, ahead=_AHEAD)) as grains:
        for number, those in groupby(grains, key=lambda grain: grain[0] // _ENTRIES):
            table = array("I", bytes(4 * _ENTRIES))
            for grain, packed in those:
                if packed:
                    table[grain % _ENTRIES] = stream.put(packed)
            if any(table):
                directory[number] = stream.put_marked(_TABLE_MARKER, _little(table))
            progress(number / len(directory))
    place = stream.put_marked(_DIRECTORY_MARKER, _little(directory))
    stream.put_marked(FOOTER_MARKER, _header(sectors, place))
    stream.put(bytes(SECTOR))


class _Stream:
    """A file that is written from front to back, in whole sectors."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._sector = 0

    def put(self, data: bytes, *, length: int = 0) -> int:
        """Write `data`, filled up to `length` and to a whole sector; give the sector it is at."""
        place = self._sector
        end = place + -(-max(len(data), length) // SECTOR)
        if end > _MOST_SECTORS:
            raise ConversionError(
                "export-failed",
                "the disk holds more than the 2 TiB that a stream-optimized VMDK can have",
                hint="export it as VHDX or qcow2",
            )
        self._out.write(data.ljust((end - place) * SECTOR, b"\0"))
        self._sector = end
        return place

    def put_marked(self, kind: int, data: bytes) -> int:
        """Write a marker, and `data`; give the sector that `data` is at."""
        self.put(_MARKER.pack(-(-len(data) // SECTOR), 0, kind))
        return self.put(data)


def _packed(image: Reader, grain: int) -> bytes:
    """Give a grain with its marker, b"" if it is all zero."""
    offset = grain * _GRAIN
    data = image.read(offset, min(_GRAIN, image.length - offset)).ljust(_GRAIN, b"\0")
    if is_zero(data):
        return b""
    packed = isal_zlib.compress(data, _LEVEL)
    return GRAIN_MARKER.pack(offset // SECTOR, len(packed)) + packed


def _header(sectors: int, directory: int) -> bytes:
    flags = NEWLINES | COMPRESSED | MARKERS
    header = HEADER.pack(
        MAGIC, _VERSION, flags, sectors, _GRAIN // SECTOR, 1, _DESCRIPTOR_SECTORS, _ENTRIES,
        0, directory, _OVERHEAD, 0, LINE_ENDS, _DEFLATE,
    )  # fmt: skip
    return header.ljust(SECTOR, b"\0")


def _descriptor(sectors: int) -> bytes:
    cylinders = min(sectors // (_HEADS * _SECTORS_PER_TRACK), _MOST_CYLINDERS)
    text = _DESCRIPTOR.format(
        sectors=sectors, cylinders=cylinders, heads=_HEADS, track=_SECTORS_PER_TRACK
    )
    return text.encode().ljust(_DESCRIPTOR_SECTORS * SECTOR, b"\0")


def _little(numbers: array[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}I", *numbers)
