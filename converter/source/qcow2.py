"""qcow2, versions 2 and 3 (QEMU: docs/interop/qcow2.txt). Numbers are big endian.

An image that names another file (backing file, external data file) is refused before anything
opens it; so is one that is encrypted, or marked as being written or as corrupt.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter.errors import GuestRefusedError
from converter.model import DiskFormat, SourceDisk
from converter.source.reader import damaged, truncated

if TYPE_CHECKING:
    from converter.source.reader import Reader

MAGIC: Final = b"QFI\xfb"
_DIRTY, _CORRUPT, _EXTERNAL, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_OFFSET: Final = 0x00FFFFFFFFFFFE00
_COMPRESSED: Final = 1 << 62
_DATA_FILE_NAME: Final = 0x44415441
_L1_LIMIT: Final = 32 << 20


def open_qcow2(reader: Reader) -> SourceDisk:
    """Read a qcow2's header and tables and check them."""
    header = reader.head(112).ljust(112, b"\0")
    version, backing_offset, _size, cluster_bits, size, crypt, l1_entries, l1_offset = (
        struct.unpack(">IQIIQIIQ", header[4:48])
    )
    if version not in (2, 3):
        raise damaged("qcow2-version", reader.name, f"a qcow2 of version {version}")
    features = struct.unpack_from(">Q", header, 72)[0] if version == 3 else 0
    if backing_offset:
        raise _foreign(reader, "a backing file", "qemu-img convert it into one without")
    _refuse_features(reader, features)
    if crypt:
        raise GuestRefusedError(
            "encrypted-disk",
            f"{reader.name}: is an encrypted qcow2",
            hint="decrypt it with qemu-img convert, then convert the result",
        )
    if size == 0:
        raise damaged("disk-size-zero", reader.name, "disk-image-size=0 has invalid format")
    if not 9 <= cluster_bits <= 21 or l1_entries * 8 > _L1_LIMIT:
        raise damaged("qcow2-header", reader.name, f"{l1_entries} L1 entries, 2^{cluster_bits}")
    _check_tables(reader, l1_offset, l1_entries, cluster_bits)
    return SourceDisk(
        reader.file.path.name, DiskFormat.QCOW2, f"version {version}", size, reader.file
    )


def _foreign(reader: Reader, what: str, cure: str) -> GuestRefusedError:
    return GuestRefusedError(
        "foreign-file",
        f"{reader.name}: names {what}; a disk image must be complete in itself",
        hint=cure,
    )


def _refuse_features(reader: Reader, features: int) -> None:
    if features & _EXTERNAL:
        raise _foreign(reader, "an external data file", "qemu-img convert it into one without")
    if features & _CORRUPT:
        raise damaged("qcow2-corrupt", reader.name, "is marked as corrupt by QEMU")
    if features & _DIRTY:
        raise damaged("qcow2-dirty", reader.name, "was not closed; run qemu-img check -r all")
    unknown = features & ~(_DIRTY | _CORRUPT | _EXTERNAL | _COMPRESSION | _EXTENDED_L2)
    if unknown:
        raise damaged("qcow2-features", reader.name, f"needs unknown features {unknown:#x}")


def _check_tables(reader: Reader, offset: int, entries: int, cluster_bits: int) -> None:
    """Check that every table, and the data of every cluster, lies in the file."""
    cluster = 1 << cluster_bits
    for (entry,) in struct.iter_unpack(">Q", reader.read(offset, entries * 8)):
        table = entry & _OFFSET
        if not table:
            continue
        if table + cluster > reader.length:
            raise truncated(reader.name, table + cluster, reader.length)
        for (item,) in struct.iter_unpack(">Q", reader.read(table, cluster)):
            # A compressed cluster's place is coarser; its start at least must be there.
            place = (
                item & ((1 << (70 - cluster_bits)) - 1) if item & _COMPRESSED else item & _OFFSET
            )
            if place >= reader.length:
                raise truncated(reader.name, place + cluster, reader.length)
