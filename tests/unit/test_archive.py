"""Archives that are small themselves, and would take gigabytes of memory to be looked at."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
from typing import TYPE_CHECKING

import pytest

from converter.archive import check_archive
from converter.bundles import Format
from converter.formats import FormatError, package, rationed
from converter.formats.package import read_deb
from tests.unit.source.build import tar, tar_header

if TYPE_CHECKING:
    from collections.abc import Callable

# What headers may take here, and more than that: nobody is to read it.
LITTLE = 64 << 10
MUCH = 2 * LITTLE
COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress, bytes]


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rationed, "HEADERS", LITTLE)
    monkeypatch.setattr(package, "_MEMBER_LIMIT", 100)


def header_of(size: int, kind: bytes) -> bytes:
    return tar_header(b"x", b"%011o" % size, kind) + bytes(size) + tar(("a", b"a"))


def sparse_map(entries: int) -> bytes:
    """Make a member of GNU tar whose map of holes goes on in block after block."""
    first = bytearray(tar_header(b"x", b"00000000000", b"S"))
    first[482] = 1
    first[148:156] = b"%06o\0 " % (sum(first) - sum(first[148:156]) + 256)
    more = (b"%011o\0" % 1) * 42 + b"\1"
    return bytes(first) + more.ljust(512, b"\0") * entries


def deb(data: bytes) -> bytes:
    control = tar(("./control", b"Package: x\nVersion: 1\nArchitecture: all\n"))
    members = (("debian-binary", b"2.0\n"), ("control.tar", control), ("data.tar.xz", data))
    out = b"!<arch>\n"
    for name, content in members:
        out += b"%-16s0           0     0     100644  %-10d`\n" % (name.encode(), len(content))
        out += content + bytes(len(content) % 2)
    return out


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K"])
@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_header_of_a_tar_has_bounds(compress: Callable[[bytes], bytes], kind: bytes) -> None:
    with pytest.raises(FormatError, match="headers without end"):
        check_archive(io.BytesIO(compress(header_of(MUCH, kind))), Format.TAR)


def test_a_map_of_holes_has_bounds() -> None:
    with pytest.raises(FormatError, match="headers without end"):
        check_archive(io.BytesIO(gzip.compress(sparse_map(MUCH >> 9), 1)), Format.TAR)


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_what_vendors_make_is_read(compress: Callable[[bytes], bytes]) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(30):
            member = tarfile.TarInfo(f"{'directory/' * 30}{number}")
            member.size = 1 << 14
            archive.addfile(member, io.BytesIO(bytes(member.size)))
    check_archive(io.BytesIO(compress(out.getvalue())), Format.TAR)


@pytest.mark.parametrize("compress", COMPRESSORS[:3])
def test_a_damaged_stream_is_told(compress: Callable[[bytes], bytes]) -> None:
    data = compress(tar(("a", bytes(range(256)) * 64)))
    for damaged in (data[: len(data) // 2], data[:20] + bytes(20) + data[40:]):
        with pytest.raises(FormatError, match="is damaged"):
            check_archive(io.BytesIO(damaged), Format.TAR)


def test_the_directory_of_a_zip_has_bounds() -> None:
    entry = struct.pack("<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, *[0] * 7, 1, *[0] * 6) + b"a"
    count = MUCH // len(entry)
    end = struct.pack(
        "<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, count * len(entry), 0
    )
    locator = struct.pack("<IIQI", 0x07064B50, 0, count * len(entry), 1)
    last = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    data = entry * count + end + locator + last
    with pytest.raises(FormatError):
        check_archive(io.BytesIO(data), Format.ZIP)


def test_a_package_of_debian_has_bounds() -> None:
    assert read_deb(io.BytesIO(deb(lzma.compress(tar(("./usr/bin/x", b"x")))))).files
    many = tar_header(b"x", b"0") * 101
    for data in (header_of(MUCH, b"x"), header_of(MUCH, b"L"), sparse_map(MUCH >> 9), many):
        with pytest.raises(FormatError, match=r"without end|more than"):
            read_deb(io.BytesIO(deb(lzma.compress(data, preset=0))))
