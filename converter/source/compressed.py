"""Disks compressed with gzip, xz, zstd or bzip2: unpacked, sparse, into a private directory.

A file may be several streams one after another, as parallel compressors and `cat` make them. It
must end with a whole one: what Python's own file objects do not insist on.
"""

from __future__ import annotations

import bz2
import lzma
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import zstandard

from converter.deadline import prolong, seconds_for
from converter.errors import DamagedInputError, GuestRefusedError, disk_full, writing_failed
from converter.source import sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.source.reader import Reader

# What goes in at once: zstd gives all that comes of it at once, at most 32768 times as much.
_INPUT: Final = 4 << 10
# What is asked for at once: bzip2 would make 46 MB of every 40 bytes.
_OUTPUT: Final = 1 << 20
# What is kept free on the disk that is unpacked to.
_RESERVE: Final = 256 << 20
# A disk of as much, most of it zeros, is unpacked in its time; who goes on has what is left of it.
_LARGEST: Final = 16 << 40
_GIB: Final = 1 << 30
# xz -9 needs 65 MiB; a header may ask for 4 GiB. The limit of zstd is its own, 128 MiB.
_MEMORY: Final = 512 << 20
# What the two say of more.
_TOO_LARGE: Final = ("Memory usage limit", "requires too much memory")
_MAGICS: Final = {
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
}


class _Stream(Protocol):
    """A decompressor of one stream: what the four libraries have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_STREAMS: Final[dict[str, Callable[[], _Stream]]] = {
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "bzip2": bz2.BZ2Decompressor,
}


def kind(head: bytes) -> str:
    """Give the compression a file begins with, "" if none."""
    if head[1:4] == b"\x2a\x4d\x18" and 0x50 <= head[0] <= 0x5F:
        return "zstd"  # a skippable frame, as pzstd begins with
    return next((name for name, magic in _MAGICS.items() if head.startswith(magic)), "")


def unpack(reader: Reader, work: Path) -> Path:
    """Decompress a file into `work` and give where.

    Raises `DamagedInputError` ``compression-damaged``, `GuestRefusedError`
    ``compression-memory``, `HostError` ``disk-full``.
    """
    descriptor, target = tempfile.mkstemp(prefix="unpacked", dir=work)
    try:
        offset = 0
        for piece in _pieces(reader):
            _check_room(work)
            sparse.write(descriptor, piece, offset)
            _prolong(offset, offset + len(piece))
            offset += len(piece)
        os.ftruncate(descriptor, offset)
    except OSError as error:
        raise writing_failed(Path(target), error, code="unpacking-failed") from error
    finally:
        os.close(descriptor)
    return Path(target)


def head(reader: Reader, length: int) -> bytes:
    """Give the first bytes of what is inside, `length` of them if there are so many.

    Raises as `unpack` does.
    """
    found = b""
    for piece in _pieces(reader):
        found += piece
        if len(found) >= length:
            break
    return found[:length]


def _prolong(before: int, now: int) -> None:
    """Let a disk that grew larger take longer: the files say little of how large it is."""
    more = min(now, _LARGEST) // _GIB - min(before, _LARGEST) // _GIB
    if more:
        prolong(seconds_for("source", more * _GIB) - seconds_for("source"))


def _pieces(reader: Reader) -> Iterator[bytes]:
    """Give what is inside, in pieces of bounded size."""
    name = kind(reader.head(16))
    stream: _Stream | None = None
    for offset in range(0, reader.length, _INPUT):
        packed = reader.read(offset, min(_INPUT, reader.length - offset))
        while packed:
            if stream is None:
                # Zeros may fill up what is between streams, and after the last.
                packed = packed.lstrip(b"\0")
                stream = _STREAMS[name]() if packed else None
                continue
            try:
                yield from _output(stream, packed)
            except (OSError, EOFError, zlib.error, lzma.LZMAError, zstandard.ZstdError) as error:
                if any(word in str(error) for word in _TOO_LARGE):
                    raise _too_large(reader, name) from error
                raise _damaged(reader, name, str(error)) from error
            packed = stream.unused_data if stream.eof else b""
            stream = None if stream.eof else stream
    if stream is not None:
        raise _damaged(reader, name, "it ends too early")


def _output(stream: _Stream, packed: bytes) -> Iterator[bytes]:
    """Give all that comes of some input, in pieces of bounded size."""
    if not isinstance(stream, bz2.BZ2Decompressor | lzma.LZMADecompressor):
        yield stream.decompress(packed)
        return
    yield stream.decompress(packed, _OUTPUT)
    while not (stream.eof or stream.needs_input):
        yield stream.decompress(b"", _OUTPUT)


def _too_large(reader: Reader, name: str) -> GuestRefusedError:
    return GuestRefusedError(
        "compression-memory",
        f"{reader.name}: the {name} data wants more memory to be decompressed than it is given",
        hint="decompress it (xz -dk, zstd -dk --long=31), and give what is inside",
    )


def _damaged(reader: Reader, name: str, what: str) -> DamagedInputError:
    return DamagedInputError(
        "compression-damaged",
        f"{reader.name}: the {name} data is damaged or cut off: {what}",
        hint="copy it again, and check it with the compressor's own test (-t)",
    )


def _check_room(work: Path) -> None:
    if shutil.disk_usage(work).free < _RESERVE:
        raise disk_full(work, f"less than {_RESERVE >> 20} MiB are free for the decompressed disk")
