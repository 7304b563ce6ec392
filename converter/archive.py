"""Archives as vendors ship them, read as if everybody who makes one were an enemy.

A zip or tar is looked through once, to its end: every name must stay below where it would be
unpacked, and what it holds must have bounds. Nothing is unpacked by this.

The names of Windows' own formats must be a file's on Windows too: no stream, no device
(learn.microsoft.com, "Naming Files, Paths, and Namespaces").
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import posixpath
import re
import tarfile
import zipfile
import zlib
from contextlib import nullcontext
from io import SEEK_END
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final, cast

from converter.bundles import Format
from converter.formats import FormatError
from converter.formats.rationed import Rationed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import IO, BinaryIO

    from converter.formats.rationed import Seekable

# Vendors' archives have some hundreds of files, and 250 MB.
MEMBER_LIMIT: Final = 20_000
CONTENT_LIMIT: Final = 1 << 30
_PIECE: Final = 1 << 20
_DEVICE: Final = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*)?", re.I
)
_DECODERS: Final = (
    (b"\x1f\x8b", gzip.open),
    (b"BZh", bz2.open),
    (b"\xfd7zXZ\0", lzma.open),
    (b"\x5d\0\0", lzma.open),
)
# What reading a damaged archive ends with.
DAMAGE: Final = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError,
    RuntimeError, ValueError, OverflowError, UnicodeError,
)  # fmt: skip


def check_archive(file: BinaryIO, kind: Format) -> None:
    """Raise `FormatError` unless `file` is a whole archive that could be unpacked safely."""
    try:
        _read_zip(file) if kind is Format.ZIP else _read_tar(file)
    except DAMAGE as error:
        raise FormatError(f"is damaged: {error}") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise FormatError(f"is damaged: {error}") from error  # gzip's and bz2's


def _check_name(name: str) -> None:
    """Raise `FormatError` for a name that would lead elsewhere."""
    plain = name.replace("\\", "/")
    parts = PurePosixPath(plain).parts
    if not parts or plain.startswith("/") or ".." in parts or "\0" in name or ":" in parts[0]:
        raise FormatError(f"{name[:200]!r} leads out of the archive")


def check_windows_name(name: str) -> None:
    """Raise `FormatError` for a name that would lead elsewhere, or is no file's on Windows."""
    _check_name(name)
    for part in name.replace("\\", "/").split("/"):
        if ":" in part or _DEVICE.fullmatch(part.rstrip(" .")):
            raise FormatError(f"{name[:200]!r} is no name of a file on Windows")


class _Bounds:
    """How much an archive may still hold."""

    def __init__(self) -> None:
        self._members = 0
        self._size = 0

    def member(self, name: str, size: int) -> None:
        """Count a member by what its header says."""
        self._members += 1
        if self._members > MEMBER_LIMIT:
            raise FormatError(f"has more than {MEMBER_LIMIT} members")
        if self._size + size > CONTENT_LIMIT:
            raise FormatError(
                f"{name[:200]!r}: with it, the archive holds {self._size + size} bytes"
            )

    def content(self, content: IO[bytes]) -> None:
        """Read a member to its end, and count what really comes out of it."""
        while piece := content.read(_PIECE):
            self._size += len(piece)
            if self._size > CONTENT_LIMIT:
                raise FormatError(f"holds more than {CONTENT_LIMIT} bytes")


def _read_zip(file: BinaryIO) -> None:
    bounds = _Bounds()
    rationed = Rationed(file)
    with zipfile.ZipFile(cast("IO[bytes]", rationed)) as archive:
        rationed.allow(file.seek(0, SEEK_END))
        for member in archive.infolist():
            check_windows_name(member.filename)
            bounds.member(member.filename, member.file_size)
            if not member.is_dir():
                with archive.open(member) as content:
                    bounds.content(content)


def _read_tar(file: BinaryIO) -> None:
    bounds = _Bounds()
    with _decompressed(file) as plain, _tar(rationed := Rationed(plain)) as archive:
        for member in archive:
            _check_name(member.name)
            if member.issym():
                target = posixpath.join(posixpath.dirname(member.name), member.linkname)
                _check_name(posixpath.normpath(target))
            elif member.islnk():
                _check_name(member.linkname)
            elif not (member.isreg() or member.isdir()):
                raise FormatError(f"{member.name[:200]!r} is neither a file nor a directory")
            bounds.member(member.name, member.size)
            content = archive.extractfile(member) if member.isreg() else None
            if content is not None:
                rationed.allow(member.size)
                bounds.content(content)
            rationed.allow(0)


def _tar(file: Rationed) -> tarfile.TarFile:
    return tarfile.open(fileobj=cast("IO[bytes]", file), mode="r:")


def _decompressed(file: BinaryIO) -> AbstractContextManager[Seekable]:
    magic = file.read(6)
    file.seek(0)
    opener = next((known for start, known in _DECODERS if magic.startswith(start)), nullcontext)
    return cast("AbstractContextManager[Seekable]", opener(file))
