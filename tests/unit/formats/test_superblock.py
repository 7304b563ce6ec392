"""From Linux' ext4/super.rst and "XFS Algorithms & Data Structures" (superblock, log records)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats.superblock import State, read_state

if TYPE_CHECKING:
    from collections.abc import Callable

LOG_START, SECTORS = 64 << 10, 64


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


def ext(*, state: int = 1, incompatible: int = 0, place: bytes = b"") -> bytes:
    block = bytearray(2048)
    struct.pack_into("<HH", block, 1024 + 56, 0xEF53, state)
    struct.pack_into("<I", block, 1024 + 96, incompatible)
    block[1024 + 136 : 1024 + 136 + len(place)] = place
    return bytes(block)


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        (ext(), State()),
        (ext(incompatible=0x246), State(is_dirty=True)),
        (ext(incompatible=0x242), State()),
        (ext(state=0), State(is_dirty=True)),
        (ext(state=3), State(has_errors=True)),
        (ext(place=b"/data\0/old"), State(last_mounted="/data")),
        (ext(place=b"x" * 64), State()),
        (ext(place=b"/\xff"), State(last_mounted="/\ufffd")),
        (bytes(2048), State()),
        (b"", State()),
    ],
)
def test_ext(block: bytes, wanted: State) -> None:
    assert read_state("ext4", reader(block)) == wanted


def xfs(log: bytes, *, internal: bool = True) -> bytes:
    block = bytearray(LOG_START)
    struct.pack_into(">4sI", block, 0, b"XFSB", 4096)
    # Groups of 16 blocks (agblklog 4): the log begins at the start of the second.
    struct.pack_into(">Q", block, 48, 1 << 4 if internal else 0)
    struct.pack_into(">II", block, 84, 16, 2)
    struct.pack_into(">I", block, 96, SECTORS * 512 // 4096)
    block[124] = 4
    return bytes(block) + log


def record(cycle: int, *, flags: int, length: int = 512, operations: int = 1) -> list[bytes]:
    header = bytearray(512)
    struct.pack_into(">IIII", header, 0, 0xFEEDBABE, cycle, 2, length)
    struct.pack_into(">I", header, 40, operations)
    struct.pack_into(">I", header, 320, 32 << 10)
    body = struct.pack(">IIBB", cycle, 8, 0xAA, flags).ljust(512, b"\0")
    rest = [struct.pack(">I", cycle).ljust(512, b"\0")] * (length // 512 - 1)
    return [bytes(header), body, *rest]


def log(*records: list[bytes], behind: int = 0) -> bytes:
    sectors = [sector for item in records for sector in item]
    old = struct.pack(">I", behind).ljust(512, b"\0")
    return b"".join([*sectors, *[old] * (SECTORS - len(sectors))])


@pytest.mark.parametrize(
    ("content", "dirty"),
    [
        (log(record(1, flags=0x20)), False),
        (log(record(1, flags=1, length=2048, operations=7), record(1, flags=0x20)), False),
        (log(record(3, flags=1), record(3, flags=0x20), behind=2), False),
        (log(record(1, flags=0x20, length=4096)), False),
        (log(record(1, flags=0x20), record(1, flags=1, length=2048, operations=7)), True),
        (log(record(3, flags=1, operations=2), behind=2), True),
        (log(*[record(4, flags=1)] * 31, record(4, flags=0x20)), False),
        (log(), False),
    ],
)
def test_xfs(content: bytes, *, dirty: bool) -> None:
    assert read_state("xfs", reader(xfs(content))) == State(is_dirty=dirty)
    assert read_state("xfs", reader(xfs(content, internal=False))) == State()


def test_btrfs_and_jfs() -> None:
    btrfs = bytearray(68 << 10)
    assert read_state("btrfs", reader(bytes(btrfs))) == State()
    btrfs[(64 << 10) + 64 : (64 << 10) + 72] = b"_BHRfS_M"
    btrfs[(64 << 10) + 136] = 1
    assert read_state("btrfs", reader(bytes(btrfs))) == State()
    btrfs[(64 << 10) + 97] = 1
    btrfs[(64 << 10) + 136] = 2
    assert read_state("btrfs", reader(bytes(btrfs))) == State(is_dirty=True, devices=2)
    jfs = bytearray(36 << 10)
    jfs[32 << 10 : (32 << 10) + 4] = b"JFS1"
    assert read_state("jfs", reader(bytes(jfs))) == State()
    jfs[(32 << 10) + 40] = 2
    assert read_state("jfs", reader(bytes(jfs))) == State(is_dirty=True)


@given(
    st.sampled_from(["ext4", "xfs", "btrfs", "jfs", "ntfs", "vfat", ""]),
    st.binary(max_size=4096),
    st.integers(0, 4096),
)
def test_any_bytes_are_read(kind: str, noise: bytes, at: int) -> None:
    whole = bytearray(xfs(log(record(1, flags=0x20))))
    whole[at : at + len(noise)] = noise
    read_state(kind, reader(bytes(whole)))
