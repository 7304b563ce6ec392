"""Packages as they are given to dpkg and rpm: what they are called and what they bring.

deb(5): an ar(1) archive of `control.tar` and `data.tar`; the control file is one stanza of
deb-control(5). RPM: a lead, a header of signatures and the header proper, both indexes of typed
values (rpm.org, "RPM V4 Package format"), then the payload, which is not read here.

Both are read to their end, as far as a list of their files needs it.
"""

from __future__ import annotations

import io
import struct
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from converter.formats import FormatError, compression
from converter.formats.rationed import Rationed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import IO, BinaryIO

_AR: Final = b"!<arch>\n"
_AR_MEMBER: Final = 60
_CONTROL_LIMIT: Final = 16 << 20
_DATA_LIMIT: Final = 2 << 30
# Of a size in KiB.
_DIGITS: Final = 12
# Agents have some hundreds.
_MEMBER_LIMIT: Final = 20_000

_LEAD: Final = 96
_LEAD_MAGIC: Final = b"\xed\xab\xee\xdb"
_HEADER: Final = struct.Struct(">8sII")
_HEADER_MAGIC: Final = b"\x8e\xad\xe8\x01"
_INDEX: Final = struct.Struct(">IIII")
_HEADER_LIMIT: Final = 64 << 20
_STRING, _STRINGS, _TRANSLATED, _INT32 = 6, 8, 9, 4
# rpm's tags (rpmtag.h).
_NAME, _VERSION, _RELEASE, _SIZE, _ARCH = 1000, 1001, 1002, 1009, 1022
_DIR_INDEXES, _BASE_NAMES, _DIR_NAMES = 1116, 1117, 1118

