"""cpio archives in the "newc" format, as the Linux kernel reads and this converter writes them.

Format: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst. A header is 110
bytes: a magic (070701, or 070702 with a checksum that the sum of the data's bytes must match) and
13 fields of 8 hexadecimal digits; name and data follow, each padded to a multiple of 4 from the
start of the archive. The entry `TRAILER!!!` ends an archive; zero bytes may follow any entry.

Names are kept byte for byte: what is not UTF-8 appears with surrogate escapes (`os.fsdecode`).
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MAGICS: Final = (b"070701", b"070702")
_CHECKED: Final = b"070702"
TRAILER: Final = "TRAILER!!!"
HEADER: Final = 110
# The kernel skips entries with longer names and link targets (PATH_MAX).
_NAME_LIMIT: Final = 4096
_FIELD: Final = 8
_PIECE: Final = 4096


@dataclass(frozen=True, slots=True)
class Header:
    """One entry without its data; `offset` is the header's place in the stream.

    `mode` has the file type bits of stat(2). `device` and `inode` tell which entries with
    `nlink` ≥ 2 are names of one file, up to the next trailer.
    """

    offset: int
    name: str
    mode: int
    uid: int
    gid: int
    nlink: int
    mtime: int
    size: int
    inode: int
    device: tuple[int, int]
    rdev: tuple[int, int]
    checksum: int | None = None

    @property
    def is_trailer(self) -> bool:
        """Tell whether this entry ends its archive."""
        return self.name == TRAILER


@dataclass(frozen=True, slots=True)
class Entry(Header):
    """One entry with its data; `data` is None where it was not asked for."""

    data: bytes | None = None


class Source:
    """Bytes that come in chunks, read front to back, at most `limit` of them in all."""

    def __init__(self, chunks: Iterable[bytes], *, limit: int) -> None:
        """Read from `chunks`, which may be empty, and of any size."""
        self._chunks = iter(chunks)
        self._limit = limit
        self._buffer = b""
        self._position = 0
        self.offset = 0

    def _fill(self) -> bool:
        """Get another chunk when all is read; tell whether there is anything to read."""
        while self._position == len(self._buffer):
            chunk = next(self._chunks, None)
            if chunk is None:
                return False
            self._buffer, self._position = chunk, 0
        return True

    def peek(self) -> int | None:
        """Give the next byte without reading it; None at the end."""
        return self._buffer[self._position] if self._fill() else None

    def _take(self, count: int) -> Iterator[bytes]:
        """Read `count` bytes, in pieces. Raises `FormatError` if there are fewer."""
        if self.offset + count > self._limit:
            raise FormatError(
                f"cpio archive: more than {self._limit} bytes at offset {self.offset}"
            )
        while count:
            if not self._fill():
                raise FormatError(f"cpio archive: cut off at offset {self.offset}")
            piece = self._buffer[self._position : self._position + count]
            self._position += len(piece)
            self.offset += len(piece)
            count -= len(piece)
            yield piece

    def read(self, count: int) -> bytes:
        """Give the next `count` bytes. Raises `FormatError` if there are fewer."""
        return b"".join(self._take(count))

    def skip(self, count: int) -> int:
        """Pass over `count` bytes; give the sum of them (mod 2^32), as the checksum needs it."""
        return sum(sum(piece) for piece in self._take(count)) & 0xFFFFFFFF

    def drop(self, count: int) -> None:
        """Pass over `count` bytes. Raises `FormatError` if there are fewer."""
        for _ in self._take(count):
            pass

    def skip_zeros(self) -> None:
        """Pass over the zero bytes that come next."""
        while self.peek() == 0:
            piece = self._buffer[self._position : self._position + _PIECE]
            zeros = len(piece) - len(piece.lstrip(b"\0"))
            self._position += zeros
            self.offset += zeros


def no_data(_header: Header) -> bool:
    """Ask for no entry's data: the `keep` of who wants names only."""
    return False


def all_data(_header: Header) -> bool:
    """Ask for every entry's data."""
    return True


def read(source: Source, *, keep: Callable[[Header], bool] = all_data) -> Iterator[Entry]:
    """Give the entries of concatenated archives, trailers included, to the end of `source`.

    The data of symlinks always comes along, that of other entries where `keep` says so. Zero
    bytes between entries are passed over, as the kernel does. Raises `FormatError` with the
    offset where the archive is damaged or cut off.
    """
    while True:
        source.skip_zeros()
        if source.peek() is None:
            return
        yield read_entry(source, keep=keep)


