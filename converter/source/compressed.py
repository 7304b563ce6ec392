"""Raw disks compressed with gzip, xz, zstd or bzip2: unpacked, sparse, into a private directory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
from typing import IO, TYPE_CHECKING, Final

import zstandard

from converter.errors import DamagedInputError, HostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from converter.source.reader import Reader

_PIECE: Final = 1 << 20
_ZEROS: Final = bytes(_PIECE)
# What is kept free on the disk that is unpacked to.
_RESERVE: Final = 256 << 20
_MAGICS: Final = {
    "gzip": b"\x1f\x8b\x08",
    "xz": b"\xfd7zXZ\0",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
}


def _open_zstd(file: IO[bytes]) -> IO[bytes]:
    reader: IO[bytes] = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return reader


_OPENERS: Final[dict[str, Callable[[IO[bytes]], IO[bytes]]]] = {
    "gzip": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item, return-value]
    "xz": lzma.LZMAFile,
    "zstd": _open_zstd,
    "bzip2": bz2.BZ2File,
}


def kind(head: bytes) -> str:
    """Give the compression a file begins with, "" if none."""
    return next((name for name, magic in _MAGICS.items() if head.startswith(magic)), "")


def unpack(reader: Reader, work: Path) -> Path:
    """Decompress a file into `work` and give where.

    Raises `DamagedInputError` ``compression-damaged``, `HostError` ``disk-full``.
    """
    name = kind(reader.head(16))
    number = len(list(work.glob("unpacked*")))
    target = work / f"unpacked{number}"
    try:
        with _Member(reader) as packed, _OPENERS[name](packed) as source, target.open("wb") as out:
            _copy_sparse(source, out, work)
    except (OSError, EOFError, lzma.LZMAError, zstandard.ZstdError) as error:
        raise DamagedInputError(
            "compression-damaged",
            f"{reader.name}: the {name} data is damaged or cut off: {error}",
            hint="copy it again, and check it with the compressor's own test (-t)",
        ) from error
    return target


def _copy_sparse(source: IO[bytes], out: IO[bytes], work: Path) -> None:
    while piece := source.read(_PIECE):
        if piece == _ZEROS:
            out.seek(len(piece), os.SEEK_CUR)
            continue
        if shutil.disk_usage(work).free < _RESERVE:
            raise HostError(
                "disk-full",
                f"{work}: less than {_RESERVE >> 20} MiB are free for the decompressed disk",
                hint="free some space, or choose another output directory",
            )
        out.write(piece)
    out.truncate()


class _Member:
    """The bytes of a reader as a file object that can only be read on."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._at = 0

    def __enter__(self) -> IO[bytes]:
        return self  # type: ignore[return-value]

    def __exit__(self, *_: object) -> None:
        pass

    def read(self, size: int = -1) -> bytes:
        left = self._reader.length - self._at
        piece = self._reader.read(self._at, left if size < 0 else min(size, left))
        self._at += len(piece)
        return piece

    def seekable(self) -> bool:
        return False

    def readable(self) -> bool:
        return True

    @property
    def closed(self) -> bool:
        return False
