"""VDI, VirtualBox' own format (VirtualBox' VDICore.h; QEMU's block/vdi.c). Little endian."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import check_blocks, damaged, size_zero, truncated
from converter.source.stretch import of_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.source.reader import Fetch, Reader
    from converter.source.stretch import Stretch

SIGNATURE: Final = struct.pack("<I", 0xBEDA107F)
SIGNATURE_AT: Final = 64
_KINDS: Final = {1: "dynamic", 2: "fixed"}
_CHILDREN: Final = {3: "undo", 4: "differencing"}
# "Never written" and "discarded": both read as zeros.
_UNALLOCATED: Final = 0xFFFFFFFE
_BLOCK: Final = 1 << 20
_SECTOR: Final = 512
_MAX_BLOCKS: Final = 1 << 24


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the block map and the blocks are, in bytes; the disk's size and number of blocks."""

    map: int
    data: int
    size: int
    blocks: int


def open_vdi(reader: Reader) -> SourceDisk:
    """Read a VDI's header and block map and check them."""
    header = reader.read(0, 512)
    (version, _header_size, kind) = struct.unpack_from("<III", header, 68)
    (block, extra) = struct.unpack_from("<II", header, 376)
    layout = _layout(header)
    size, blocks = layout.size, layout.blocks
    if version >> 16 != 1:
        raise damaged("vdi-version", reader.name, f"a VDI of version {version >> 16}")
    if kind in _CHILDREN or any(header[424:456]):
        raise GuestRefusedError(
            "vdi-differencing",
            f"{reader.name}: is a VDI that holds only what differs from another"
            f" ({_CHILDREN.get(kind, 'its header names a parent')})",
            hint="clone the disk (VBoxManage clonemedium) and use the clone",
        )
    if kind not in _KINDS:
        raise damaged("vdi-header", reader.name, f"a VDI of the unknown type {kind}")
    if size == 0:
        raise size_zero(reader.name)
    if block != _BLOCK or extra or size > blocks * block or blocks > _MAX_BLOCKS:
        raise damaged("vdi-header", reader.name, f"{blocks} blocks of {block} for {size} bytes")
    reserved = ((0, 512), (layout.map, layout.map + 4 * blocks))
    places = (place for _, place in _allocated(reader, layout))
    check_blocks(reader, places, length=block, reserved=reserved)
    return SourceDisk(reader.label, DiskFormat.VDI, _KINDS[kind], size, reader.file)


def _layout(header: bytes) -> _Layout:
    blocks_at, data_at = struct.unpack_from("<II", header, 340)
    (size,) = struct.unpack_from("<Q", header, 368)
    (blocks,) = struct.unpack_from("<I", header, 384)
    return _Layout(blocks_at, data_at, size, blocks)


def _allocated(reader: Reader, layout: _Layout) -> Iterator[tuple[int, int]]:
    """Give (number, place) of the blocks in the file, which has to be long enough for them."""
    first = 0
    for piece in reader.numbers(layout.map, layout.blocks, "I", "little"):
        blocks = [
            (number, layout.data + entry * _BLOCK)
            for number, entry in enumerate(piece, first)
            if entry < _UNALLOCATED
        ]
        end = max((place for _, place in blocks), default=0) + _BLOCK
        if blocks and end > reader.length:
            raise truncated(reader.name, end, reader.length)
        yield from blocks
        first += len(piece)


def contents(reader: Reader) -> Iterator[Stretch]:
    """Give what is stored of the disk in a VDI that `open_vdi` found sound.

    Of a last sector that is not whole all is shown.
    """
    layout = _layout(reader.read(0, 512))
    size = -(-layout.size // _SECTOR) * _SECTOR
    return of_blocks(_allocated(reader, layout), block=_BLOCK, size=size)


def fetcher(reader: Reader) -> Fetch:
    """Give how to read the disk in a VDI that `open_vdi` found sound."""
    layout = _layout(reader.read(0, 512))

    def fetch(offset: int, length: int) -> bytes:
        number, inside = divmod(offset, _BLOCK)
        length = min(length, _BLOCK - inside)
        [entry] = reader.words(layout.map + 4 * number, 1, "I", "little")
        if entry >= _UNALLOCATED:
            return bytes(length)
        return reader.read(layout.data + entry * _BLOCK + inside, length)

    return fetch