# What dpkg and rpm call the architectures that programs are made for.
_ARCHITECTURES: Final = {
    "amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "i586": "i686", "all": "noarch",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Package:
    """A package: `architecture` as uname(1) has it, or "noarch"; `size` is what it takes, bytes."""

    name: str
    version: str
    architecture: str
    size: int
    files: tuple[str, ...]


def read_deb(file: BinaryIO) -> Package:
    """Read a Debian package. Raises `FormatError`."""
    if file.read(len(_AR)) != _AR:
        raise FormatError("is no Debian package")
    control: Mapping[str, str] = {}
    files: tuple[str, ...] = ()
    for name, data in _members(file):
        if name.startswith("control.tar"):
            control = _control(data)
        elif name.startswith("data.tar"):
            archive = _Tar(data, limit=_DATA_LIMIT)
            files = tuple(_path(member.name) for member in archive if not member.isdir())
    missing = [name for name in ("package", "version", "architecture") if name not in control]
    if missing:
        raise FormatError(f"its control file has no {', '.join(missing)}")
    size = control.get("installed-size", "")
    return Package(
        control["package"],
        control["version"],
        _architecture(control["architecture"]),
        int(size) << 10 if size.isascii() and size.isdigit() and len(size) <= _DIGITS else 0,
        files,
    )


def _architecture(name: str) -> str:
    return _ARCHITECTURES.get(name, name)


def _path(name: str) -> str:
    return f"/{name.removeprefix('./').strip('/')}"


def _members(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Give the members of the archive, without what makes their sizes even."""
    while header := file.read(_AR_MEMBER):
        size = header[48:58].strip()
        if len(header) < _AR_MEMBER or header[58:] != b"`\n" or not size.isdigit():
            raise FormatError("is damaged: a member has no header")
        data = file.read(int(size))
        if len(data) < int(size):
            raise FormatError("is cut off")
        yield header[:16].decode("latin-1").strip().removesuffix("/"), data
        file.read(int(size) % 2)


def _control(data: bytes) -> Mapping[str, str]:
    archive = _Tar(data, limit=_CONTROL_LIMIT)
    for member in archive:
        if member.isreg() and _path(member.name) == "/control":
            return _fields(archive.content(member))
    return {}


class _Pieces(io.RawIOBase):
    """What is decompressed piece by piece, as a file that is only read on."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = pieces
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever has a buffer
        if not self._left:
            self._left = next(self._pieces, b"")
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


class _Tar:
    """A tar, compressed or not, of at most `limit` bytes; it is read once."""

    def __init__(self, data: bytes, *, limit: int) -> None:
        is_plain = not compression.detect(data)
        pieces = iter([data]) if is_plain else iter(compression.Stream(data, limit=limit))
        self._file = Rationed(io.BufferedReader(_Pieces(pieces)))
        with _tar_errors():
            self._archive = tarfile.open(fileobj=cast("IO[bytes]", self._file), mode="r|")  # noqa: SIM115 - no file is open

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        with _tar_errors():
            for number, member in enumerate(self._archive):
                if number >= _MEMBER_LIMIT or member.issparse():
                    raise FormatError(f"has sparse files, or more than {_MEMBER_LIMIT}")
                self._file.allow(member.size)
                yield member

    def content(self, member: tarfile.TarInfo) -> bytes:
        with _tar_errors():
            content = self._archive.extractfile(member)
            return b"" if content is None else content.read()


@contextmanager
def _tar_errors() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, ValueError, OverflowError, UnicodeError) as error:
        raise FormatError(f"is damaged: {error}") from error


def _fields(control: bytes) -> Mapping[str, str]:
    """Give the fields of the first stanza; of those with several lines the first line."""
    found: dict[str, str] = {}
    for line in control.decode("utf-8", "replace").strip().splitlines():
        if not line.strip():
            break
        name, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(name.lower(), value.strip())
    return found


def read_rpm(file: BinaryIO) -> Package:
    """Read an RPM package. Raises `FormatError`."""
    if not file.read(_LEAD).startswith(_LEAD_MAGIC):
        raise FormatError("is no RPM package")
    signatures = _header(file)
    file.read(-len(signatures.store) % 8)
    header = _header(file)
    name, version, release = (header.text(tag) for tag in (_NAME, _VERSION, _RELEASE))
    if not name or not version:
        raise FormatError("has no name or no version")
    return Package(
        name,
        f"{version}-{release}" if release else version,
        _architecture(header.text(_ARCH)),
        next(iter(header.numbers(_SIZE)), 0),
        _files(header),
    )


@dataclass(frozen=True, slots=True)
class _Header:
    """An index of typed values: by tag their type, place in the store, and number."""

    index: Mapping[int, tuple[int, int, int]]
    store: bytes

    def strings(self, tag: int) -> tuple[str, ...]:
        kind, offset, count = self.index.get(tag, (0, 0, 0))
        if kind not in (_STRING, _STRINGS, _TRANSLATED):
            return ()
        pieces = self.store[offset:].split(b"\0", count)
        if len(pieces) <= count:
            raise FormatError(f"tag {tag} is cut off")
        return tuple(piece.decode("utf-8", "surrogateescape") for piece in pieces[:count])

    def text(self, tag: int) -> str:
        return next(iter(self.strings(tag)), "")

    def numbers(self, tag: int) -> tuple[int, ...]:
        kind, offset, count = self.index.get(tag, (0, 0, 0))
        if kind != _INT32:
            return ()
        if offset + 4 * count > len(self.store):
            raise FormatError(f"tag {tag} is cut off")
        return struct.unpack_from(f">{count}I", self.store, offset)


def _header(file: BinaryIO) -> _Header:
    raw = file.read(_HEADER.size)
    if len(raw) < _HEADER.size or not raw.startswith(_HEADER_MAGIC):
        raise FormatError("is damaged: a header is missing")
    _, entries, size = _HEADER.unpack(raw)
    if entries * _INDEX.size + size > _HEADER_LIMIT:
        raise FormatError("is damaged: a header has no bounds")
    index, store = file.read(entries * _INDEX.size), file.read(size)
    if len(index) < entries * _INDEX.size or len(store) < size:
        raise FormatError("is cut off")
    found = {tag: (kind, at, count) for tag, kind, at, count in _INDEX.iter_unpack(index)}
    return _Header(found, store)


def _files(header: _Header) -> tuple[str, ...]:
    names, places = header.strings(_BASE_NAMES), header.numbers(_DIR_INDEXES)
    directories = header.strings(_DIR_NAMES)
    if len(names) != len(places) or any(place >= len(directories) for place in places):
        raise FormatError("is damaged: its list of files does not fit together")
    return tuple(directories[place] + name for name, place in zip(names, places, strict=True))
