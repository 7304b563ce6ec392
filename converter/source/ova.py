"""OVA: a tar (POSIX.1 ustar and pax, GNU) of one OVF, its disks and perhaps a manifest.

Members are never unpacked: each is a stretch of the archive. Only plain files with plain names
count as members; a link, a device or a name with a path in it is refused. `./NAME`, which tar
writes when it is told to, is NAME. The archive is read here rather than by tarfile, which reads
headers of any size, and takes a damaged one for the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import DamagedInputError, GuestRefusedError
from converter.source.reader import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.model import ByteRange
    from converter.source.reader import Reader

MAGIC: Final = b"ustar"
MAGIC_AT: Final = 257
_BLOCK: Final = 512
_MAX_HEADERS: Final = 4000
_MAX_EXTENSION: Final = 64 << 10
_MAX_EXTENSIONS: Final = 1 << 20
_PACK: Final = (
    "export the machine again, or make the OVA with ovftool; by hand: tar -C DIR -cf NAME.ova"
    " NAME.ovf DISK…"
)
# Type flags: files (the last is "contiguous"), GNU's long names, pax headers, directories.
_FILES: Final = (b"0", b"\0", b"7")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _DIRECTORY = b"L", b"K", b"x", b"g", b"5"
_SPARSE: Final = b"S"


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    kind: bytes
    data: int
    size: int


def first_name(reader: Reader) -> str:
    """Give the name of the first member of an archive, "" if there is none."""
    return next((header.name.removeprefix("./") for header in _headers(reader)), "")


def members(reader: Reader) -> dict[str, ByteRange]:
    """Give the members of an archive by their names, in its order.

    Raises `DamagedInputError` ``ova-tar-damaged``, ``truncated``; `GuestRefusedError`
    ``ova-member``.
    """
    found: dict[str, ByteRange] = {}
    for header in _headers(reader):
        name = header.name.removeprefix("./")
        if header.kind == _DIRECTORY and name in ("", "."):
            continue
        if name.startswith("._") and header.kind in _FILES:
            continue  # a Mac's attributes of the file of that name
        _check_member(reader, name, header, found)
        found[name] = reader.file.part(header.data, header.size)
    return found


def _check_member(reader: Reader, name: str, header: _Header, found: dict[str, ByteRange]) -> None:
    if header.kind == _SPARSE:
        raise _sparse(reader, name)
    if header.kind not in _FILES:
        raise _refused(reader, f"its member {name!r} is not a plain file")
    if "/" in name or name in ("", ".", ".."):
        raise _refused(reader, f"its member {name!r} has a path in its name")
    if name in found:
        raise _refused(reader, f"it has two members named {name!r}")


def _headers(reader: Reader) -> Iterator[_Header]:
    """Give every member's header, with what the extensions before it say."""
    offset, extended, extensions = 0, dict[str, str](), 0
    for _ in range(_MAX_HEADERS):
        if offset == reader.length:
            return  # not every writer ends the archive with two empty blocks
        block = reader.read(offset, _BLOCK)
        if not any(block):
            return
        header = _parse(reader, block, offset, extended)
        reader.check(header.data, header.size)
        # The padding of the last member may be missing.
        offset = min(header.data + -(-header.size // _BLOCK) * _BLOCK, reader.length)
        if header.kind in (_LONG_NAME, _PAX):
            extensions += header.size
            if extensions > _MAX_EXTENSIONS:
                raise _damaged(reader, f"its extended headers have {extensions} bytes")
            extended |= _extension(reader, header)
        elif header.kind not in (_LONG_LINK, _PAX_GLOBAL):
            yield header
            extended = {}
    raise _refused(reader, f"it has more than {_MAX_HEADERS} members")


def _parse(reader: Reader, block: bytes, offset: int, extended: dict[str, str]) -> _Header:
    """Read a header block (POSIX.1 pax, "ustar Interchange Format")."""
    total = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _number(block[148:156]) != total:
        raise _damaged(reader, f"the checksum of the header at byte {offset} is wrong")
    kind = block[156:157]
    own = kind in (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL)
    size = _number(block[124:136])
    if not own and "size" in extended:
        size = _decimal(extended["size"])
    if size is None:
        raise _damaged(reader, f"the header at byte {offset} has no size")
    name = _text(block[:100])
    if block[257:263] == b"ustar\0" and block[345]:
        name = f"{_text(block[345:500])}/{name}"
    if any(key.startswith("GNU.sparse.") for key in extended):
        raise _sparse(reader, name)
    name = name if own else extended.get("path", name)
    return _Header(name, kind, offset + _BLOCK, size)


def _extension(reader: Reader, header: _Header) -> dict[str, str]:
    """Read a GNU long name, or the records of a pax header."""
    if header.size > _MAX_EXTENSION:
        raise _damaged(reader, f"the extended header at byte {header.data} has {header.size} bytes")
    data = reader.read(header.data, header.size)
    if header.kind == _LONG_NAME:
        return {"path": _text(data)}
    records: dict[str, str] = {}
    while data.strip(b"\0"):
        length = _decimal(_text(data[:10].partition(b" ")[0])) or 0
        record, data = data[:length], data[length:]
        key, equals, value = record.partition(b" ")[2].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise _damaged(reader, f"the extended header at byte {header.data} cannot be read")
        records[_text(key)] = _text(value[:-1])
    return records


def _number(field: bytes) -> int | None:
    """Read a number: octal digits, or GNU's base 256 for what does not fit."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _decimal(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _damaged(reader: Reader, what: str) -> DamagedInputError:
    return damaged("ova-tar-damaged", reader.name, f"the archive is damaged: {what}")


def _refused(reader: Reader, what: str, *, hint: str = _PACK) -> GuestRefusedError:
    return GuestRefusedError("ova-member", f"{reader.name}: {what}", hint=hint)


def _sparse(reader: Reader, name: str) -> GuestRefusedError:
    return _refused(
        reader,
        f"its member {name!r} is a sparse file of GNU tar",
        hint="unpack it (tar -xf NAME), and give the disk or the OVF",
    )
