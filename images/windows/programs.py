"""Programs: those that are really started, assembled here, and headers of those that never are."""

from __future__ import annotations

import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

from converter import process

_HERE: Final = Path(__file__).parent
_AMD64: Final = 0x8664
_NATIVE: Final = 1
_CONSOLE: Final = 3
_EFI: Final = 10


@cache
def assembled(name: str) -> bytes:
    """Give what `NAME.asm` is assembled to."""
    with tempfile.NamedTemporaryFile() as file:
        process.run(["nasm", "-f", "bin", "-o", file.name, str(_HERE / f"{name}.asm")])
        return Path(file.name).read_bytes()


def program(name: str) -> bytes:
    """Give an image for x86-64 that does nothing, of the kind that `name` is."""
    match Path(name).suffix:
        case ".efi":
            kind, flags = _EFI, 0x0022
        case ".sys":
            kind, flags = _NATIVE, 0x0022
        case ".dll":
            kind, flags = _CONSOLE, 0x2022
        case _:
            kind, flags = _CONSOLE, 0x0022
    optional = struct.pack(
        "<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20B, 14, 0, 0x200, 0, 0, 0x1000, 0x1000, 0x140000000,
        0x1000, 0x200, 10, 0, 0, 0, 6, 1, 0, 0x2000, 0x200, 0, kind, 0,
        0x100000, 0x1000, 0x100000, 0x1000, 0, 16,
    ) + bytes(16 * 8)  # fmt: skip
    section = struct.pack("<8sIIIIIIHHI", b".text", 1, 0x1000, 0x200, 0x200, 0, 0, 0, 0, 0x60000020)
    header = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40) + b"PE\0\0"
    header += struct.pack("<HHIIIHH", _AMD64, 1, 0, 0, 0, len(optional), flags)
    return (header + optional + section).ljust(0x200, b"\0") + b"\xc3".ljust(0x200, b"\0")
