"""One compressed stream out of a buffer: what it is, what is in it, and where it ends.

The formats are those the Linux kernel and kmod read: gzip (RFC 1952), bzip2, xz (the .xz format,
1.2), LZMA alone (the .lzma format of the LZMA SDK), LZ4 in the legacy framing that the kernel uses
and in the frame format (lz4's doc/lz4_Frame_format.md), and Zstandard (RFC 8878). LZO is
recognised and named, but not read.

Output is given in chunks, and its total is limited, so that a small stream that stands for a
large one costs no more than the limit. Decoders are limited as well: 256 MiB for LZMA's
dictionary, 128 MiB for Zstandard's window (the kernel's ZSTD_WINDOWSIZE_MAX).
"""

from __future__ import annotations

import bz2
import lzma
import struct
import zlib
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import lz4.block
import lz4.frame
import zstandard

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# A kernel module is at most a few tens of MiB, even with debug information.
MODULE_LIMIT: Final = 256 << 20

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"\x1f\x9e", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"\x04\x22\x4d\x18", "lz4-frame"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x89LZO\x00\r\n\x1a\n", "lzo"),
)
_SUFFIXES: Final = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}

# How much input is given to, and output asked of, a decoder at once.
_STEP: Final = 1 << 20
_LZMA_MEMORY: Final = 256 << 20
_ZSTD_WINDOW: Final = 128 << 20

# bz2 raises OSError, lz4.frame RuntimeError.
_DECODER_ERRORS: Final = (
    OSError,
    RuntimeError,
    EOFError,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
    lz4.block.LZ4BlockError,
)

_LZ4_MAGIC: Final = 0x184C2102
_LZ4_CHUNK: Final = 8 << 20
_LZ4_BOUND: Final = _LZ4_CHUNK + _LZ4_CHUNK // 255 + 16
_U32: Final = struct.Struct("<I")


def detect(data: bytes | memoryview, offset: int = 0) -> str:
    """Name the compression of what starts at `offset` by its magic; "" if it is none of them."""
    head = bytes(data[offset : offset + 9])
    return next((name for magic, name in _MAGIC if head.startswith(magic)), "")


class Stream:
    """The compressed stream at `offset` of `data`; iterate over it, once, to decompress it.

    `end` is the offset after the stream, right once the iteration is over. `limit` is the most
    output in bytes that it may have. Iteration raises `FormatError` when the stream is damaged,
    cut off, too large, or of a kind that cannot be read.
    """

    def __init__(self, data: bytes | memoryview, offset: int = 0, *, limit: int) -> None:
        """Name what is at `offset`; nothing is decompressed yet."""
        self.data = memoryview(data)
        self.offset = offset
        self.limit = limit
        self.end = offset
        self.name = detect(self.data, offset)

    def __iter__(self) -> Iterator[bytes]:
        decode = _DECODERS.get(self.name)
        if decode is None:
            self.fail("this compression cannot be read" if self.name else "its magic is not known")
        total = 0
        try:
            for chunk in decode(self):
                total += len(chunk)
                if total > self.limit:
                    self.fail(f"it holds more than {self.limit} bytes")
                yield chunk
        except _DECODER_ERRORS as error:
            raise FormatError(self._where(str(error))) from error

    def fail(self, why: str) -> NoReturn:
        """Raise the `FormatError` that says `why` and which stream it is about."""
        raise FormatError(self._where(why))

    def _where(self, why: str) -> str:
        return f"{self.name or 'unknown'} stream at offset {self.offset}: {why}"


def decompress(data: bytes | memoryview, offset: int = 0, *, limit: int) -> tuple[bytes, int]:
    """Give the content of the one stream at `offset`, and how many bytes of `data` it takes up.

    Raises `FormatError` as `Stream` does.
    """
    stream = Stream(data, offset, limit=limit)
    content = b"".join(stream)
    return content, stream.end - offset


def decompress_module(data: bytes, name: str, *, limit: int = MODULE_LIMIT) -> bytes:
    """Give the ELF file that is in a module file called `name`: .ko, .ko.gz, .ko.xz or .ko.zst.

    kmod goes by the content, not by the name; so the two must agree. Raises `FormatError` when
    they do not, and as `Stream` does.
    """
    expected = next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), "")
    found = detect(data)
    if found != expected:
        raise FormatError(
            f"{name}: expected {expected or 'no'} compression, found {found or 'none'}"
        )
    return decompress(data, limit=limit)[0] if expected else data


# --- the decoders ---------------------------------------------------------------------------------


