"""Disks read as the guest sees them: every format against the bytes that it was made of."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converter.errors import DamagedInputError
from converter.source.blocks import VirtualDisk
from tests.unit.source.build import (
    GRAIN,
    MIB,
    descriptor,
    dynamic_vhd,
    fixed_vhd,
    pattern,
    qcow2,
    sparse_vmdk,
    stored,
    stream_vmdk,
    vdi,
    vhdx,
)
from tests.unit.source.opening import open_one

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from converter.model import SourceDisk

    Make = Callable[[Mapping[int, bytes], int], bytes]

CLUSTER = 65536
DEFLATED, ZSTD, EXTENDED = 1 << 62, 8, 16


def _stream(blocks: Mapping[int, bytes], size: int) -> bytes:
    return stream_vmdk({n: b.ljust(GRAIN, b"\0") for n, b in blocks.items()}, size // 512)


def _sparse(blocks: Mapping[int, bytes], size: int) -> bytes:
    return sparse_vmdk({n: b.ljust(GRAIN, b"\0") for n, b in blocks.items()}, size // 512)


def _extended(blocks: Mapping[int, bytes], size: int) -> bytes:
    return qcow2(blocks, size, features=EXTENDED)


# The ending, how it is made of blocks by their numbers, and the size of those.
FORMATS: dict[str, tuple[str, Make, int]] = {
    "stream": ("vmdk", _stream, GRAIN),
    "sparse": ("vmdk", _sparse, GRAIN),
    "vhd": ("vhd", lambda blocks, size: dynamic_vhd(blocks, size, block=CLUSTER), CLUSTER),
    "vhdx": ("vhdx", vhdx, MIB),
    "qcow2": ("qcow2", qcow2, CLUSTER),
    "qcow2-extended": ("qcow2", _extended, CLUSTER),
    "vdi": ("vdi", vdi, MIB),
}


def read(disk: SourceDisk, offset: int = 0, length: int | None = None) -> bytes:
    with VirtualDisk(disk) as opened:
        return opened.read(offset, opened.size - offset if length is None else length)


@pytest.mark.parametrize("name", FORMATS)
def test_what_is_not_stored_is_zero(name: str, tmp_path: Path) -> None:
    ending, make, block = FORMATS[name]
    stored_blocks = {0: pattern(block), 2: pattern(block, seed=2), 4: pattern(512, seed=3)}
    size = 4 * block + 512
    data = b"".join(stored_blocks.get(number, b"").ljust(block, b"\0") for number in range(5))
    disk = open_one(stored(tmp_path, f"a.{ending}", make(stored_blocks, size)))
    assert read(disk) == data[:size]


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("vhdx", "vdi")])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    numbers=st.sets(st.integers(0, 5)),
    sectors=st.integers(1, 64),
    piece=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_any_piece_of_any_disk(
    name: str, numbers: set[int], sectors: int, piece: tuple[float, float], tmp_path: Path
) -> None:
    ending, make, block = FORMATS[name]
    blocks = {number: pattern(block, seed=number + 1) for number in numbers}
    size = 5 * block + sectors * 512
    data = b"".join(blocks.get(number, bytes(block)) for number in range(6))[:size]
    disk = open_one(stored(tmp_path, f"a.{ending}", make(blocks, size)))
    offset = int(piece[0] * size)
    length = int(piece[1] * (size - offset))
    assert read(disk, offset, length) == data[offset : offset + length]


def test_a_raw_file_of_no_whole_sectors_ends_in_zeros(tmp_path: Path) -> None:
    disk = open_one(stored(tmp_path, "a.img", pattern(1000)))
    assert read(disk) == pattern(1000) + bytes(24)
    assert read(disk, 990, 20) == pattern(1000)[990:] + bytes(10)
    assert read(disk, 1001, 23) == bytes(23)


def test_of_a_fixed_vhd_the_footer_is_no_part(tmp_path: Path) -> None:
    disk = open_one(stored(tmp_path, "a.vhd", fixed_vhd(pattern(MIB))))
    assert read(disk) == pattern(MIB)


def test_of_a_vdi_the_last_sector_is_whole(tmp_path: Path) -> None:
    """As QEMU shows it; VBoxManage makes such sizes."""
    disk = open_one(stored(tmp_path, "a.vdi", vdi({0: pattern(MIB)}, 1000)))
    assert read(disk) == pattern(MIB)[:1024]


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (0, 1025), (1024, 1), (2048, 0)])
def test_nothing_is_beyond_the_disk(tmp_path: Path, offset: int, length: int) -> None:
    disk = open_one(stored(tmp_path, "a.img", pattern(1024)))
    with pytest.raises(ValueError, match="not on a disk of 1024"):
        read(disk, offset, length)


def test_a_vhdx_with_entries_for_bitmaps_between_those_of_blocks(tmp_path: Path) -> None:
    # Of 256 MiB each: after every 16 blocks comes an entry that says nothing of the disk.
    data = vhdx({}, 20 * 256 * MIB, block=256 * MIB, table={16: 7 | 1 << 60, 17: 6 | 4 << 20})
    path = tmp_path / "a.vhdx"
    path.write_bytes(data.ljust(4 * MIB, b"\0") + b"behind it")
    with path.open("r+b") as file:
        file.truncate(260 * MIB)
    assert read(open_one(path), 16 * 256 * MIB - 2, 20) == b"\0\0behind it".ljust(20, b"\0")


def test_grains_that_are_marked_as_zeros(tmp_path: Path) -> None:
    data = sparse_vmdk({1: pattern(GRAIN)}, 256, places={0: 1}, flags=7)
    assert read(open_one(stored(tmp_path, "a.vmdk", data))) == bytes(GRAIN) + pattern(GRAIN)


def test_extents_of_every_kind(tmp_path: Path) -> None:
    stored(tmp_path, "one", b"?" * 512 + pattern(1024))
    stored(tmp_path, "two.vmdk", sparse_vmdk({1: pattern(GRAIN, seed=2)}, 256, text=""))
    lines = ['RW 2 FLAT "one" 1', "RW 0 ZERO", "RW 3 ZERO", 'RW 256 SPARSE "two.vmdk"']
    lines += ['RW 1 VMFS "one"']
    disk = open_one(stored(tmp_path, "a.vmdk", descriptor(lines, kind="custom").encode()))
    expected = pattern(1024) + bytes(1536 + GRAIN) + pattern(GRAIN, seed=2) + b"?" * 512
    assert read(disk) == expected
    for offset in range(0, len(expected) - 700, 700):  # one open extent after another, and back
        assert read(disk, offset, 700) == expected[offset : offset + 700]


class TestQcow2:
    """What an entry of an L2 table may say beside where a cluster is."""

    def disk(
        self, tmp_path: Path, data: bytes, table: dict[int, Any], features: int = 0
    ) -> SourceDisk:
        made = qcow2({0: data}, 4 * CLUSTER, table=table, features=features)
        return open_one(stored(tmp_path, "a.qcow2", made))

    def test_zeros_over_data(self, tmp_path: Path) -> None:
        table = {0: (5 * CLUSTER | 1,), 1: (5 * CLUSTER,)}
        disk = self.disk(tmp_path, pattern(CLUSTER), table)
        assert read(disk, 0, 2 * CLUSTER) == bytes(CLUSTER) + pattern(CLUSTER)

    def test_no_table(self, tmp_path: Path) -> None:
        made = qcow2({0: pattern(CLUSTER)}, 4 * CLUSTER, l1=[0])
        disk = open_one(stored(tmp_path, "a.qcow2", made))
        assert not any(read(disk))

    def test_subclusters(self, tmp_path: Path) -> None:
        table = {0: (5 * CLUSTER | 1 << 63, 0b101 | 0b10 << 32)}
        disk = self.disk(tmp_path, pattern(CLUSTER), table, features=EXTENDED)
        data = pattern(CLUSTER)
        expected = data[:2048] + bytes(2048) + data[4096:6144]
        assert read(disk, 0, CLUSTER) == expected.ljust(CLUSTER, b"\0")

    @pytest.mark.parametrize("kind", ["deflate", "zstd"])
    @pytest.mark.parametrize("start", [0, 100])
    def test_compressed_clusters(self, kind: str, start: int, tmp_path: Path) -> None:
        data = pattern(CLUSTER)
        packed = deflated(data) if kind == "deflate" else zstandard.compress(data)
        disk = self.packed(tmp_path, kind, packed, start=start)
        assert read(disk, CLUSTER - 10, 20) == bytes(10) + data[:10]
        assert read(disk) == bytes(CLUSTER) + data + bytes(2 * CLUSTER)

    @pytest.mark.parametrize("kind", ["deflate", "zstd"])
    @pytest.mark.parametrize("data", [b"", pattern(CLUSTER - 1), None])
    def test_of_another_length_or_none(self, kind: str, data: bytes | None, tmp_path: Path) -> None:
        pack = deflated if kind == "deflate" else zstandard.compress
        disk = self.packed(tmp_path, kind, b"\xff" * 3000 if data is None else pack(data))
        with pytest.raises(DamagedInputError) as caught:
            read(disk, CLUSTER, 1)
        assert caught.value.code == "qcow2-cluster"
        assert "a.qcow2" in caught.value.message

    def test_a_zstd_frame_need_not_say_its_size(self, tmp_path: Path) -> None:
        data = pattern(CLUSTER)
        packed = zstandard.ZstdCompressor(write_content_size=False).compress(data)
        assert read(self.packed(tmp_path, "zstd", packed), CLUSTER, CLUSTER) == data

    @pytest.mark.parametrize("is_told", [False, True])
    def test_a_zstd_frame_of_more_than_a_cluster(self, tmp_path: Path, *, is_told: bool) -> None:
        packer = zstandard.ZstdCompressor(write_content_size=is_told)
        disk = self.packed(tmp_path, "zstd", packer.compress(bytes(64 << 20)))
        with pytest.raises(DamagedInputError) as caught:
            read(disk, CLUSTER, 1)
        assert caught.value.code == "qcow2-cluster"

    def packed(self, tmp_path: Path, kind: str, packed: bytes, *, start: int = 0) -> SourceDisk:
        """Make a disk whose second cluster is compressed, amid what belongs to others."""
        place = 5 * CLUSTER + start
        sectors = (start + len(packed)) // 512
        data = b"x" * start + packed + b"x" * 512
        table = {0: (0,), 1: (DEFLATED | sectors << 54 | place,)}
        if kind == "deflate":
            return self.disk(tmp_path, data, table)
        made = bytearray(qcow2({0: data}, 4 * CLUSTER, table=table, features=ZSTD))
        made[100:105] = struct.pack(">IB", 112, 1)
        return open_one(stored(tmp_path, "a.qcow2", bytes(made)))


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-12)
    return packer.compress(data) + packer.flush()


def test_a_grain_that_does_not_unpack_is_damage(tmp_path: Path) -> None:
    made = stream_vmdk({}, 128, raw_grains={0: struct.pack("<QI", 0, 4).ljust(512, b"x")})
    disk = open_one(stored(tmp_path, "a.vmdk", made))
    with pytest.raises(DamagedInputError) as caught:
        read(disk, 0, 1)
    assert caught.value.code == "vmdk-grain-length"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_that_was_cut_off_since_is_damage(name: str, tmp_path: Path) -> None:
    ending, make, block = FORMATS[name]
    path = stored(tmp_path, f"a.{ending}", make({1: pattern(block)}, 2 * block))
    disk = open_one(path)
    with VirtualDisk(disk) as opened, path.open("r+b") as file:
        file.truncate(16)
        with pytest.raises(DamagedInputError) as caught:
            opened.read(block, block)
    assert caught.value.code == "truncated"
