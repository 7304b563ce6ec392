"""What is written is what is read: the reader has tests of its own against other tools."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.disk.table import BackupOnlyError, read_table
from converter.disk.writing import GPT_SECTORS, Piece, gpt, mbr
from converter.model import Disk, Partition, TableType

SIZE = 8 << 20
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
DISK = "11111111-2222-3333-4444-555555555555"


def read(pieces: tuple[Piece, ...], size: int = SIZE) -> Disk:
    data = bytearray(size)
    for offset, content in pieces:
        data[offset : offset + len(content)] = content
    assert len(data) == size
    return read_table(lambda at, n: bytes(data[at : at + n]), device="/dev/sda", size=size)


def partition(number: int, start: int, sectors: int, *, active: bool = False) -> Partition:
    unique = str(uuid.UUID(int=number))
    return Partition(number, start * 512, sectors * 512, LINUX, f"name {number}", unique, active)


def test_a_gpt_with_gaps_in_its_numbers() -> None:
    parts = (partition(1, 2048, 100), partition(14, 34, 1000, active=True))
    disk = read(gpt(parts, identifier=DISK, size=SIZE, boot_code=b"\xeb" * 440))
    assert (disk.table, disk.identifier, disk.partitions) == (TableType.GPT, DISK, parts)


@pytest.mark.parametrize("damaged", [512, 1024, SIZE - 512, SIZE - 33 * 512])
def test_both_copies_of_a_gpt_are_sound(damaged: int) -> None:
    parts = (partition(1, 2048, 100),)
    pieces = (*gpt(parts, identifier=DISK, size=SIZE, boot_code=b""), (damaged, b"\xff" * 512))
    if damaged < SIZE // 2:
        with pytest.raises(BackupOnlyError):
            read(pieces)
    else:
        assert read(pieces).partitions == parts


def test_an_mbr() -> None:
    parts = (
        Partition(1, 2048 * 512, 100 * 512, "83", "", "deadbeef-01", active=True),
        Partition(3, 4096 * 512, 100 * 512, "ef", "", "deadbeef-03"),
    )
    code = bytes(range(1, 220)) * 3
    sector = mbr(parts, signature=0xDEADBEEF, boot_code=code)
    assert len(sector) == 512
    assert sector[:440] == code[:440]
    disk = read(((0, sector),))
    assert (disk.table, disk.identifier, disk.partitions) == (TableType.MBR, "deadbeef", parts)


@given(
    st.dictionaries(st.integers(1, 128), st.text(max_size=40), min_size=1, max_size=12),
    st.binary(max_size=500),
)
def test_any_names_and_numbers(names: dict[int, str], code: bytes) -> None:
    parts = []
    for index, (number, name) in enumerate(sorted(names.items())):
        clean = name.encode("utf-16-le", "replace").decode("utf-16-le").partition("\0")[0][:30]
        whole = clean.encode("utf-16-le")[:72].decode("utf-16-le", "ignore")
        parts.append(
            Partition(number, (64 + index) * 512, 512, LINUX, whole, str(uuid.UUID(int=number)))
        )
    pieces = gpt(parts, identifier=DISK, size=SIZE, boot_code=code)
    assert read(pieces).partitions == tuple(parts)
    assert [len(data) for _, data in pieces] == [GPT_SECTORS * 512, GPT_SECTORS * 512, 512]
    first = pieces[-1][1]
    assert first[:440] == code[:440].ljust(440, b"\0")
