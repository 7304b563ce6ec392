"""The kernel in a bzImage (Linux Documentation/arch/x86/boot.rst, protocol 2.08 and newer).

After its boot sectors and a program that unpacks it, there is a compressed ELF file. QEMU starts
such a file by itself if a note in it has an entry point for that (PVH: Xen's docs/misc/pvh.pandoc,
`XEN_ELFNOTE_PHYS32_ENTRY`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, compression

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETUP_SECTORS: Final = 0x1F1
_MAGIC: Final = 0x202
_VERSION: Final = 0x206
_PAYLOAD: Final = 0x248
_NEEDED: Final = 0x0208
_HEADER: Final = 0x250
# A kernel is a tenth of this.
_LIMIT: Final = 512 << 20

_ELF: Final = b"\x7fELF\2\1"
_PROGRAM_HEADERS: Final = struct.Struct("<32xQ14xHH")
_PROGRAM_HEADER: Final = struct.Struct("<IIQQQQQQ")
_NOTE: Final = struct.Struct("<III")
_PT_NOTE: Final = 4
_PVH_ENTRY: Final = (b"Xen\0", 18)


def kernel(image: bytes) -> bytes:
    """Give the ELF file in a bzImage. Raises `FormatError` when it is none, or damaged."""
    if len(image) < _HEADER or image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise FormatError("this is no bzImage")
    (version,) = struct.unpack_from("<H", image, _VERSION)
    if version < _NEEDED:
        raise FormatError(f"boot protocol {version:#06x} does not tell where the kernel is")
    offset, length = struct.unpack_from("<II", image, _PAYLOAD)
    start = (1 + (image[_SETUP_SECTORS] or 4)) * 512 + offset
    found, _ = compression.decompress(image[start : start + length], limit=_LIMIT)
    if not found.startswith(_ELF):
        raise FormatError("there is no 64-bit ELF file in the bzImage")
    return found


def starts_by_itself(kernel: bytes) -> bool:
    """Tell whether the kernel, an ELF file, has an entry point for PVH."""
    return any(note == _PVH_ENTRY for note in _notes(kernel))


def _notes(elf: bytes) -> Iterator[tuple[bytes, int]]:
    """Give owner and type of every note. Raises `FormatError` where they are cut off."""
    try:
        at, size, count = _PROGRAM_HEADERS.unpack_from(elf)
        for number in range(count):
            kind, _, offset, _, _, length, _, _ = _PROGRAM_HEADER.unpack_from(
                elf, at + number * size
            )
            if kind != _PT_NOTE:
                continue
            end = offset + length
            while offset < end:
                name, data, note = _NOTE.unpack_from(elf, offset)
                offset += _NOTE.size
                yield elf[offset : offset + name], note
                offset += _padded(name) + _padded(data)
    except (struct.error, OverflowError) as error:
        raise FormatError(f"the kernel's ELF headers are cut off: {error}") from error


def _padded(length: int) -> int:
    return (length + 3) & ~3
