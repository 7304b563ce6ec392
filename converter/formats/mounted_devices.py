r"""How Windows names a partition: by its place on an MBR disk, or by its identifier in a GPT.

SYSTEM\MountedDevices has a value for each drive letter and each volume. Of a partition in a GPT its
data is the text ``DMIO:ID:`` and the partition's identifier; of one in an MBR the disk's signature
and the byte offset of the partition, 4 and 8 bytes. Other data (a device's path in UTF-16) names
removable drives. Source: Microsoft Learn, "Mount manager"; the forensic literature agrees.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats.registry import Value, ValueType, binary

if TYPE_CHECKING:
    from collections.abc import Mapping

_GPT: Final = b"DMIO:ID:"
_MBR: Final = struct.Struct("<IQ")


@dataclass(frozen=True, slots=True)
class MbrPlace:
    """A partition on an MBR disk: the disk's signature, and the partition's offset in bytes."""

    signature: int
    offset: int


def changed(
    values: Mapping[str, Value], *, places: Mapping[uuid.UUID, MbrPlace]
) -> dict[str, Value]:
    """Give the values that are another way when partitions of a GPT have `places` on an MBR.

    A value of any other partition stays: Windows ignores one whose partition is not there.
    """
    new = {}
    for name, value in values.items():
        identifier = _partition(value)
        if identifier is not None and identifier in places:
            place = places[identifier]
            new[name] = binary(_MBR.pack(place.signature, place.offset))
    return new


def _partition(value: Value) -> uuid.UUID | None:
    """Give the identifier of the partition that a value names; None if it names none in a GPT."""
    data = value.data
    if value.type != ValueType.BINARY or len(data) != len(_GPT) + 16 or not data.startswith(_GPT):
        return None
    return uuid.UUID(bytes_le=data[len(_GPT) :])