def read_entry(source: Source, *, keep: Callable[[Header], bool] = all_data) -> Entry:
    """Give the entry at which `source` stands; see `read`."""
    header = _read_header(source)
    wanted = stat.S_ISLNK(header.mode) or keep(header)
    data = source.read(header.size) if wanted else None
    if header.checksum is not None and stat.S_ISREG(header.mode):
        found = source.skip(header.size) if data is None else sum(data) & 0xFFFFFFFF
        if found != header.checksum:
            raise FormatError(
                f"cpio entry at offset {header.offset}: checksum {header.checksum:#x} is recorded"
                f" for {header.name}, {found:#x} found"
            )
    elif data is None:
        source.drop(header.size)
    if source.peek() is not None:
        # The last entry of an archive that was cut from a longer one may lack its padding.
        source.drop(-header.size % 4)
    return _with_data(header, data)


def _with_data(header: Header, data: bytes | None) -> Entry:
    return Entry(
        **{field: getattr(header, field) for field in Header.__dataclass_fields__}, data=data
    )


def _read_header(source: Source) -> Header:
    offset = source.offset
    raw = source.read(HEADER)
    magic = raw[:6]
    if magic not in MAGICS:
        raise FormatError(f"cpio entry at offset {offset}: its magic is {magic!r}, not 070701")
    fields = _fields(raw, offset)
    name_size = fields[11]
    if not 0 < name_size <= _NAME_LIMIT:
        raise FormatError(f"cpio entry at offset {offset}: a name of {name_size} bytes")
    name = source.read(name_size)
    source.drop(-(HEADER + name_size) % 4)
    if name[-1] != 0:
        raise FormatError(f"cpio entry at offset {offset}: its name does not end in a zero byte")
    header = Header(
        offset=offset,
        name=name.split(b"\0", 1)[0].decode("utf-8", "surrogateescape"),
        inode=fields[0],
        mode=fields[1],
        uid=fields[2],
        gid=fields[3],
        nlink=fields[4],
        mtime=fields[5],
        size=fields[6],
        device=(fields[7], fields[8]),
        rdev=(fields[9], fields[10]),
        checksum=fields[12] if magic == _CHECKED else None,
    )
    if stat.S_ISLNK(header.mode) and header.size > _NAME_LIMIT:
        raise FormatError(f"cpio entry at offset {offset}: a link target of {header.size} bytes")
    return header


def _fields(raw: bytes, offset: int) -> list[int]:
    texts = [raw[at : at + _FIELD] for at in range(6, HEADER, _FIELD)]
    for text in texts:
        # int() would also take signs, spaces and underscores.
        if not text.isalnum():
            raise FormatError(f"cpio entry at offset {offset}: {text!r} is not a number")
    try:
        return [int(text, 16) for text in texts]
    except ValueError as error:
        raise FormatError(f"cpio entry at offset {offset}: {error}") from error


# --- writing --------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What `Item` can be, with the mode it gets."""

    DIRECTORY = "directory"
    FILE = "file"
    SYMLINK = "symlink"


_MODES: Final = {
    Kind.DIRECTORY: stat.S_IFDIR | 0o755,
    Kind.FILE: stat.S_IFREG | 0o644,
    Kind.SYMLINK: stat.S_IFLNK | 0o777,
}


@dataclass(frozen=True, slots=True)
class Item:
    """Something to write: `data` is a file's content or a link's target.

    `permissions` are the lower 12 bits of its mode; None for what is usual for its kind.
    """

    path: str
    kind: Kind = Kind.FILE
    data: bytes = b""
    permissions: int | None = None


def write(items: Iterable[Item]) -> bytes:
    """Give the newc archive of `items`, in their order, with its trailer.

    Everything belongs to root and is of the time 0; so the bytes depend on `items` alone. A
    directory must come before what is in it, or the kernel drops that. Paths have no leading `/`.
    """
    parts = [_entry(number, item) for number, item in enumerate(items, start=1)]
    parts.append(_raw(0, mode=0, nlink=1, name=TRAILER, data=b""))
    return b"".join(parts)


def _entry(inode: int, item: Item) -> bytes:
    nlink = 2 if item.kind is Kind.DIRECTORY else 1
    mode = _MODES[item.kind]
    if item.permissions is not None:
        mode = stat.S_IFMT(mode) | stat.S_IMODE(item.permissions)
    return _raw(inode, mode=mode, nlink=nlink, name=item.path, data=item.data)


def _raw(inode: int, *, mode: int, nlink: int, name: str, data: bytes) -> bytes:
    encoded = name.encode("utf-8", "surrogateescape") + b"\0"
    if len(encoded) > _NAME_LIMIT or b"\0" in encoded[:-1]:
        raise FormatError(f"cpio cannot hold the name {name!r}")
    if len(data) > 0xFFFFFFFF:
        raise FormatError(f"cpio cannot hold the {len(data)} bytes of {name}")
    numbers = (inode, mode, 0, 0, nlink, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = MAGICS[0] + b"".join(b"%08X" % number for number in numbers)
    return _padded(header + encoded) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
