"""What a GRUB 2 image carries behind its kernel: modules, prefix, configuration, a memory disk.

A list of objects, each with a header of its type and its size (header included); modules are ELF
files that name themselves in a section `.modname`. The list follows a header with a magic number
(GNU GRUB's include/grub/kernel.h: `grub_module_info`, `grub_module_header`); in an EFI program both
are the section `mods`, in BIOS images they follow the kernel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC: Final = b"mimg"
MODULE: Final = 0
CONFIG: Final = 2
PREFIX: Final = 3
_OBJECT: Final = struct.Struct("<II")
# magic, offset of the first object, size of everything; 64-bit platforms have wider fields.
_INFO32: Final = struct.Struct("<4sII")
_INFO64: Final = struct.Struct("<4sIQQ")
# GRUB with every module there is has about 300.
_MOST_OBJECTS: Final = 1024
_MOST_SECTIONS: Final = 256


@dataclass(frozen=True, slots=True)
class Object:
    """One object of the list: its type (`MODULE`, `CONFIG`, `PREFIX`, …) and its data."""

    type: int
    data: bytes

    @property
    def text(self) -> str:
        """The data of a `CONFIG` or `PREFIX`, which ends in a NUL."""
        return self.data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Modules:
    """The list of an image, in its order."""

    objects: tuple[Object, ...]

    @property
    def names(self) -> frozenset[str]:
        """The names of the modules."""
        return frozenset(module_name(item.data) for item in self.objects if item.type == MODULE)

    @property
    def prefix(self) -> str:
        """Where GRUB looks for the rest of itself: `(hd0,gpt1)/boot/grub` or `/EFI/debian`."""
        return self._text(PREFIX)

    @property
    def config(self) -> str:
        """What GRUB executes before anything else; "" for nothing."""
        return self._text(CONFIG)

    def _text(self, kind: int) -> str:
        return next((item.text for item in self.objects if item.type == kind), "")


def parse32(data: bytes) -> Modules:
    """Read the list of a 32-bit platform, its header first. Raises `FormatError`."""
    magic, start, size = _INFO32.unpack(_piece(data, 0, _INFO32.size))
    return _parse(data, magic, start, size)


def parse64(data: bytes) -> Modules:
    """Read the list of a 64-bit platform, its header first. Raises `FormatError`."""
    magic, _, start, size = _INFO64.unpack(_piece(data, 0, _INFO64.size))
    return _parse(data, magic, start, size)


def _parse(data: bytes, magic: bytes, start: int, size: int) -> Modules:
    if magic != MAGIC or not start <= size <= len(data):
        raise FormatError(f"no list of GRUB modules: {magic!r}, {start} to {size} of {len(data)}")
    return Modules(tuple(_objects(data[:size], start)))


def _objects(data: bytes, at: int) -> Iterator[Object]:
    for _ in range(_MOST_OBJECTS):
        if at == len(data):
            return
        kind, size = _OBJECT.unpack(_piece(data, at, _OBJECT.size))
        if size < _OBJECT.size or at + size > len(data):
            raise FormatError(f"a GRUB module of {size} bytes at {at} of {len(data)}")
        yield Object(kind, data[at + _OBJECT.size : at + size])
        at += size
    raise FormatError(f"more than {_MOST_OBJECTS} GRUB modules")


def build32(objects: Iterable[Object]) -> bytes:
    """Give the list as a 32-bit platform has it; objects are padded to four bytes."""
    body = b"".join(
        _OBJECT.pack(item.type, _OBJECT.size + len(padded)) + padded
        for item in objects
        for padded in [item.data + bytes(-len(item.data) % 4)]
    )
    return _INFO32.pack(MAGIC, _INFO32.size, _INFO32.size + len(body)) + body


def module_name(elf: bytes) -> str:
    """Give the name of a module by its section `.modname`; "" where there is none."""
    return _section_text(elf, b".modname")


def module_dependencies(elf: bytes) -> tuple[str, ...]:
    """Give the names of the modules that a module needs (`.moddeps`, NUL-separated)."""
    return tuple(name for name in _section(elf, b".moddeps").decode("latin-1").split("\0") if name)


def _section_text(elf: bytes, name: bytes) -> str:
    return _section(elf, name).partition(b"\0")[0].decode("latin-1")


def _section(elf: bytes, name: bytes) -> bytes:
    """Give a section of a little-endian ELF file (System V ABI, chapter 4); b"" without it."""
    if elf[:4] != b"\x7fELF" or elf[5:6] != b"\1":
        return b""
    try:
        sections = list(_sections(elf, wide=elf[4:5] == b"\2"))
    except FormatError:
        return b""
    for at, start, size in sections:
        if elf[at : at + len(name) + 1] == name + b"\0":
            return elf[start : start + size]
    return b""


def _sections(elf: bytes, *, wide: bool) -> Iterator[tuple[int, int, int]]:
    """Give each section: where its name stands in the file, where it starts, and its size."""
    if wide:
        (table,) = struct.unpack("<Q", _piece(elf, 0x28, 8))
        entry, count, names = struct.unpack("<HHH", _piece(elf, 0x3A, 6))
        header, size = struct.Struct("<I20xQQ"), 64
    else:
        (table,) = struct.unpack("<I", _piece(elf, 0x20, 4))
        entry, count, names = struct.unpack("<HHH", _piece(elf, 0x2E, 6))
        header, size = struct.Struct("<I12xII"), 40
    if entry < size or not names < count <= _MOST_SECTIONS:
        raise FormatError(f"an ELF file with {count} sections of {entry} bytes")
    found = [
        header.unpack(_piece(elf, table + index * entry, header.size)) for index in range(count)
    ]
    for name, start, length in found:
        yield found[names][1] + name, start, length


def _piece(data: bytes, at: int, size: int) -> bytes:
    piece = data[at : at + size]
    if len(piece) != size:
        raise FormatError(f"{size} bytes at {at} of {len(data)}")
    return piece
