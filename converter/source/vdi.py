"""VDI, VirtualBox' own format (VirtualBox' VDICore.h; QEMU's block/vdi.c). Little endian."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import damaged, truncated

if TYPE_CHECKING:
    from converter.source.reader import Reader

SIGNATURE: Final = struct.pack("<I", 0xBEDA107F)
SIGNATURE_AT: Final = 64
_KINDS: Final = {1: "dynamic", 2: "fixed"}
_UNALLOCATED: Final = 0xFFFFFFFE
_MAX_BLOCKS: Final = 1 << 27


def open_vdi(reader: Reader) -> SourceDisk:
    """Read a VDI's header and block map and check them."""
    header = reader.read(0, 512)
    (version, _header_size, kind) = struct.unpack_from("<III", header, 68)
    (blocks_at, data_at) = struct.unpack_from("<II", header, 340)
    (size,) = struct.unpack_from("<Q", header, 368)
    (block, _extra, blocks) = struct.unpack_from("<III", header, 376)
    if version >> 16 != 1:
        raise damaged("vdi-version", reader.name, f"a VDI of version {version >> 16}")
    if kind not in _KINDS:
        raise GuestRefusedError(
            "vdi-differencing",
            f"{reader.name}: is a VDI of type {kind}, not complete in itself",
            hint="clone the disk (VBoxManage clonemedium) and use the clone",
        )
    if size == 0:
        raise damaged("disk-size-zero", reader.name, "disk-image-size=0 has invalid format")
    if block != 1 << 20 or not size <= blocks * block or blocks > _MAX_BLOCKS:
        raise damaged("vdi-header", reader.name, f"{blocks} blocks of {block} for {size} bytes")
    for (entry,) in struct.iter_unpack("<I", reader.read(blocks_at, blocks * 4)):
        end = data_at + (entry + 1) * block
        if entry < _UNALLOCATED and end > reader.length:
            raise truncated(reader.name, end, reader.length)
    return SourceDisk(reader.file.path.name, DiskFormat.VDI, _KINDS[kind], size, reader.file)
