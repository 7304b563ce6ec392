"""A core.img of GRUB 2 made from its parts, as grub-mkimage lays them out."""

from __future__ import annotations

import hashlib
import lzma
import struct

from tests.unit.efi_programs import elf_module

# As little compressible as code is; with the magic number in it, as GRUB's own code has.
_CODE = hashlib.shake_256(b"kernel").digest(6000)
KERNEL = _CODE[:3000] + b"mimg" + _CODE[3000:]
FILTERS = [{"id": lzma.FILTER_LZMA1, "dict_size": 1 << 16, "lc": 3, "lp": 0, "pb": 2}]


def core_image(
    *modules: str, prefix: str = "(,gpt2)/boot/grub", config: str = "", sector: int = 1
) -> bytes:
    objects = [(0, elf_module(name, wide=False)) for name in modules]
    objects += [(2, config.encode() + b"\0")] if config else []
    objects += [(3, prefix.encode() + b"\0")]
    body = b""
    for kind, data in objects:
        padded = data + bytes(-len(data) % 4)
        body += struct.pack("<II", kind, 8 + len(padded)) + padded
    payload = KERNEL + struct.pack("<4sII", b"mimg", 12, 12 + len(body)) + body
    packed = lzma.compress(payload, format=lzma.FORMAT_RAW, filters=FILTERS)
    stub = bytearray(b"\x52" * 500 + bytes(12) + b"\xea" * 2848)
    struct.pack_into("<III", stub, 520, len(packed), len(payload), 0)
    image = stub + packed
    image += bytes(-len(image) % 512)
    count = len(image) // 512 - 1
    struct.pack_into("<QHH", image, 0x1F4, sector + 1, count, 0x820)
    struct.pack_into("<QHH", image, 0x1E8, 0, 0, 0)
    return bytes(image)
