"""Stream-optimized VMDKs: what is written is read again by what reads other people's."""

from __future__ import annotations

import errno
import io
import os
import struct
import tempfile
import threading
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import ConversionError
from converter.export import stream_vmdk
from converter.source import open_source
from converter.source.copy import CopyJob
from converter.source.reader import Reader, whole
from tests.unit.source.build import GRAIN, MIB, SECTOR, pattern, stored


def packed(path: Path) -> bytes:
    out = io.BytesIO()
    with Reader(whole(path)) as image:
        stream_vmdk.write(image, out, progress=lambda _: None)
    return out.getvalue()


def unpacked(directory: Path, data: bytes) -> bytes:
    [disk] = open_source([stored(directory, "a.vmdk", data)], work=directory).disks
    copy = CopyJob(disk, directory / "again", progress=lambda _: None)
    copy.start()
    copy.wait()
    return (directory / "again").read_bytes()


def marked(data: bytes) -> list[tuple[int, int, int]]:
    """Follow the markers from the first grain to the end: (value, size, type or -1 for a grain)."""
    found, place = [], 128 * SECTOR
    while place < len(data):
        value, size, kind = struct.unpack_from("<QII", data, place)
        if size:
            found.append((value, size, -1))
            place += -(-(12 + size) // SECTOR) * SECTOR
        else:
            found.append((value, size, kind))
            place += (1 + value) * SECTOR
    return found


class FullFile(io.BytesIO):
    """A file whose disk takes no more than the first piece."""

    def write(self, data: Any, /) -> int:
        if self.tell():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def test_nothing_goes_on_after_a_failure(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.raw", pattern(100 * GRAIN))
    before = threading.active_count()
    with Reader(whole(path)) as image, pytest.raises(OSError, match="No space") as caught:
        stream_vmdk.write(image, FullFile(), progress=lambda _: None)
    assert caught.traceback  # which keeps everything that the function had
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "length",
    [1, 512, 1000, GRAIN - 512, GRAIN, GRAIN + 512, 512 * GRAIN, 512 * GRAIN + 513],
)
def test_is_read_again(tmp_path: Path, length: int) -> None:
    data = pattern(length)
    again = unpacked(tmp_path, packed(stored(tmp_path, "a.raw", data)))
    assert again == data + bytes(-length % SECTOR)


@given(
    pieces=st.dictionaries(st.integers(0, 1300), st.integers(1, 3 * GRAIN), max_size=6),
    rest=st.integers(0, 2000),
)
def test_whatever_lies_where(pieces: dict[int, int], rest: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.raw")
        with path.open("wb") as file:
            for place, length in pieces.items():
                file.seek(place * GRAIN + place)
                file.write(pattern(length, seed=place))
            file.truncate(file.seek(0, 2) + rest + 1)
        expected = path.read_bytes()
        again = unpacked(Path(directory), packed(path))
    assert again == expected + bytes(-len(expected) % SECTOR)


def test_is_laid_out_as_the_specification_has_it(tmp_path: Path) -> None:
    """Grains, their table, and so on; then directory, footer, and the end of the stream."""
    path, far = stored(tmp_path, "a.raw", pattern(2 * GRAIN)), 3 * 512 * 128
    with path.open("r+b") as file:
        file.seek(3 * 512 * GRAIN)  # the third table from here on: the second is not there
        file.write(pattern(10))
    data = packed(path)
    kinds = [(value, kind) for value, _, kind in marked(data)]
    assert kinds == [
        (0, -1),
        (128, -1),
        (4, 1),
        (3 * 512 * 128, -1),
        (4, 1),
        (1, 2),
        (1, 3),
        (0, 0),
    ]
    magic, version, flags, capacity, grain = struct.unpack_from("<4sIIQQ", data)
    assert (magic, version, flags) == (b"KDMV", 3, 0x30001)
    assert (capacity, grain) == (far + 1, 128)
    directory = struct.unpack_from("<Q", data, 56)[0]
    assert directory == 0xFFFFFFFFFFFFFFFF
    footer = data[-2 * SECTOR : -SECTOR]
    place = struct.unpack_from("<Q", footer, 56)[0]
    assert footer[:56] + footer[64:] == data[:56] + data[64:SECTOR]
    first, second, third, fourth = struct.unpack_from("<4I", data, place * SECTOR)
    assert (second, third) == (0, 0)
    assert 128 < first < fourth
    table = struct.unpack_from("<512I", data, first * SECTOR)
    assert table[0] == 128
    assert not any(table[2:])
    assert data[-SECTOR:] == bytes(SECTOR)


def test_grains_are_what_zlib_makes_of_them(tmp_path: Path) -> None:
    data = packed(stored(tmp_path, "a.raw", pattern(GRAIN)))
    lba, size = struct.unpack_from("<QI", data, 128 * SECTOR)
    assert lba == 0
    assert zlib.decompress(data[128 * SECTOR + 12 :][:size]) == pattern(GRAIN)


def test_the_descriptor(tmp_path: Path) -> None:
    text = packed(stored(tmp_path, "a.raw", pattern(64 * MIB)))[SECTOR : 21 * SECTOR].rstrip(b"\0")
    lines = text.decode().splitlines()
    assert lines[0] == "# Disk DescriptorFile"
    assert 'createType="streamOptimized"' in lines
    assert 'RW 131072 SPARSE "call-me-stream.vmdk"' in lines
    assert 'ddb.geometry.cylinders = "8"' in lines


def test_zeros_take_no_room(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.raw", bytes(MIB))
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    assert len(packed(path)) < 200_000


def test_is_always_the_same(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.raw", pattern(5 * MIB))
    assert packed(path) == packed(path)


def test_progress_never_falls(tmp_path: Path) -> None:
    seen: list[float] = []
    with Reader(whole(stored(tmp_path, "a.raw", pattern(100 * MIB)))) as image:
        stream_vmdk.write(image, io.BytesIO(), progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) == 4
    assert 0 <= seen[0] <= seen[-1] <= 1


def test_more_than_the_format_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_vmdk, "_MOST_SECTORS", 200)
    with pytest.raises(ConversionError, match="2 TiB") as caught:
        packed(stored(tmp_path, "a.raw", pattern(MIB)))
    assert caught.value.code == "export-failed"
