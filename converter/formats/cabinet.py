"""The directory of a cabinet: what its files are called, and how long they are.

[MS-CAB], 2.1 to 2.4: CFHEADER, then the CFFILE entries that it points to. What is in the files is
compressed in folders of several, by methods of Microsoft's own: that is cabextract's work. Cabinets
that go on in others are refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC: Final = b"MSCF"
_HEADER: Final = struct.Struct("<4s4xI4xI4xBBHHHHH")
_FILE: Final = struct.Struct("<IIHHHH")
_CONTINUED: Final = 0x0003
_UTF8: Final = 0x0080
_NAME: Final = 256


@dataclass(frozen=True, slots=True)
class File:
    """A file of a cabinet, by the name that it has there."""

    name: str
    size: int


def read_directory(file: BinaryIO) -> tuple[File, ...]:
    """Give the files of a cabinet, in its order. Raises `FormatError`."""
    file.seek(0)
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size or not header.startswith(MAGIC):
        raise FormatError("is no cabinet")
    _, _, start, _, major, _, number, flags, _, _ = _HEADER.unpack(header)
    if major != 1:
        raise FormatError(f"is a cabinet of version {major}, and not 1")
    if flags & _CONTINUED:
        raise FormatError("is one cabinet of several")
    file.seek(start)
    data = file.read(number * (_FILE.size + _NAME))
    files = []
    place = 0
    for _ in range(number):
        found, place = _file(data, place)
        files.append(found)
    return tuple(files)


def _file(data: bytes, place: int) -> tuple[File, int]:
    """Give the entry at `place`, and where the next one is."""
    name = place + _FILE.size
    end = data.find(b"\0", name, name + _NAME)
    if end < 0:
        raise FormatError("its directory is damaged, or cut off")
    size, _, _, _, _, attributes = _FILE.unpack_from(data, place)
    encoding = "utf-8" if attributes & _UTF8 else "latin-1"
    return File(data[name:end].decode(encoding, "replace").replace("\\", "/"), size), end + 1
