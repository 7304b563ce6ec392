"""What files come in: directories, zip and tar archives, cabinets, installer packages, ISO images.

A container is opened only when all of it is sound; then it has members, of which single ones can be
unpacked. Cabinets are read by cabextract(1), Windows Installer packages by msiinfo(1): both keep to
the one file they are given, write to their standard output, and are ended when that has no end.
Neither is trusted with a name. The libraries for Python know one of the compressions that vendors
use (MSZIP, and not LZX), or are one person's.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TYPE_CHECKING, Final, Protocol

from converter import process
from converter.archive import CONTENT_LIMIT, MEMBER_LIMIT, check_archive, check_windows_name
from converter.bundles import Format
from converter.errors import ConversionError, HostError
from converter.formats import FormatError, cabinet, installer
from converter.iso import Image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_ISO_LIMIT: Final = 8 << 30
_ISO_MEMBERS: Final = 100_000
_ISO_PLACE: Final = 0x8001
# ECMA-119, and UDF without it.
_ISO_MAGIC: Final = (b"CD001", b"BEA01")
_CABINETS: Final = 32
_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a container: its place, its path there (with `/`), and what messages call it."""

    number: int
    name: str
    size: int
    origin: str


class Container(Protocol):
    """Files, of which single ones can be had."""

    @property
    def members(self) -> tuple[Member, ...]:
        """Every file there is."""

    def unpack(self, member: Member) -> Path:
        """Give a file of this machine with what is in a member."""

    def close(self) -> None:
        """End it; what was unpacked stays."""


def open_container(path: Path, origin: str, work: Path) -> Container:
    """Open what `path` is by its first bytes; what is unpacked goes into the directory `work`.

    Raises `FormatError` for what is damaged or hostile, and `HostError` ``tool-missing``.
    """
    with path.open("rb") as file:
        start = file.read(len(installer.MAGIC))
        file.seek(_ISO_PLACE)
        if file.read(len(_ISO_MAGIC[0])) in _ISO_MAGIC:
            return Iso(path, origin, work)
    if start.startswith(cabinet.MAGIC):
        return Cabinet(path, origin, work)
    if start == installer.MAGIC:
        return Installer(path, origin, work)
    return Zip(path, origin, work) if zipfile.is_zipfile(path) else Tar(path, origin, work)


class Files:
    """Files of this machine, below a directory."""

    def __init__(self, root: Path, names: Iterable[str]) -> None:
        """Take the files `names` below `root`, where they are."""
        self._root = root
        self.members = tuple(
            Member(number, name, (root / name).stat().st_size, str(root / name))
            for number, name in enumerate(names)
        )

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        return self._root / member.name

    def close(self) -> None:
        """See `Container`."""


