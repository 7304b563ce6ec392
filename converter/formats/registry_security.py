"""The security of a hive's keys (sk records): shared by many keys, and counted.

Specification: Maxim Suhanov, "Windows registry file format specification". The records are in a
ring. What is in them is not looked at: new keys share the record of the key above.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats.registry_cells import damaged

if TYPE_CHECKING:
    from converter.formats.registry_cells import Cells

_RECORD: Final = struct.Struct("<2sHIIII")
_NEXT_AT: Final = 4
_PREVIOUS_AT: Final = 8
_COUNT_AT: Final = 12
_U32: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Security:
    """An sk record: its neighbours in the ring, and how many keys share it."""

    next: int
    previous: int
    count: int


def read(cells: Cells, offset: int) -> Security:
    """Read the record at `offset`."""
    content = cells.read(offset, _RECORD.size)
    if len(content) < _RECORD.size or not content.startswith(b"sk"):
        raise damaged(f"no sk record is at {offset:#x}")
    _, _, following, previous, count, size = _RECORD.unpack_from(content)
    if size > cells.capacity(offset) - _RECORD.size:
        raise damaged(f"the sk record at {offset:#x} has {size} bytes")
    return Security(following, previous, count)


def share(cells: Cells, offset: int) -> None:
    """Count one key more."""
    count = read(cells, offset).count
    if count == 0xFFFFFFFF:
        raise damaged(f"the sk record at {offset:#x} has too many keys")
    cells.write(offset, _U32.pack(count + 1), at=_COUNT_AT)


def release(cells: Cells, offset: int) -> None:
    """Count one key less; the record of the last one goes."""
    record = read(cells, offset)
    if record.count > 1:
        cells.write(offset, _U32.pack(record.count - 1), at=_COUNT_AT)
        return
    check_ring(cells, offset, record)
    cells.write(record.previous, _U32.pack(record.next), at=_NEXT_AT)
    cells.write(record.next, _U32.pack(record.previous), at=_PREVIOUS_AT)
    cells.free(offset)


def check_ring(cells: Cells, offset: int, record: Security) -> None:
    """Refuse a record whose neighbours do not know it."""
    following, previous = read(cells, record.next), read(cells, record.previous)
    if following.previous != offset or previous.next != offset:
        raise damaged(f"the sk record at {offset:#x} is not in the ring of its neighbours")
