from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.handoff.checksum import BLOCK, METHOD, disk_checksum

if TYPE_CHECKING:
    from collections.abc import Sequence

# Where something is written, and what: around the edges of blocks, zeros too.
EDGES = [0, 1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 2, 5 * BLOCK]
writes = st.lists(st.tuples(st.sampled_from(EDGES), st.sampled_from([b"\0", b"x", b"yz" * 3000])))
sizes = st.sampled_from([0, 1, 512, BLOCK - 1, BLOCK, BLOCK + 512, 6 * BLOCK, 6 * BLOCK + 7])


def by_definition(data: bytes) -> str:
    """Compute the checksum as its documentation has it, with nothing of the implementation."""
    whole = b""
    for number in range(-(-len(data) // 524288)):
        block = data[number * 524288 : (number + 1) * 524288].ljust(524288, b"\0")
        if any(block):
            whole += number.to_bytes(8, "big") + hashlib.sha256(block).digest()
    return hashlib.sha256(whole + len(data).to_bytes(8, "big")).hexdigest()


def make(path: Path, size: int, pieces: Sequence[tuple[int, bytes]]) -> bytes:
    """Write `pieces` into a sparse file and give what it holds."""
    with path.open("wb") as file:
        for offset, piece in pieces:
            file.seek(offset)
            file.write(piece)
        file.truncate(size)
    return path.read_bytes()


@given(size=sizes, pieces=writes)
def test_is_what_its_definition_says(size: int, pieces: list[tuple[int, bytes]]) -> None:
    with TemporaryDirectory() as directory:
        sparse, dense = Path(directory, "sparse"), Path(directory, "dense")
        data = make(sparse, size, pieces)
        dense.write_bytes(data)
        expected = by_definition(data)
        assert disk_checksum(sparse).value == expected
        assert disk_checksum(dense).value == expected
        assert disk_checksum(sparse).method == METHOD


@pytest.mark.parametrize("offset", [0, 7, BLOCK - 1, BLOCK, 2 * BLOCK + 511])
def test_sees_every_flipped_bit(tmp_path: Path, offset: int) -> None:
    path = tmp_path / "disk"
    data = bytearray(make(path, 2 * BLOCK + 512, [(0, b"x"), (BLOCK, b"x" * BLOCK)]))
    before = disk_checksum(path)
    data[offset] ^= 1
    path.write_bytes(data)
    assert disk_checksum(path) != before


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK + 1, 1 << 40])
def test_sees_another_size_even_of_nothing_but_zeros(tmp_path: Path, size: int) -> None:
    path = tmp_path / "disk"
    make(path, BLOCK, [])
    before = disk_checksum(path)
    os.truncate(path, size)
    assert disk_checksum(path) != before


def test_costs_what_the_data_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "disk"
    with path.open("wb") as file:
        for offset in (0, 1 << 39, (1 << 40) - 512):
            file.seek(offset)
            file.write(b"x" * 512)
    read: list[int] = []
    real = os.pread

    def pread(descriptor: int, length: int, offset: int) -> bytes:
        read.append(offset)
        return real(descriptor, length, offset)

    monkeypatch.setattr(os, "pread", pread)
    disk_checksum(path)
    assert len(read) < 10


def test_does_not_need_a_map_of_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = make(tmp_path / "disk", 3 * BLOCK, [(BLOCK, b"x")])

    def lseek(*_: int) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "lseek", lseek)
    assert disk_checksum(tmp_path / "disk").value == by_definition(data)


def test_does_not_take_a_short_read_for_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make(tmp_path / "disk", BLOCK, [(0, b"x" * BLOCK)])
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, length, at: real(fd, min(length, 200000), at))
    assert disk_checksum(tmp_path / "disk").value == by_definition(data)
