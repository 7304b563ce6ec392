"""Checksums of damaged files put right: what a hostile author would do, and chance does not."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import TYPE_CHECKING, Final

from converter.source.crc32c import crc32c
from tests.unit.windows_samples import seal_sum

if TYPE_CHECKING:
    from tests.fuzz.layout import Layout

_CRC_BITS: Final = 32


def tar(data: bytes) -> bytes:
    """Put right the sum of every block that is a header, or was one."""
    repaired = bytearray(data)
    for at in range(0, len(data) - 511, 512):
        if data[at + 257 : at + 262] == b"ustar":
            block = data[at : at + 512]
            total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
            repaired[at + 148 : at + 156] = b"%06o\0 " % total
    return bytes(repaired)


def hive(data: bytes) -> bytes:
    """Put right the checksum of the base block."""
    repaired = bytearray(data)
    if len(data) >= 512:
        seal_sum(repaired)
    return bytes(repaired)


def _summed(block: bytes, at: int) -> bytes:
    total = ~(sum(block) - sum(block[at : at + 4])) & 0xFFFFFFFF
    return block[:at] + struct.pack(">I", total) + block[at + 4 :]


def vhd(layout: Layout, data: bytes) -> bytes:
    """Put right the sums of the footer, of its copy, and of the header."""
    end = layout.length(data) - 512
    for at, length, field in ((0, 512, 64), (512, 1024, 36), (end, 512, 64)):
        block = layout.read(data, at, length) if at >= 0 else b""
        if block.startswith((b"conectix", b"cxsparse")) and len(block) == length:
            data = layout.replaced(data, at, _summed(block, field))
    return data


def vhdx(layout: Layout, data: bytes) -> bytes:
    """Put right the CRCs of the headers and of the region tables."""
    for at, length in ((64, 4096), (128, 4096), (192, 65536), (256, 65536)):
        block = layout.read(data, at << 10, length)
        if len(block) == length:
            crc = quick_crc32c(block[:4] + bytes(4) + block[8:])
            data = layout.replaced(data, (at << 10) + 4, struct.pack("<I", crc))
    return data


def gpt(layout: Layout, data: bytes) -> bytes:
    """Put right the CRCs of the tables and of their headers."""
    for at in (512, layout.size - 512):
        header = layout.read(data, at, 512)
        if len(header) < 512 or not header.startswith(b"EFI PART"):
            continue
        (length,) = struct.unpack_from("<I", header, 12)
        place, count, size = struct.unpack_from("<QII", header, 72)
        if place < 1 << 32 and count * size <= 1 << 20 and 92 <= length <= 512:
            table = layout.read(data, place * 512, count * size)
            header = header[:88] + struct.pack("<I", zlib.crc32(table)) + header[92:]
            crc = zlib.crc32(header[:16] + bytes(4) + header[20:length])
            header = header[:16] + struct.pack("<I", crc) + header[20:]
            data = layout.replaced(data, at, header)
    return data


# --- CRC-32C of blocks that are mostly zero -------------------------------------------------------


def quick_crc32c(data: bytes) -> int:
    """Give what the converter's `crc32c` gives; zeros at the end take no time.

    What they do to the state of the sum is linear (Mark Adler's `crc32_combine`).
    """
    start = data.rstrip(b"\0")
    state = crc32c(start) ^ 0xFFFFFFFF
    zeros, power = len(data) - len(start), 0
    while zeros >> power:
        if zeros >> power & 1:
            state = _applied(_after_zeros(power), state)
        power += 1
    return state ^ 0xFFFFFFFF


def _applied(matrix: tuple[int, ...], state: int) -> int:
    result = 0
    for bit in range(_CRC_BITS):
        if state >> bit & 1:
            result ^= matrix[bit]
    return result


@cache
def _after_zeros(power: int) -> tuple[int, ...]:
    """Give what becomes of each bit of the state after `2 ** power` zeros."""
    if power:
        half = _after_zeros(power - 1)
        return tuple(_applied(half, row) for row in half)
    # One zero byte: of the empty sum and that of a byte, the states differ by the byte alone.
    none = crc32c(b"\0") ^ 0xFFFFFFFF
    # The state is all ones at the start; `bit` of it is turned by the input in the low byte.
    return tuple(
        crc32c(bytes([1 << bit])) ^ 0xFFFFFFFF ^ none if bit < 8 else 1 << (bit - 8)
        for bit in range(_CRC_BITS)
    )
