"""After fs/ntfs3/ntfs.h: what NTFS says of its last use."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, superblock
from converter.formats.ntfs import State, read_state
from tests.unit.formats.ntfs_volumes import (
    CLEAN,
    CLIENT,
    CLUSTER,
    DIRTY,
    LOG,
    MFT,
    NOBODY,
    PAGE,
    RECORD,
    joined,
    log_run,
    outside,
    record,
    resident,
    restart_page,
    volume,
)

if TYPE_CHECKING:
    from collections.abc import Callable

IN_USE = restart_page(lsn=9, in_use=CLIENT, flags=0)
CLOSED = restart_page(lsn=8)
EMPTIED = b"\xff" * PAGE
TORN = CLOSED[:1024] + bytes(PAGE - 1024)


def reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, length: data[offset : offset + length]


@pytest.mark.parametrize(
    ("flags", "errors"), [(0, False), (DIRTY, True), (0x0040, False), (0x8041, True)]
)
def test_windows_is_to_check_the_volume(flags: int, *, errors: bool) -> None:
    found = read_state(reader(joined(volume(flags=flags))))
    assert found == State(is_dirty=False, has_errors=errors)


@pytest.mark.parametrize(
    ("pages", "dirty"),
    [
        ((CLOSED, restart_page(lsn=7)), False),
        ((IN_USE, CLOSED), True),
        ((CLOSED, IN_USE), True),
        ((restart_page(lsn=7, in_use=CLIENT, flags=0), CLOSED), False),
        ((restart_page(lsn=9, in_use=CLIENT, flags=CLEAN), CLOSED), False),
        ((restart_page(lsn=9, in_use=NOBODY, flags=0), CLOSED), False),
        ((EMPTIED, EMPTIED), False),
        # A page that was not written to its end: the other one is still good.
        ((TORN, CLOSED), False),
        ((TORN, IN_USE), True),
        ((IN_USE, TORN), True),
        # Neither is: what the journal holds cannot be told.
        ((TORN, TORN), True),
        ((bytes(PAGE), bytes(PAGE)), True),
        ((EMPTIED, bytes(PAGE)), True),
    ],
)
def test_the_journal_is_open(pages: tuple[bytes, bytes], *, dirty: bool) -> None:
    found = read_state(reader(joined(volume(pages=pages))))
    assert found == State(is_dirty=dirty, has_errors=False)


@pytest.mark.parametrize("log", [resident(0x80, b""), outside(0x80, b"\0")])
def test_an_empty_journal_holds_nothing(log: bytes) -> None:
    pages = (bytes(PAGE), bytes(PAGE))
    assert read_state(reader(joined(volume(log=log, pages=pages)))) == State(
        is_dirty=False, has_errors=False
    )


def test_a_journal_beyond_the_volume_is_none_that_was_closed() -> None:
    log = outside(0x80, log_run(0x7000))
    assert read_state(reader(joined(volume(log=log)))).is_dirty


def patched(at: int, piece: bytes) -> bytes:
    data = bytearray(joined(volume()))
    data[at : at + len(piece)] = piece
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no NTFS"),
        (bytes(8192), "is no NTFS"),
        (patched(11, b"\0\0"), "sectors of 0 bytes"),
        (patched(13, b"\0"), "clusters of 0 bytes"),
        (patched(13, b"\x81"), "clusters of"),
        (patched(64, b"\0"), "file records of 1"),
        (patched(64, b"\x7f"), "file records"),
        (patched(48, b"\xff" * 8), "which no disk has"),
        (patched(48, struct.pack("<Q", 1 << 20)), "file record 3 is none"),
        (patched(MFT + 3 * RECORD, b"BAAD"), "file record 3 is none"),
        (patched(MFT + 3 * RECORD + 6, b"\xff\xff"), "update sequence"),
        (patched(MFT + 3 * RECORD + 6, b"\0\0"), "update sequence"),
        (patched(MFT + 3 * RECORD + 510, b"\0\0"), "not written to its end"),
        (patched(MFT + 3 * RECORD + 56 + 4, b"\0\0\0\0"), "an attribute has 0 bytes"),
        (patched(MFT + 3 * RECORD + 56 + 4, b"\xf0\xff\xff\xff"), "an attribute has"),
        (patched(MFT + 3 * RECORD + 20, b"\xff\xff"), "has no flags"),
        (patched(MFT + 3 * RECORD, record()), "has no flags"),
        (patched(MFT + 3 * RECORD, record(resident(0x70, b""))), "has no flags"),
        (patched(MFT + 2 * RECORD, record(outside(0x80, log_run(-3)))), "before the volume"),
        (patched(MFT + 2 * RECORD, b"BAAD"), "file record 2 is none"),
    ],
)
def test_damage(data: bytes, said: str) -> None:
    with pytest.raises(FormatError, match=said):
        read_state(reader(data))
    # It is marked for a check at least: nothing of the kind is taken for whole.
    assert superblock.read_state("ntfs", reader(data)) == superblock.State(has_errors=True)


@pytest.mark.parametrize("place", [48, MFT + 2 * RECORD + 56 + 72 + 64 + 2])
def test_no_offset_is_larger_than_a_disk(place: int) -> None:
    """The binding of the appliance takes numbers of 63 bits."""
    asked: list[int] = []
    run = b"\x81\x10" + (0x7FFFFFFFFFFFFFFF).to_bytes(8, "little") + b"\0"
    data = bytearray(joined(volume(log=outside(0x80, run))))
    if place == 48:
        data[48:56] = b"\xff" * 7 + b"\x7f"

    def read(offset: int, length: int) -> bytes:
        asked.append(offset)
        return bytes(data[offset : offset + length])

    superblock.read_state("ntfs", read)
    assert max(asked) < 1 << 63


def test_superblock_says_the_same() -> None:
    data = joined(volume(flags=DIRTY, pages=(IN_USE, CLOSED)))
    assert superblock.read_state("ntfs", reader(data)) == superblock.State(
        is_dirty=True, has_errors=True
    )


@given(
    st.integers(0, LOG + 2 * PAGE),
    st.binary(max_size=64),
    st.sampled_from([0, CLUSTER, MFT + 2 * RECORD, MFT + 3 * RECORD, LOG]),
)
def test_any_bytes_are_read(at: int, noise: bytes, base: int) -> None:
    for place in (at, base + at % 128):
        superblock.read_state("ntfs", reader(patched(place, noise)))
