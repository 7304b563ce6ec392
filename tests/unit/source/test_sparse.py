from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.source import sparse

if TYPE_CHECKING:
    from pathlib import Path

GRAIN = 64 << 10
pieces = st.lists(st.sampled_from([bytes(GRAIN), b"x" * GRAIN, bytes(GRAIN - 1) + b"y", b"z"]))


@given(pieces)
def test_what_is_written_reads_back(
    tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("sparse") / "file"
    data = b"".join(parts)
    with path.open("w+b", buffering=0) as file:
        file.truncate(7 + len(data))
        sparse.write(file.fileno(), data, 7)
    assert path.read_bytes() == bytes(7) + data


def test_zeros_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(64 * GRAIN)
        sparse.write(file.fileno(), bytes(20 * GRAIN) + b"x" * GRAIN + bytes(20 * GRAIN), 0)
    assert path.stat().st_blocks * 512 <= 2 * GRAIN


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 20) + 1])
def test_is_zero(length: int) -> None:
    assert sparse.is_zero(bytes(length))
    assert not sparse.is_zero(bytes(length) + b"x")