def walk(root: Path) -> Iterator[str]:
    """Give the files below a directory, without links."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix()


class Zip:
    """A zip archive, or a program with one at its end."""

    def __init__(self, path: Path, origin: str, work: Path) -> None:
        """Read it to its end."""
        with path.open("rb") as file:
            check_archive(file, Format.ZIP)
        self._work = work
        self._archive = zipfile.ZipFile(path)
        self._entries = [entry for entry in self._archive.infolist() if not entry.is_dir()]
        self.members = _members(origin, [(e.filename, e.file_size) for e in self._entries])

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        with self._archive.open(self._entries[member.number]) as content:
            return _written(self._work, lambda file: shutil.copyfileobj(content, file))

    def close(self) -> None:
        """See `Container`."""
        self._archive.close()


class Tar:
    """A tar archive, compressed or not."""

    def __init__(self, path: Path, origin: str, work: Path) -> None:
        """Read it to its end."""
        with path.open("rb") as file:
            check_archive(file, Format.TAR)
        self._work = work
        self._archive = tarfile.open(path)  # noqa: SIM115 - closed with the container
        self._entries = [entry for entry in self._archive if entry.isreg()]
        self.members = _members(origin, [(e.name, e.size) for e in self._entries])

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        content = self._archive.extractfile(self._entries[member.number])
        if content is None:
            raise FormatError(f"{member.name[:200]!r} is no file")
        with content:
            return _written(self._work, lambda file: shutil.copyfileobj(content, file))

    def close(self) -> None:
        """See `Container`."""
        self._archive.close()


class Cabinet:
    """A cabinet: all of it is unpacked into one file, as its files follow each other."""

    def __init__(self, path: Path, origin: str, work: Path) -> None:
        """Read it to its end."""
        self._work = work
        with path.open("rb") as file:
            found = [(entry.name, entry.size) for entry in cabinet.read_directory(file)]
        total = _check(found)
        self._content = _written(
            work, lambda file: _pour("cabextract", ["-q", "-s", "-p", path], file, total)
        )
        length = self._content.stat().st_size
        if length != total:
            raise FormatError(f"is damaged: {length} bytes of {total} come out of it")
        self._starts = list(accumulate((size for _, size in found), initial=0))
        self.members = _members(origin, found)

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        with self._content.open("rb") as content:
            content.seek(self._starts[member.number])
            return _written(self._work, lambda file: _copy(content, file, member.size))

    def close(self) -> None:
        """See `Container`."""
        self._content.unlink(missing_ok=True)


class Installer:
    """A Windows Installer package: its cabinets, with the names that its tables have."""

    def __init__(self, path: Path, origin: str, work: Path) -> None:
        """Read it to its end."""
        self._path, self._work = path, work
        streams = installer.cabinets(self._table("Media"))
        if len(streams) > _CABINETS:
            raise FormatError(f"has {len(streams)} cabinets")
        names = installer.names(*map(self._table, ("File", "Component", "Directory")))
        self._cabinets = [Cabinet(self._stream(name), origin, work) for name in streams]
        # The place of a file that has a name: in which cabinet, and which of it.
        self._places = [
            (found, member)
            for found in self._cabinets
            for member in found.members
            if member.name in names
        ]
        files = [(names[member.name], member.size) for _, member in self._places]
        _check(files)
        self.members = _members(origin, files)

    def _table(self, name: str) -> Sequence[dict[str, str]]:
        return read_table(self._path, name, self._work)

    def _stream(self, name: str) -> Path:
        return _written(
            self._work,
            lambda file: _pour("msiinfo", ["extract", self._path, name], file, CONTENT_LIMIT),
        )

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        found, packed = self._places[member.number]
        return found.unpack(packed)

    def close(self) -> None:
        """See `Container`."""
        for found in self._cabinets:
            found.close()


def read_table(path: Path, name: str, work: Path) -> tuple[dict[str, str], ...]:
    """Give the rows of a table of a Windows Installer package."""
    table = _written(
        work, lambda file: _pour("msiinfo", ["export", path, name], file, installer.TABLE_LIMIT)
    )
    return installer.read_table(table.read_bytes())


class Iso:
    """An ISO image."""

    def __init__(self, path: Path, origin: str, work: Path) -> None:
        """Read its directories to their end."""
        self._work = work
        self._image = Image(path)
        try:
            self._paths = list(self._bounded())
        except BaseException:
            self._image.close()
            raise
        # A version's number is no part of a file's name (ECMA-119, 7.5.1).
        files = [(path.partition(";")[0].lstrip("/"), size) for path, size in self._paths]
        self.members = _members(origin, files)

    def _bounded(self) -> Iterator[tuple[str, int]]:
        total = 0
        for number, (path, size) in enumerate(self._image.files(), 1):
            total += size
            if total > _ISO_LIMIT or number > _ISO_MEMBERS:
                raise FormatError(
                    f"{path[:200]!r} ({size} bytes): with it, the image holds {total} bytes in"
                    f" {number} files, more than any vendor's"
                )
            yield path, size

    def unpack(self, member: Member) -> Path:
        """See `Container`."""
        path, size = self._paths[member.number]
        return _written(self._work, lambda file: self._image.read_into(path, size, file))

    def close(self) -> None:
        """See `Container`."""
        self._image.close()


def _members(origin: str, files: Iterable[tuple[str, int]]) -> tuple[Member, ...]:
    return tuple(
        Member(number, name.replace("\\", "/"), size, f"{origin}!{name}")
        for number, (name, size) in enumerate(files)
    )


def _check(files: Sequence[tuple[str, int]]) -> int:
    """Give how long all of `files` are. Raises `FormatError` where one should not be unpacked."""
    if len(files) > MEMBER_LIMIT:
        raise FormatError(f"has more than {MEMBER_LIMIT} members")
    for name, _ in files:
        check_windows_name(name)
    total = sum(size for _, size in files)
    if total > CONTENT_LIMIT:
        raise FormatError(f"holds {total} bytes, more than any vendor's")
    return total


def _written(work: Path, write: Callable[[IO[bytes]], object]) -> Path:
    with NamedTemporaryFile(dir=work, delete=False) as file:
        write(file)
    return Path(file.name)


def _copy(source: IO[bytes], target: IO[bytes], size: int) -> None:
    while size > 0 and (piece := source.read(min(size, 1 << 20))):
        target.write(piece)
        size -= len(piece)


# The packages of Debian that have a tool, and what it is for.
_TOOLS: Final = {
    "cabextract": ("cabextract", "cabinets"),
    "msiinfo": ("msitools", "Windows Installer packages"),
}


def _pour(tool: str, arguments: Sequence[str | Path], file: IO[bytes], limit: int) -> None:
    """Write what a tool makes of the files among its arguments: at most `limit` bytes."""
    package, what = _TOOLS[tool]
    if shutil.which(tool) is None:
        raise HostError(
            "tool-missing",
            f"{tool} is not installed: without it, {what} cannot be read",
            hint=f"apt-get install {package}, or unpack it elsewhere and import the directory",
        )
    read = [item for item in arguments if isinstance(item, Path)]
    argv = [tool, *map(str, arguments)]
    try:
        done = process.pour(argv, file, read=read, limit=limit, timeout=_SECONDS)
    except ConversionError as error:
        if error.code != "tool-timeout":
            raise
        raise FormatError(f"takes longer to read than any vendor's: {error.message}") from error
    if done.status != 0:
        reason = " ".join(done.reason.split()) if done.stderr else f"{tool} gave up on it"
        raise FormatError(f"cannot be read, or holds more than it says: {reason}")
