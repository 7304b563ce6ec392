"""What lies on a device, by marks written where their specifications have them."""

from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats.signatures import encryption, identify

SIZE = 4 << 20
TO_GO = uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
BOOT = (510, b"\x55\xaa")
Pieces = tuple[tuple[int, bytes], ...]


def device(*pieces: tuple[int, bytes], size: int = SIZE) -> bytes:
    data = bytearray(size)
    for at, piece in pieces:
        data[at : at + len(piece)] = piece
    return bytes(data)


def kind(data: bytes) -> str:
    def read(offset: int, length: int) -> bytes:
        assert offset >= 0
        return data[offset : offset + length]

    return identify(read, len(data))


def core_storage(version: int = 1, method: int = 2) -> Pieces:
    return (8, struct.pack("<H", version)), (88, b"CS"), (172, struct.pack("<I", method))


def apfs(keys: int = 77, flags: int = 4) -> Pieces:
    return (32, b"NXSB"), (1264, struct.pack("<Q", flags)), (1296, struct.pack("<QQ", keys, 1))


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (((0, b"LUKS\xba\xbe\0\1"),), "crypto_LUKS"),
        (((0, b"LUKS\xba\xbe\0\2"),), "crypto_LUKS"),
        (((0, b"LUKS\xba\xbe\0\3"),), ""),
        # An array's member, and an ESP, made over it.
        (((0, b"LUKS\xba\xbe\0\1"), (4096, b"\xfc\x4e\x2b\xa9")), "linux_raid_member"),
        (((82, b"FAT32   "), (4096, b"\xfc\x4e\x2b\xa9")), "vfat"),
        (((16384, b"SKUL\xba\xbe\0\2"),), ""),  # the second header of a LUKS2 that was wiped
        (((0, b"\xeb\x52\x90-FVE-FS-"), BOOT), "BitLocker"),  # Vista
        (((0, b"\xeb\x58\x90-FVE-FS-"), (160, TO_GO), BOOT), "BitLocker"),
        (((0, b"\xeb\x58\x90MSWIN4.1"), (424, TO_GO), BOOT), "BitLocker"),  # To Go
        (((0, b"\xeb\x58\x90MSWIN4.1"), (82, b"FAT32   "), BOOT), "vfat"),
        (((0, b"\xeb\x58\x90mkfs.fat"), (424, TO_GO), BOOT), "vfat"),
        (core_storage(), "FileVault"),
        (core_storage(method=0), ""),
        (core_storage(version=2), ""),
        (apfs(), "FileVault"),
        (apfs(keys=0), ""),
        (apfs(flags=0), ""),  # there are such, and nobody knows why
        (((3, b"NTFS    "), BOOT), "ntfs"),
        (((3, b"EXFAT   "), BOOT), "exfat"),
        (((0, b"XFSB"),), "xfs"),
        (((1080, b"\x53\xef"),), "ext4"),
        ((BOOT, (1080, b"\x53\xef")), "ext4"),  # with extlinux
        ((((64 << 10) + 64, b"_BHRfS_M"),), "btrfs"),
        (((32 << 10, b"JFS1"),), "jfs"),
        (((512, b"LABELONE"),), "LVM2_member"),
        (((0, b"\xfc\x4e\x2b\xa9"),), "linux_raid_member"),
        (((4096, b"\xfc\x4e\x2b\xa9"),), "linux_raid_member"),
        (((4086, b"SWAPSPACE2"),), "swap"),
        (((54, b"FAT16   "),), "vfat"),
        (((82, b"FAT32   "), ((64 << 10) + 64, b"_BHRfS_M")), "vfat"),  # made over a Btrfs
        (((0, b"\xeb\x3c\x90"), BOOT), "vfat"),  # it may be
        ((BOOT,), ""),
        ((), ""),
    ],
)
def test_what_is_there(pieces: Pieces, expected: str) -> None:
    assert kind(device(*pieces)) == expected


@pytest.mark.parametrize("size", [SIZE, SIZE + 512, SIZE + 65536 - 512, 5_000_192])
def test_members_of_arrays_whose_mark_is_at_the_end(size: int) -> None:
    # As md(4) and mdadm count: 1.0 is 8 to 12 KiB before the end, 0.90 64 to 128 KiB.
    newer = (size // 512 - 16) // 8 * 8 * 512
    older = size // 65536 * 65536 - 65536
    for place in (newer, older):
        assert kind(device((place, b"\xfc\x4e\x2b\xa9"), size=size)) == "linux_raid_member"


def test_what_a_mirror_holds_is_told_first() -> None:
    end = (SIZE - 8192, b"\xfc\x4e\x2b\xa9")
    assert kind(device((0, b"LUKS\xba\xbe\0\1"), end)) == "crypto_LUKS"
    assert kind(device((54, b"FAT16   "), end)) == "vfat"


@given(st.binary(max_size=3000))
def test_any_bytes_and_any_length(data: bytes) -> None:
    kind(data)
    encryption(lambda offset, length: data[offset : offset + length])
