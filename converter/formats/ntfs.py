"""Whether an NTFS was unmounted cleanly, by its own words: the volume's flags, and the journal's.

Only the boot sector, two records of the master file table and two pages of the journal are read.
Windows throws nothing away that its journal holds, but ntfs-3g does: it empties a journal that was
not closed. Sources: the structures as the Linux kernel documents them (fs/ntfs3/ntfs.h), and
"NTFS Documentation", Linux-NTFS project.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

OEM: Final = b"NTFS    "
_SECTOR: Final = 512
_LOGFILE, _VOLUME = 2, 3
_VOLUME_INFORMATION: Final = 0x70
_DATA: Final = 0x80
_END: Final = 0xFFFFFFFF
_VOLUME_IS_DIRTY: Final = 0x0001
_RESTART_IS_CLEAN: Final = 0x0002
_NO_CLIENT: Final = 0xFFFF
_PAGE: Final = 4096
# Offsets are signed numbers of 64 bits wherever a disk is read.
_FARTHEST: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class State:
    """`is_dirty`: the journal was not closed; `has_errors`: Windows is to check the volume."""

    is_dirty: bool
    has_errors: bool


@dataclass(frozen=True, slots=True)
class _Geometry:
    """What the boot sector says, in bytes."""

    sector: int
    cluster: int
    mft: int
    record: int


def read_state(read: Read) -> State:
    """Read the state of the volume that `read` gives bytes of, by offset and length.

    Raises `FormatError` for what is no NTFS, or a damaged one.
    """

    def bounded(offset: int, length: int) -> bytes:
        if offset + length > _FARTHEST:
            raise FormatError(f"leads to byte {offset}, which no disk has")
        return read(offset, length)

    geometry = _geometry(bounded(0, _SECTOR))
    flags = _volume_flags(_record(bounded, geometry, _VOLUME))
    return State(
        is_dirty=_is_open(bounded, geometry, _record(bounded, geometry, _LOGFILE)),
        has_errors=bool(flags & _VOLUME_IS_DIRTY),
    )


def _geometry(boot: bytes) -> _Geometry:
    if len(boot) < _SECTOR or boot[3:11] != OEM:
        raise FormatError("is no NTFS")
    sector, per_cluster = struct.unpack_from("<HB", boot, 11)
    mft = struct.unpack_from("<Q", boot, 48)[0]
    size = struct.unpack_from("<b", boot, 64)[0]
    if sector not in (512, 1024, 2048, 4096):
        raise FormatError(f"has sectors of {sector} bytes")
    # Large clusters are written as a power of two, negated.
    count = per_cluster if per_cluster <= 0x80 else 1 << min(256 - per_cluster, 31)
    cluster = sector * count
    record = size * cluster if size > 0 else 1 << min(-size, 31)
    if not (0 < cluster <= 2 << 20) or not (_SECTOR <= record <= 64 << 10):
        raise FormatError(f"has clusters of {cluster} bytes and file records of {record}")
    return _Geometry(sector, cluster, mft * cluster, record)


def _record(read: Read, geometry: _Geometry, number: int) -> bytes:
    """Give a record of the master file table, whose first ones lie together."""
    data = read(geometry.mft + number * geometry.record, geometry.record)
    if len(data) < geometry.record or data[:4] != b"FILE":
        raise FormatError(f"file record {number} is none")
    return _fixed_up(data, f"file record {number}")


def _fixed_up(data: bytes, what: str) -> bytes:
    """Undo what tells sectors apart that were not written together (the update sequence)."""
    at, count = struct.unpack_from("<HH", data, 4)
    sectors = len(data) // _SECTOR
    if count < 2 or count - 1 > sectors or at + 2 * count > len(data):
        raise FormatError(f"{what} is damaged: its update sequence has {count} numbers")
    fixed = bytearray(data)
    for index in range(1, count):
        end = index * _SECTOR
        if data[end - 2 : end] != data[at : at + 2]:
            raise FormatError(f"{what} is damaged: it was not written to its end")
        fixed[end - 2 : end] = data[at + 2 * index : at + 2 * index + 2]
    return bytes(fixed)


def _attributes(record: bytes) -> Iterator[tuple[int, bytes]]:
    """Give each attribute's type, and all of it."""
    at = struct.unpack_from("<H", record, 20)[0]
    while at + 8 <= len(record):
        kind, length = struct.unpack_from("<II", record, at)
        if kind == _END:
            return
        if length < 16 or at + length > len(record):
            raise FormatError(f"a file record is damaged: an attribute has {length} bytes")
        yield kind, record[at : at + length]
        at += length


def _volume_flags(record: bytes) -> int:
    for kind, attribute in _attributes(record):
        if kind == _VOLUME_INFORMATION and not attribute[8] and len(attribute) >= 24:
            at = struct.unpack_from("<H", attribute, 20)[0]
            if at + 12 <= len(attribute):
                return int(struct.unpack_from("<H", attribute, at + 10)[0])
    raise FormatError("the volume's own record has no flags")


def _is_open(read: Read, geometry: _Geometry, record: bytes) -> bool:
    """Tell whether the journal was in use last, by the newer of its two restart pages.

    A page that was not written to its end does not count: that is why there are two. Where neither
    does, nobody can tell what the journal holds.
    """
    start = _first_run(record)
    if start is None:
        return False  # an empty file: ntfs-3g and mkntfs leave none, Windows makes it anew
    both = read(start * geometry.cluster, 2 * _PAGE)
    pages = [both[:_PAGE], both[_PAGE:]]
    if all(page == b"\xff" * _PAGE for page in pages):
        return False  # emptied by ntfs-3g, and nothing was written since
    areas = [area for page in pages if (area := _restart_area(page))]
    if not areas:
        return True
    newest = max(areas, key=lambda area: int.from_bytes(area[:8], "little"))
    in_use, flags = struct.unpack_from("<HH", newest, 12)
    return in_use != _NO_CLIENT and not flags & _RESTART_IS_CLEAN


def _restart_area(page: bytes) -> bytes | None:
    if len(page) < _PAGE or page[:4] not in (b"RSTR", b"CHKD"):
        return None
    try:
        page = _fixed_up(page, "a restart page of the journal")
    except FormatError:
        return None
    at = struct.unpack_from("<H", page, 24)[0]
    return page[at : at + 48] if 30 <= at <= _PAGE - 48 else None


def _first_run(record: bytes) -> int | None:
    """Give the first cluster of a file that is not inside its record."""
    for kind, attribute in _attributes(record):
        if kind != _DATA:
            continue
        if not attribute[8] or len(attribute) < 48:
            return None
        at = struct.unpack_from("<H", attribute, 32)[0]
        header = attribute[at] if at < len(attribute) else 0
        lengths, offsets = header & 15, header >> 4
        end = at + 1 + lengths + offsets
        if not header or not 0 < offsets <= 8 or end > len(attribute):
            return None
        first = int.from_bytes(attribute[at + 1 + lengths : end], "little", signed=True)
        if first < 0:
            raise FormatError("the journal ($LogFile) lies before the volume")
        return first
    return None
