"""VHD, fixed and dynamic ("Virtual Hard Disk Image Format Specification", Microsoft, 2006).

A footer of 512 bytes (511 before Virtual PC 2004) ends the file; a dynamic disk has a copy of it at
the start, then a header and a table of blocks. All numbers are big endian. The size is the footer's
"current size", which Azure and Hyper-V go by; its geometry is rounded. A fixed disk is its data,
then the footer.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import check_blocks, damaged, size_zero, truncated
from converter.source.stretch import of_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.source.reader import Fetch, Reader
    from converter.source.stretch import Stretch

COOKIE: Final = b"conectix"
_DYNAMIC_COOKIE: Final = b"cxsparse"
_FOOTER: Final = 512
_HEADER: Final = 1024
_FIXED, _DYNAMIC, _DIFFERENCING = 2, 3, 4
_DIFFERENT: Final = "Footers not identical"
_UNUSED: Final = 0xFFFFFFFF
# How far from the end of a file its footer is looked for.
_SEARCHED: Final = 4 << 20
_MAX_ENTRIES: Final = 1 << 22
_SECTOR: Final = 512
# 2040 GiB: QEMU opens none that is larger (block/vpc.c, VHD_MAX_SECTORS).
_LARGEST: Final = 0xFF000000 * _SECTOR
# Programs do not agree on the bitmaps of smaller ones.
_SMALLEST_BLOCK: Final = 4096
_LARGEST_BLOCK: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class _Table:
    """Where the table of blocks is, how many there are, and of how many bytes."""

    offset: int
    entries: int
    block: int

    @property
    def bitmap(self) -> int:
        """What precedes each block: a bitmap of its sectors, in whole sectors."""
        return -(-(self.block // _SECTOR) // (8 * _SECTOR)) * _SECTOR


def has_footer(reader: Reader) -> bool:
    """Tell whether the file ends with a VHD footer."""
    return _last(reader).startswith(COOKIE)


def _last(reader: Reader) -> bytes:
    """Give the footer that ends the file, b"" if there is none."""
    for length in (_FOOTER, _FOOTER - 1):
        if reader.length >= length:
            end = reader.read(reader.length - length, length)
            if end.startswith(COOKIE):
                return end
    return b""


def _footer(reader: Reader) -> bytes:
    last = _last(reader)
    if not last:
        raise end_missing(reader)
    return last


def end_missing(reader: Reader) -> DamagedInputError:
    """Make the error for a VHD that does not end with its footer."""
    found = reader.tail(_SEARCHED)
    at = found.rfind(COOKIE)
    behind = len(found) - at - _FOOTER
    if at >= 0 and behind > 0 and not any(found[-behind:]):
        return damaged(
            "vhd-footers-differ",
            reader.name,
            f"{behind} zeros follow the footer that ends it",
            hint=f"cut them off in a copy: truncate -s {reader.length - behind} NAME.vhd",
            service_message=_DIFFERENT,
        )
    return damaged(
        "vhd-footers-differ",
        reader.name,
        "the footer at its end is missing: it was cut off, or is no VHD",
        hint="copy it or export it again; if it is a whole raw image, give it another name (.raw)",
        service_message=_DIFFERENT,
    )


def open_vhd(reader: Reader) -> SourceDisk:
    """Read footer, header and table of a VHD and check them."""
    last = _footer(reader)
    _check_sum(reader, last, 64, "footer")
    kind, size = struct.unpack_from(">I", last, 60)[0], struct.unpack_from(">Q", last, 48)[0]
    if kind == _DIFFERENCING:
        raise GuestRefusedError(
            "vhd-differencing",
            f"{reader.name}: is a differencing VHD; most of its data is in another file",
            hint="merge it into its parent (Hyper-V: Edit Disk, Merge) and export that",
        )
    if kind not in (_FIXED, _DYNAMIC):
        raise damaged("vhd-type", reader.name, f"a VHD of the unknown type {kind}")
    if size == 0:
        raise size_zero(reader.name)
    if size % _SECTOR:
        raise damaged("vhd-header", reader.name, f"a disk of {size} bytes, no whole sectors")
    if size > _LARGEST:
        raise GuestRefusedError(
            "disk-too-large",
            f"{reader.name}: has {size >> 30} GiB; a VHD is read up to {_LARGEST >> 30} GiB",
            hint="convert it to VHDX where it comes from (Convert-VHD), or export it as raw",
        )
    if kind == _FIXED:
        if size > reader.length - len(last):
            raise truncated(reader.name, size + _FOOTER, reader.length)
        return _disk(reader, "fixed", size)
    if reader.head(len(last)) != last:
        raise damaged(
            "vhd-footers-differ",
            reader.name,
            "its two footers differ",
            service_message=_DIFFERENT,
        )
    _check_table(reader, struct.unpack_from(">Q", last, 16)[0], size)
    return _disk(reader, "dynamic", size)


def _disk(reader: Reader, subformat: str, size: int) -> SourceDisk:
    return SourceDisk(reader.label, DiskFormat.VHD, subformat, size, reader.file)


def _check_sum(reader: Reader, data: bytes, offset: int, what: str) -> None:
    """Check the one's complement of the sum of all bytes but the checksum's own."""
    (stored,) = struct.unpack_from(">I", data, offset)
    total = sum(data) - sum(data[offset : offset + 4])
    if stored != ~total & 0xFFFFFFFF:
        raise damaged("vhd-checksum", reader.name, f"the checksum of the {what} is wrong")


def _table_of(reader: Reader, header_offset: int, size: int) -> _Table:
    header = reader.read(header_offset, _HEADER)
    if not header.startswith(_DYNAMIC_COOKIE):
        raise damaged("vhd-header", reader.name, "the header of a dynamic disk is missing")
    _check_sum(reader, header, 36, "dynamic header")
    table, _version, entries, block = struct.unpack_from(">QIII", header, 16)
    if (
        not _SMALLEST_BLOCK <= block <= _LARGEST_BLOCK
        or block & (block - 1)
        or entries > _MAX_ENTRIES
        or entries * block < size
    ):
        raise damaged(
            "vhd-header", reader.name, f"{entries} blocks of {block} bytes for a disk of {size}"
        )
    return _Table(table, entries, block)


def _check_table(reader: Reader, header_offset: int, size: int) -> None:
    table = _table_of(reader, header_offset, size)
    length = table.bitmap + table.block
    end = header_offset + _HEADER
    itself = (table.offset, table.offset + table.entries * 4)
    reserved = ((0, _FOOTER), (header_offset, end), itself)
    places = (place for _, place in _allocated(reader, table))
    check_blocks(reader, places, length=length, reserved=reserved)


def _allocated(reader: Reader, table: _Table) -> Iterator[tuple[int, int]]:
    """Give (number, place) of the blocks in the file, which has to be long enough for them."""
    first = 0
    for piece in reader.numbers(table.offset, table.entries, "I", "big"):
        blocks = [
            (number, start * _SECTOR)
            for number, start in enumerate(piece, first)
            if start != _UNUSED
        ]
        end = max((place for _, place in blocks), default=0) + table.bitmap + table.block
        if blocks and end > reader.length:
            raise truncated(reader.name, end, reader.length)
        yield from blocks
        first += len(piece)


def _found(reader: Reader) -> tuple[_Table, int]:
    """Give the table, and the disk's size."""
    header, size = struct.unpack(">Q24xQ", _footer(reader)[16:56])
    return _table_of(reader, header, size), size


def contents(reader: Reader) -> Iterator[Stretch]:
    """Give what is stored of a dynamic VHD that `open_vhd` found sound: see `fetcher`."""
    table, size = _found(reader)
    blocks = ((number, place + table.bitmap) for number, place in _allocated(reader, table))
    return of_blocks(blocks, block=table.block, size=size)


def fetcher(reader: Reader) -> Fetch:
    """Give how to read the disk in a dynamic VHD that `open_vhd` found sound.

    Nobody goes by the bitmaps of such a disk: what was not written in a block is zero there.
    """
    table, _ = _found(reader)

    def fetch(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, table.block)
        length = min(length, table.block - inside)
        [start] = reader.words(table.offset + 4 * number, 1, "I", "big")
        if start == _UNUSED:
            return bytes(length)
        return reader.read(start * _SECTOR + table.bitmap + inside, length)

    return fetch
