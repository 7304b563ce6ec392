"""GRUB 2's core.img for the BIOS: what is built into it, and another one with more in it.

diskboot.img, one sector, loads the rest by its block list; a decompressor follows, with the sizes
of what comes then: the kernel and the list of modules (`formats.grub_modules`), as one raw LZMA
stream (GNU GRUB's grub-core/boot/i386/pc/startup_raw.S, util/mkimage.c). grub-install builds in the
partition tables of the disks it finds, and no others: a disk whose table is converted needs the
other one, and often another prefix.

Limits: GRUB 2.00 and later. What an installer added against damage (Reed-Solomon codes) is left
out, as it is in an image that grub-mkimage made.
"""

from __future__ import annotations

import lzma
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from converter.disk.boot_code import BLOCK_LIST
from converter.formats import FormatError
from converter.formats.grub_modules import MAGIC, Modules, Object, build32, parse32

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR: Final = 512
_SEGMENT: Final = 0x820
# In the decompressor: compressed and uncompressed size, and of the codes that follow.
_SIZES: Final = struct.Struct("<III")
_SIZES_AT: Final = SECTOR + 8
_STUB_LIMIT: Final = SECTOR + 0xE00
_STUB_STEP: Final = 16
# A core.img with every module there is stays below this.
_LIMIT: Final = 16 << 20
_FILTERS: Final[list[dict[str, Any]]] = [
    {"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}
]


@dataclass(frozen=True, slots=True)
class CoreImage:
    """A core.img, unpacked: its uncompressed start, GRUB's kernel, and what is built in."""

    stub: bytes
    kernel: bytes
    modules: Modules

    def with_objects(self, objects: tuple[Object, ...]) -> CoreImage:
        """Give the image with another list of modules."""
        return replace(self, modules=Modules(objects))

    def build(self, sector: int) -> bytes:
        """Give the image as it is written from `sector` of the disk on, in whole sectors."""
        payload = self.kernel + build32(self.modules.objects)
        packed = lzma.compress(payload, format=lzma.FORMAT_RAW, filters=_FILTERS)
        data = bytearray(self.stub + packed)
        data += bytes(-len(data) % SECTOR)
        _SIZES.pack_into(data, _SIZES_AT, len(packed), len(payload), 0)
        following = len(data) // SECTOR - 1
        struct.pack_into("<QHH", data, BLOCK_LIST, sector + 1, following, _SEGMENT)
        # Of an image in pieces, the list goes on below its first entry, up to one of length 0.
        data[BLOCK_LIST - 12 : BLOCK_LIST] = bytes(12)
        return bytes(data)


def block_list(first: bytes) -> tuple[tuple[int, int], ...]:
    """Give where the rest of an image lies, by its first sector: first sector and number of each.

    Raises `FormatError` where that is no first sector of an image.
    """
    found = []
    for at in range(BLOCK_LIST, 0x100, -12):
        start, count, segment = struct.unpack_from("<QHH", first, at)
        if not count:
            break
        if not start or segment < _SEGMENT:
            raise FormatError("it has no block list")
        found.append((start, count))
    if not found or sum(count for _, count in found) * SECTOR > _LIMIT:
        raise FormatError("it has no block list")
    return tuple(found)


def parse(data: bytes) -> CoreImage:
    """Unpack an image, given in whole. Raises `FormatError` for one that is not understood."""
    if len(data) < _STUB_LIMIT:
        raise FormatError(f"GRUB's core.img has only {len(data)} bytes")
    packed, size, _ = _SIZES.unpack_from(data, _SIZES_AT)
    if not 0 < packed <= len(data) or not 0 < size <= _LIMIT:
        raise FormatError(f"GRUB's core.img says it has {packed} bytes packed, {size} unpacked")
    for start in range(_SIZES_AT + _STUB_STEP - 8, _STUB_LIMIT + 1, _STUB_STEP):
        # Every LZMA stream begins with a zero byte.
        if data[start : start + 1] != b"\0":
            continue
        payload = _unpacked(data[start : start + packed], size)
        for at in _lists(payload):
            return CoreImage(data[:start], payload[:at], parse32(payload[at:]))
    raise FormatError("GRUB's core.img is not packed as that of GRUB 2.00 and later")


def _unpacked(data: bytes, size: int) -> bytes:
    """Give `size` bytes out of a stream; b"" if it is none."""
    decoder = lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=_FILTERS)
    try:
        payload = decoder.decompress(data, max_length=size)
    except (lzma.LZMAError, EOFError):
        return b""
    return payload if len(payload) == size else b""


def _lists(payload: bytes) -> Iterator[int]:
    """Give where the list of modules starts: its header, and the list ends with everything."""
    at = payload.find(MAGIC)
    while at >= 0:
        rest = payload[at : at + 12]
        if len(rest) == 12 and struct.unpack_from("<I", rest, 8)[0] == len(payload) - at:
            yield at
        at = payload.find(MAGIC, at + 1)
