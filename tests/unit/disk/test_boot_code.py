"""Boot sectors made field by field, after GRUB's and the other loaders' own layouts."""

from __future__ import annotations

import struct

import pytest

from converter.disk.boot_code import CHAIN, GRUB2, GRUB_LEGACY, LILO, identify, leads_to_loader
from converter.model import Partition
from tests.unit.disk.ntfs_samples import windows_code

SIZE = 1 << 20
ACTIVE = Partition(1, 64 * 512, 64 * 512, "83", active=True)
QUIET = Partition(1, 64 * 512, 64 * 512, "83")


def sector(*pieces: tuple[int, bytes], signed: bool = True) -> bytes:
    data = bytearray(512)
    for at, piece in pieces:
        data[at : at + len(piece)] = piece
    data[510:] = b"\x55\xaa" if signed else bytes(2)
    return bytes(data)


TEXTS = (0x180, b"GRUB \0Geom\0Hard Disk\0Read\0 Error\r\n\0")


def grub2(following: int) -> bytes:
    jump = (0, b"\xeb\x63\x90")
    return sector(jump, TEXTS, (0x5A, b"\x00\x80" + struct.pack("<Q", following)))


def core_image() -> bytes:
    start = sector((0, b"\x52\x56"), (0x1F4, struct.pack("<QH", 2, 50)))
    return start[:510] + b"\x20\x08"


def legacy(following: int) -> bytes:
    version = (0x3E, b"\x03\x02")
    return sector((0, b"\xeb\x48\x90"), TEXTS, version, (0x44, struct.pack("<I", following)))


WINDOWS = sector((0, b"\x33\xc0\x8e\xd0"), (0x163, b"Invalid partition table\0"))
PARTED = sector((0, b"\xfa\xb8\x00\x10\x8e\xd0\xbc\x00\xb0"))
OLD_CODE = b"\x05\0N\0T\0L\0D\0R\0\x04\0$\0I\x003\x000\0".ljust(512, b"\xcc")
NTFS = sector((0, b"\xeb\x52\x90NTFS    "), (0x54, b"\xfa\x33\xc0"))
EXTLINUX = sector((0, b"\xeb\x58\x90EXTLINUX"), (0x5A, b"\xfa\x66"))
SYSLINUX_FAT = sector((0, b"\xeb\x58\x90SYSLINUX"), (82, b"FAT32   "))


# What Windows (Vista and later) and mkfs.fat(8) format.
WINDOWS_FAT = sector(
    (0, b"\xeb\x58\x90MSDOS5.0"), (82, b"FAT32   "), (0x5A, b"\x33\xc9"), (0x170, b"BOOTMGR    ")
)
LINUX_FAT = sector((0, b"\xeb\x58\x90mkfs.fat"), (82, b"FAT32   "), (0x5A, b"\x0e\x1f"))


def disk(**sectors: bytes) -> bytes:
    data = bytearray(SIZE)
    for name, content in sectors.items():
        at = int(name.removeprefix("s")) * 512
        data[at : at + len(content)] = content
    return bytes(data)


def leads(data: bytes, *partitions: Partition) -> bool:
    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return data[offset : offset + length]

    return leads_to_loader(read, data[:512], size=len(data), partitions=partitions)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (grub2(1), GRUB2),
        (legacy(1), GRUB_LEGACY),
        (sector((0, b"\xfa\xeb\x21\x01\xb4\x01LILO")), LILO),
        (WINDOWS, CHAIN),
        (PARTED, CHAIN),
        (EXTLINUX, CHAIN),
        (SYSLINUX_FAT, CHAIN),
        (NTFS, ""),
        (sector(), ""),
        (sector((0, b"\xeb\x63\x90"), signed=False), ""),
        (bytes(512), ""),
    ],
)
def test_whose_code_it_is(data: bytes, expected: str) -> None:
    assert identify(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        disk(s0=grub2(1), s1=core_image()),
        disk(s0=grub2(2000), s2000=core_image()),
        disk(s0=legacy(1), s1=b"stage1.5".ljust(512, b"\1")),
        disk(s0=sector((0, b"\xfa\xeb\x21\x01\xb4\x01LILO"))),
    ],
)
def test_a_loader_in_the_first_sector_needs_no_active_partition(data: bytes) -> None:
    assert leads(data)
    assert leads(data, QUIET)


@pytest.mark.parametrize(
    "data",
    [
        disk(s0=grub2(1)),
        disk(s0=grub2(1), s1=b"\1" * 512),
        disk(s0=grub2(0)),
        disk(s0=grub2(1 << 40)),
        disk(s0=grub2((1 << 64) - 1)),
        disk(s0=legacy(1)),
        disk(s0=legacy(0)),
        disk(s0=sector()),
    ],
)
def test_one_whose_next_stage_is_gone_does_not_start(data: bytes) -> None:
    assert not leads(data, ACTIVE)


@pytest.mark.parametrize("first", [WINDOWS, PARTED])
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (grub2(65), True),
        (legacy(66), False),
        (EXTLINUX, True),
        (SYSLINUX_FAT, True),
        (WINDOWS_FAT, True),
        (WINDOWS_FAT[:510] + bytes(2), False),
        (WINDOWS_FAT.replace(b"BOOTMGR", b"NTLDR  "), True),
        (LINUX_FAT, False),
        (NTFS, False),
        (NTFS + windows_code(), True),
        (NTFS + OLD_CODE, True),
        (NTFS[:510] + bytes(2) + windows_code(), False),
        (bytes(512) + windows_code(), False),
        (bytes(512), False),
        (sector(), False),
    ],
)
def test_other_code_starts_the_active_partition(
    first: bytes, record: bytes, *, expected: bool
) -> None:
    data = disk(s0=first, s65=core_image(), s64=record)
    assert leads(data, ACTIVE) is expected
    assert not leads(data, QUIET)
    assert not leads(data)


def test_an_active_partition_beyond_the_disk_is_not_read() -> None:
    assert not leads(disk(s0=WINDOWS), Partition(1, SIZE, 512, "83", active=True))
