"""Disks whose tables are real bytes, of which only the sectors that hold something are kept.

The layout follows partitioners: the first partition at 1 MiB, each at a multiple of 1 MiB, logical
partitions after their own record. Boot code is GRUB's, as far as `converter.disk` looks at it.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass, field

SECTOR = 512
MIB = 1 << 20
TYPES = {
    "linux": ("83", "0fc63daf-8483-4772-8e79-3d69d8477de4"),
    "swap": ("82", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"),
    "lvm": ("8e", "e6d6d379-f507-44c2-a23c-238f2a3df928"),
    "raid": ("fd", "a19d880f-05fc-4d3b-a006-743f0f84911e"),
    "esp": ("ef", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"),
    "bios": ("", "21686148-6449-6e6f-744e-656564454649"),
    "prep": ("41", "9e1a2d38-c612-4316-aa26-8b49521e5a8b"),
    "root": ("", "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
    "extended": ("05", ""),
    "windows": ("07", "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"),
    "msr": ("", "e3c9e316-0b5c-4db8-817d-f92df00215ae"),
    "recovery": ("27", "de94bba4-06d1-4d40-a16a-bfd50179d6ac"),
}
_UNITS = {"M": MIB, "G": 1 << 30, "T": 1 << 40}


def size_of(text: str) -> int:
    """Give the bytes of a size like 512M."""
    return int(text[:-1]) * _UNITS[text[-1]]


@dataclass(frozen=True)
class Part:
    """A partition to make: where it is, in bytes, and what the table says of it."""

    number: int
    start: int
    size: int
    type: str
    uuid: str
    name: str = ""
    active: bool = False


@dataclass
class SparseDisk:
    """A disk of which all but a few sectors are zero; `parts` are what it was made with."""

    size: int
    sectors: dict[int, bytes] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)

    def put(self, offset: int, data: bytes) -> None:
        while data:
            number, at = divmod(offset, SECTOR)
            piece = data[: SECTOR - at]
            old = self.sectors.get(number, bytes(SECTOR))
            self.sectors[number] = old[:at] + piece + old[at + len(piece) :]
            offset, data = offset + len(piece), data[len(piece) :]

    def read(self, offset: int, length: int) -> bytes:
        first, last = offset // SECTOR, (offset + length - 1) // SECTOR
        whole = b"".join(self.sectors.get(n, bytes(SECTOR)) for n in range(first, last + 1))
        return whole[offset - first * SECTOR :][:length]


def make_disk(*, table: str, size: int, signature: int, parts: list[Part], boot: str) -> SparseDisk:
    """Make a disk with a table ("mbr", "gpt" or "") and boot code.

    That is of "grub2" or "grub" (GRUB legacy); after "active-", it is in the active partition, and
    generic code in the MBR leads there; "" is none, so that "active-" has generic code alone.
    """
    disk = SparseDisk(size, parts=parts)
    if boot.startswith("active-"):
        disk.put(0, b"\x33\xc0\x8e\xd0")
        disk.put(0x163, b"Invalid partition table\0")
        start = next(part.start for part in parts if part.active) // SECTOR
        _put_boot_code(disk, boot.removeprefix("active-"), first=start, at=start + 2)
    else:
        _put_boot_code(disk, boot, first=0, at=_embedding(table, parts))
    if table:
        disk.put(440, struct.pack("<I", signature & 0xFFFFFFFF))
        disk.put(510, b"\x55\xaa")
    if table == "mbr":
        _put_mbr(disk, parts)
    elif table == "gpt":
        _put_gpt(disk, signature, parts)
    return disk


def _embedding(table: str, parts: list[Part]) -> int:
    """Give the sector that GRUB's second stage is in: after the MBR, or in a partition for it."""
    bios = [part for part in parts if part.type == TYPES["bios"][1]]
    return bios[0].start // SECTOR if table == "gpt" and bios else 1


def _put_boot_code(disk: SparseDisk, boot: str, *, first: int, at: int) -> None:
    """Put GRUB's first stage into the sector `first`, and the start of its next into `at`."""
    if not boot:
        return
    base = first * SECTOR
    disk.put(base, b"\xeb\x63\x90" if boot == "grub2" else b"\xeb\x48\x90")
    disk.put(base + 0x180, b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0")
    disk.put(base + 510, b"\x55\xaa")
    if boot == "grub2":
        disk.put(base + 0x5A, b"\x00\x80" + struct.pack("<Q", at))
        disk.put(at * SECTOR, b"\x52\x56")
        disk.put(at * SECTOR + 0x1F4, struct.pack("<QHH", at + 1, 50, 0x820))
    else:
        disk.put(base + 0x3E, b"\x03\x02")
        disk.put(base + 0x44, struct.pack("<I", at))
        disk.put(at * SECTOR, b"\xea\x70\x22")


def _entry(part: Part, start: int) -> bytes:
    flag = 0x80 if part.active else 0
    sectors = part.size // SECTOR
    return struct.pack("<BxxxBxxxII", flag, int(part.type, 16), start // SECTOR, sectors)


def _put_mbr(disk: SparseDisk, parts: list[Part]) -> None:
    for part in parts:
        if part.number <= 4:
            disk.put(446 + 16 * (part.number - 1), _entry(part, part.start))
    extended = next((part for part in parts if part.type == TYPES["extended"][0]), None)
    logical = [part for part in parts if part.number > 4]
    if extended is None or not logical:
        return
    records = [extended.start, *(part.start - MIB for part in logical[1:])]
    for at, part, following in zip(records, logical, [*records[1:], 0], strict=True):
        disk.put(at + 446, _entry(part, part.start - at))
        disk.put(at + 510, b"\x55\xaa")
        if following:
            link = Part(0, following, part.size + MIB, extended.type, "")
            disk.put(at + 462, _entry(link, following - extended.start))


def _put_gpt(disk: SparseDisk, signature: int, parts: list[Part]) -> None:
    last = disk.size // SECTOR - 1
    disk.put(446, struct.pack("<BxxxBxxxII", 0, 0xEE, 1, min(last, 0xFFFFFFFF)))
    entries = [bytes(128)] * 128
    for part in parts:
        entries[part.number - 1] = struct.pack(
            "<16s16sQQQ72s",
            uuid.UUID(part.type).bytes_le,
            uuid.UUID(part.uuid).bytes_le,
            part.start // SECTOR,
            (part.start + part.size) // SECTOR - 1,
            4 if part.active else 0,
            part.name.encode("utf-16-le"),
        )
    table = b"".join(entries)
    for own, other, at in ((1, last, 2), (last, 1, last - 32)):
        disk.put(at * SECTOR, table)
        disk.put(own * SECTOR, _header(own, other, at, table, last, signature))


def _header(own: int, other: int, at: int, table: bytes, last: int, signature: int) -> bytes:  # noqa: PLR0917 - the fields in their order
    def packed(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART", 0x10000, 92, crc, 0, own, other, 34, last - 33,
            uuid.UUID(int=signature).bytes_le, at, 128, 128, zlib.crc32(table),
        )  # fmt: skip

    return packed(zlib.crc32(packed(0)))
