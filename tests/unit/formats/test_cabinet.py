from __future__ import annotations

import contextlib
import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, cabinet
from converter.formats.cabinet import File

ENTRIES = [(b"drivers\\AWSNVMe.inf", 0x20, 10), ("ä.sys".encode(), 0xA0, 4096), (b"\xe4", 0x20, 0)]


def made(
    entries: list[tuple[bytes, int, int]] = ENTRIES, *, major: int = 1, flags: int = 0
) -> bytes:
    """Make the part of a cabinet that tells what is in it."""
    files = b"".join(
        struct.pack("<IIHHHH", size, 0, 0, 0, 0, attributes) + name + b"\0"
        for name, attributes, size in entries
    )
    folder = struct.pack("<IHH", 0, 0, 0)
    start = 36 + len(folder)
    header = struct.pack(
        "<4sIIIIIBBHHHHH",
        b"MSCF", 0, start + len(files), 0, start, 0, 3, major, 1, len(entries), flags, 0, 0,
    )  # fmt: skip
    return header + folder + files


def read(data: bytes) -> tuple[File, ...]:
    return cabinet.read_directory(io.BytesIO(data))


def test_what_is_in_it() -> None:
    assert read(made()) == (File("drivers/AWSNVMe.inf", 10), File("ä.sys", 4096), File("ä", 0))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no cabinet"),
        (b"PK\x03\x04" + bytes(60), "no cabinet"),
        (made()[:30], "no cabinet"),
        (made(major=2), "version 2"),
        (made(flags=1), "one cabinet of several"),
        (made(flags=2), "one cabinet of several"),
        (made()[:-1], "cut off"),
        (made()[:50], "cut off"),
        (made([(b"x" * 300, 0x20, 1)]), "damaged"),
    ],
)
def test_what_is_refused(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        read(data)


@given(st.integers(0, len(made()) - 1), st.binary(max_size=4))
def test_any_bytes_are_read_or_refused(place: int, other: bytes) -> None:
    data = made()
    with contextlib.suppress(FormatError):
        read(data[:place] + other + data[place + len(other) :])