class _Decompressor(Protocol):
    """What the objects of bz2, lzma and lz4.frame share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def _pump(stream: Stream, decoder: _Decompressor) -> Iterator[bytes]:
    position = stream.offset
    while not decoder.eof:
        piece = b""
        if decoder.needs_input:
            piece = bytes(stream.data[position : position + _STEP])
            if not piece:
                stream.fail("it is cut off")
            position += len(piece)
        yield decoder.decompress(piece, _STEP)
    stream.end = position - len(decoder.unused_data or b"")  # lz4.frame says None for nothing


def _bzip2(stream: Stream) -> Iterator[bytes]:
    return _pump(stream, bz2.BZ2Decompressor())


def _xz(stream: Stream) -> Iterator[bytes]:
    return _pump(stream, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY))


def _lzma(stream: Stream) -> Iterator[bytes]:
    return _pump(stream, lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY))


def _gzip(stream: Stream) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    position = stream.offset
    while not decoder.eof:
        piece = decoder.unconsumed_tail
        if not piece:
            piece = bytes(stream.data[position : position + _STEP])
            if not piece:
                stream.fail("it is cut off")
            position += len(piece)
        yield decoder.decompress(piece, _STEP)
    stream.end = position - len(decoder.unused_data)


def _zstd(stream: Stream) -> Iterator[bytes]:
    # A chunk of compressed data can become any amount of output at once in this interface, so
    # it gets little of it: a block is at most 128 KiB of output and, unless it is a run of one
    # byte, not much smaller than its Huffman-coded form.
    decoder = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
    position = stream.offset
    while not decoder.eof:
        piece = bytes(stream.data[position : position + _ZSTD_STEP])
        if not piece:
            stream.fail("it is cut off")
        position += len(piece)
        yield decoder.decompress(piece)
    stream.end = position - len(decoder.unused_data)


# 4 KiB of the smallest blocks (4 bytes for a run of 128 KiB) are 128 MiB.
_ZSTD_STEP: Final = 4 << 10


def _lz4_frame(stream: Stream) -> Iterator[bytes]:
    return _pump(stream, lz4.frame.LZ4FrameDecompressor())


def _lz4_legacy(stream: Stream) -> Iterator[bytes]:
    """Read blocks until what follows cannot be one, as lib/decompress_unlz4.c does.

    The legacy framing has no end mark: the magic may come again (streams joined without a gap),
    and less than four bytes, or a block size of zero, are the end.
    """
    position = stream.offset + 4
    while len(stream.data) - position >= 4:
        (size,) = _U32.unpack_from(stream.data, position)
        if size == 0:
            break
        position += 4
        if size == _LZ4_MAGIC:
            continue
        if size > _LZ4_BOUND or size > len(stream.data) - position:
            stream.fail(f"a block of {size} bytes at offset {position} cannot be")
        block = bytes(stream.data[position : position + size])
        position += size
        yield lz4.block.decompress(block, uncompressed_size=_LZ4_CHUNK)
    stream.end = position


_DECODERS: Final[dict[str, Callable[[Stream], Iterator[bytes]]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "lzma": _lzma,
    "lz4": _lz4_legacy,
    "lz4-frame": _lz4_frame,
    "zstd": _zstd,
}


# --- writing --------------------------------------------------------------------------------------


def _compress_lz4(data: bytes) -> bytes:
    parts = [_U32.pack(_LZ4_MAGIC)]
    for start in range(0, len(data), _LZ4_CHUNK):
        block = lz4.block.compress(data[start : start + _LZ4_CHUNK], store_size=False)
        parts += (_U32.pack(len(block)), block)
    return b"".join(parts)


def _compress_gzip(data: bytes) -> bytes:
    encoder = zlib.compressobj(level=6, wbits=16 + zlib.MAX_WBITS)
    return encoder.compress(data) + encoder.flush()


def _compress_xz(data: bytes) -> bytes:
    # The kernel's decoder has no CRC64, which is xz's default.
    return lzma.compress(data, check=lzma.CHECK_CRC32)


def _compress_zstd(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=6, write_checksum=True).compress(data)


_ENCODERS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": _compress_gzip,
    "bzip2": bz2.compress,
    "xz": _compress_xz,
    "lz4": _compress_lz4,
    "zstd": _compress_zstd,
}

# The formats whose streams may follow each other without a gap, in the kernel and in their tools.
JOINABLE: Final = frozenset(_ENCODERS)


def compress(data: bytes, name: str) -> bytes:
    """Give `data` as one stream of the format `name` (one of `JOINABLE`) that any kernel reads.

    No name or time goes into the stream: the same data gives the same bytes with the same
    library.
    """
    return _ENCODERS[name](data)
