"""Boot sectors of NTFS after its published layout, and damaged ones."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.disk.ntfs_boot import (
    BootSector,
    parse,
    starts_old_windows,
    starts_windows,
    with_hidden_sectors,
)
from converter.formats import FormatError
from converter.model import Partition
from tests.unit.disk.ntfs_samples import SERIAL, boot_sector, format_ntfs, put, windows_code

PART = Partition(1, 64 * 512, 64 * 512, "07")
LAST = PART.start + PART.size - 512
SIZE = 256 * 512


def written(data: bytearray, part: Partition = PART) -> list[int]:
    """Give where something was to be written; it is written then."""

    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return bytes(data[offset : offset + length])

    pieces = with_hidden_sectors(read, part)
    for offset, piece in pieces:
        assert len(piece) == 512
        put(data, offset, piece)
    return [offset for offset, _ in pieces]


def test_the_fields() -> None:
    assert parse(boot_sector(1000, hidden=2048)) == BootSector(2048, 1000, SERIAL)


@pytest.mark.parametrize(
    ("sector", "why"),
    [
        (bytes(512), "55 AA"),
        (boot_sector(9)[:511], "55 AA"),
        (boot_sector(9)[:3] + b"EXFAT   " + boot_sector(9)[11:], "NTFS"),
        (boot_sector(9, size=4096), "4096"),
        (boot_sector(0), "no sectors"),
    ],
)
def test_what_is_none_is_refused(sector: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why):
        parse(sector)


def test_only_windows_own_code_starts_it() -> None:
    assert starts_windows(boot_sector(9) + windows_code())
    assert not starts_windows(boot_sector(9) + bytes(512))
    assert not starts_windows(bytes(512) + windows_code())
    assert not starts_windows(boot_sector(9))
    assert not starts_windows(b"")
    old = b"\x05\0N\0T\0L\0D\0R\0\x04\0$\0I\x003\x000\0"
    assert starts_old_windows(boot_sector(9) + old)
    assert not starts_windows(boot_sector(9) + old)
    assert not starts_old_windows(boot_sector(9) + windows_code())


def test_both_copies_learn_where_they_are_and_nothing_else_changes() -> None:
    data = bytearray(SIZE)
    format_ntfs(data, PART, hidden=7)
    before = bytes(data)
    assert written(data) == [PART.start, LAST]
    for at in (PART.start, LAST):
        assert data[at + 0x1C : at + 0x20] == struct.pack("<I", 64)
        put(data, at + 0x1C, struct.pack("<I", 7))
    assert data == before


def test_what_is_right_is_not_written() -> None:
    data = bytearray(SIZE)
    format_ntfs(data, PART, hidden=64)
    assert written(data) == []


@pytest.mark.parametrize(
    "other", [bytes(512), b"\xff" * 512, boot_sector(63, serial=1), boot_sector(62), b"FILE" * 128]
)
def test_a_last_sector_that_is_no_copy_stays(other: bytes) -> None:
    data = bytearray(SIZE)
    format_ntfs(data, PART)
    put(data, LAST, other)
    assert written(data) == [PART.start]
    assert data[LAST : LAST + 512] == other


def test_a_volume_that_fills_its_partition_has_no_copy_in_it() -> None:
    data = bytearray(SIZE)
    put(data, PART.start, boot_sector(64))
    put(data, LAST, boot_sector(64))
    assert written(data) == [PART.start]


def test_a_volume_larger_than_its_partition_is_refused() -> None:
    data = bytearray(SIZE)
    put(data, PART.start, boot_sector(65))
    with pytest.raises(FormatError, match="65 sectors"):
        written(data)


def test_a_volume_beyond_2_tib_is_refused() -> None:
    far = Partition(1, (1 << 32) * 512, 64 * 512, "07")
    with pytest.raises(FormatError, match="cannot tell"):
        with_hidden_sectors(lambda _, length: boot_sector(63)[:length], far)


@given(st.binary(max_size=1100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    starts_windows(data)
    try:
        parse(data)
    except FormatError:
        return
