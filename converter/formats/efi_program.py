"""What an EFI program is: for which machine, whose, and what it will look for.

PE32(+) as in Microsoft's "PE Format" and UEFI 2.10, 2.1.1; the loaders are told by what they carry:
GRUB a section `mods` (`grub_modules`), systemd-boot `.sdmagic` (systemd-boot(7)), a unified kernel
image `.linux` (UAPI.5), shim the names of the programs that it starts.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from converter.formats import FormatError, grub_modules
from converter.formats.grub_modules import Modules

_EFI_APPLICATION: Final = 10
_PE32: Final = 0x10B
_PE32_PLUS: Final = 0x20B
# The specification of PE allows 96 sections.
_MOST_SECTIONS: Final = 96
_SECTION: Final = struct.Struct("<8sIIII16x")
_MACHINES: Final = {0x8664: "x86_64", 0xAA64: "aarch64", 0x14C: "i386"}
# shim names its programs in UCS-2: "\\grubx64.efi", "\mmx64.efi", "\EFI\BOOT\fbx64.efi", …
_NAME: Final = re.compile(rb"\\\0((?:[A-Za-z0-9_-]\0){2,16}\.\0e\0f\0i\0)\0\0")


class Kind(StrEnum):
    """Whose program it is."""

    SHIM = "shim"
    GRUB = "grub"
    SYSTEMD_BOOT = "systemd-boot"
    UKI = "unified-kernel-image"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Program:
    """An EFI program. `machine` is as in `LinuxFacts.architecture`, or the PE number in hex.

    Of a shim: the names of what it starts (`second_stage`), of what it starts instead where that
    lies beside it in EFI/BOOT (`fallback`), and of its key manager. Of a GRUB: `modules`.
    """

    machine: str
    kind: Kind
    second_stage: str = ""
    fallback: str = ""
    key_manager: str = ""
    modules: Modules = field(default_factory=lambda: Modules(()))


def parse(data: bytes) -> Program:
    """Read a program. Raises `FormatError` for what firmware would not start."""
    machine, sections = _headers(data)
    # Each may be said to be the whole file: only what is looked at is taken out of it.
    found = {name: slice(start, start + size) for name, start, size in sections}
    if b"mods" in found:
        parse_list = grub_modules.parse32 if machine == "i386" else grub_modules.parse64
        return Program(machine, Kind.GRUB, modules=parse_list(data[found[b"mods"]]))
    if b".linux" in found:
        return Program(machine, Kind.UKI)
    magic = found.get(b".sdmagic", slice(0))
    if data[magic].startswith(b"#### LoaderInfo: systemd-boot"):
        return Program(machine, Kind.SYSTEMD_BOOT)
    return _shim(machine, data) or Program(machine, Kind.OTHER)


def machine(header: bytes) -> str:
    """Give the machine of a Windows or EFI program, which begins with `header`.

    Raises `FormatError` for what is none.
    """
    (at,) = _unpack("<I", header, 0x3C)
    if header[:2] != b"MZ" or header[at : at + 4] != b"PE\0\0":
        raise FormatError("is no program: it has no PE header")
    (number,) = _unpack("<H", header, at + 4)
    return _MACHINES.get(number, f"{number:#x}")


def _headers(data: bytes) -> tuple[str, list[tuple[bytes, int, int]]]:
    """Give the machine and the sections: name, place in the file, size."""
    found = machine(data)
    (at,) = _unpack("<I", data, 0x3C)
    count, optional = _unpack("<H12xH", data, at + 6)
    magic, subsystem = _unpack("<H66xH", data, at + 24)
    if magic not in (_PE32, _PE32_PLUS) or subsystem != _EFI_APPLICATION:
        raise FormatError(f"is no EFI application: PE {magic:#x}, subsystem {subsystem}")
    if not 0 < count <= _MOST_SECTIONS:
        raise FormatError(f"is no EFI program: it has {count} sections")
    table = at + 24 + optional
    sections = []
    for index in range(count):
        name, _, _, size, start = _unpack(_SECTION.format, data, table + index * _SECTION.size)
        if start + size > len(data):
            raise FormatError(f"is cut off: a section ends at {start + size} of {len(data)}")
        sections.append((name.rstrip(b"\0"), start, size))
    return found, sections


def _unpack(form: str, data: bytes, at: int) -> tuple[Any, ...]:
    try:
        return struct.unpack_from(form, data, at)
    except struct.error as error:
        raise FormatError(f"is cut off: it has {len(data)} bytes") from error


def _shim(machine: str, data: bytes) -> Program | None:
    names = [match[1].decode("utf-16-le") for match in _NAME.finditer(data)]

    def first(*beginnings: str) -> str:
        return next((name for name in names if name.lower().startswith(beginnings)), "")

    second_stage, key_manager = first("grub"), first("mm", "mokmanager")
    if not second_stage or not key_manager:
        return None
    return Program(machine, Kind.SHIM, second_stage, first("fb", "fallback"), key_manager)
