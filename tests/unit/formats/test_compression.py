"""Streams made by the libraries' own encoders, between other bytes, cut off, and too large."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from typing import TYPE_CHECKING

import lz4.block
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, compression

if TYPE_CHECKING:
    from collections.abc import Callable


def lz4_legacy(data: bytes, *, step: int = 100) -> bytes:
    blocks = [data[at : at + step] for at in range(0, len(data), step)]
    packed = [lz4.block.compress(block, store_size=False) for block in blocks]
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(p)) + p for p in packed)


def zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(data)


ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE),
    "lz4": lz4_legacy,
    "lz4-frame": lz4.frame.compress,
    "zstd": zstd,
}
KINDS = pytest.mark.parametrize("kind", ENCODERS)
TEXT = bytes(range(256)) * 20


@KINDS
def test_round_trip(kind: str) -> None:
    stream = ENCODERS[kind](TEXT)
    assert compression.detect(stream) == kind
    assert compression.decompress(stream, limit=len(TEXT)) == (TEXT, len(stream))


@KINDS
def test_what_is_around_a_stream_does_not_matter(kind: str) -> None:
    stream = ENCODERS[kind](TEXT)
    around = b"before" + stream + bytes(8) + b"after"
    assert compression.decompress(around, 6, limit=1 << 20) == (TEXT, len(stream))


@KINDS
def test_the_limit_holds(kind: str) -> None:
    stream = ENCODERS[kind](TEXT)
    with pytest.raises(FormatError, match=f"{kind} stream at offset 0: .*more than 5119 bytes"):
        compression.decompress(stream, limit=len(TEXT) - 1)


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if kind != "lz4"])
def test_a_stream_that_is_cut_off(kind: str) -> None:
    with pytest.raises(FormatError, match="cut off"):
        compression.decompress(ENCODERS[kind](TEXT)[:-5], limit=1 << 20)


def test_a_large_output_comes_in_pieces() -> None:
    stream = compression.Stream(gzip.compress(bytes(8 << 20)), limit=8 << 20)
    assert max(len(chunk) for chunk in stream) <= 1 << 20
    assert stream.end == len(stream.data)


# --- lz4 in the legacy framing, which has no end mark ---------------------------------------------


def test_lz4_streams_that_follow_each_other_are_one() -> None:
    joined = lz4_legacy(b"one ") + lz4_legacy(b"two")
    assert compression.decompress(joined, limit=100) == (b"one two", len(joined))


def test_lz4_ends_at_a_block_size_of_zero_and_at_a_rest_too_short() -> None:
    stream = lz4_legacy(b"one")
    assert compression.decompress(stream + bytes(4) + b"xxxx", limit=9) == (b"one", len(stream))
    assert compression.decompress(stream + b"abc", limit=9) == (b"one", len(stream))


@pytest.mark.parametrize("after", [b"070701", b"\xff\xff\xff\x7f", b"\x09\0\0\0short"])
def test_lz4_followed_by_what_cannot_be_a_block(after: bytes) -> None:
    with pytest.raises(FormatError, match="cannot be"):
        compression.decompress(lz4_legacy(b"one") + after, limit=100)


# --- what is not read -----------------------------------------------------------------------------


def test_lzo_is_named_but_not_read() -> None:
    data = b"\x89LZO\x00\r\n\x1a\n" + bytes(50)
    assert compression.detect(data) == "lzo"
    with pytest.raises(FormatError, match="lzo stream at offset 0: this compression cannot"):
        compression.decompress(data, limit=100)


def test_what_is_not_compressed() -> None:
    assert compression.detect(b"070701") == ""
    with pytest.raises(FormatError, match="its magic is not known"):
        compression.decompress(b"070701", limit=100)


def test_a_zstd_window_larger_than_the_kernels() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28)
    encoder = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    stream = encoder.compress(b"data") + encoder.flush()
    with pytest.raises(FormatError, match="zstd"):
        compression.decompress(stream, limit=100)


@given(st.sampled_from(sorted(ENCODERS)), st.integers(0, 400), st.integers(0, 255))
def test_damage_is_found_or_harmless(kind: str, place: int, value: int) -> None:
    stream = bytearray(ENCODERS[kind](TEXT[:1000]))
    stream[place % len(stream)] = value
    try:
        content, used = compression.decompress(bytes(stream), limit=1 << 20)
    except FormatError:
        return
    assert len(content) <= 1 << 20
    assert used <= len(stream)


# --- modules and writing --------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "kind"), [(".gz", "gzip"), (".xz", "xz"), (".zst", "zstd")])
def test_modules(suffix: str, kind: str) -> None:
    assert compression.decompress_module(ENCODERS[kind](TEXT), f"a.ko{suffix}") == TEXT


def test_a_plain_module_is_itself() -> None:
    assert compression.decompress_module(b"\x7fELF", "a.ko") == b"\x7fELF"


@pytest.mark.parametrize("name", ["a.ko", "a.ko.xz"])
def test_a_module_whose_name_and_content_differ(name: str) -> None:
    with pytest.raises(FormatError, match="found gzip"):
        compression.decompress_module(gzip.compress(TEXT), name)


@pytest.mark.parametrize("kind", sorted(compression.JOINABLE))
@given(data=st.binary(max_size=300))
def test_written_streams_are_read_and_do_not_vary(kind: str, data: bytes) -> None:
    stream = compression.compress(data, kind)
    assert compression.decompress(stream, limit=300) == (data, len(stream))
    assert compression.compress(data, kind) == stream


def test_gzip_streams_hold_no_time() -> None:
    assert compression.compress(b"data", "gzip")[4:8] == bytes(4)


def test_xz_streams_have_the_checksum_that_the_kernel_knows() -> None:
    assert compression.compress(b"data", "xz")[6:8] == b"\x00\x01"
