"""Boot configuration data: the objects of a store, their elements, and the devices these name.

Decoded from the values' bytes alone, and in another way than they were made: a device is what is
at the places of its record, whichever store it comes from.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.windows.hives import Keys, Value

_FORMAT = 0x0F000000


@dataclass(frozen=True, slots=True)
class Device:
    """A partition: by its GUID and its disk's, or by its offset and its disk's signature.

    `path` is the file on it that becomes a RAM disk with `options`.
    """

    is_gpt: bool
    partition: str
    disk: str
    path: str = ""
    options: str = ""


Element = Device | str | list[str] | int | bool | bytes


@dataclass(frozen=True, slots=True)
class Object:
    """An object of a store."""

    type: int
    elements: dict[int, Element]


def read(keys: Keys) -> dict[str, Object]:
    """Give the objects in the keys of a store by their GUIDs, in lower case with braces."""
    names = {path.split("\\")[1] for path in keys if path.startswith("Objects\\")}
    objects = {}
    for name in names:
        base = rf"Objects\{name}"
        elements = {
            int(path.rpartition("\\")[2], 16): values["Element"]
            for path, values in keys.items()
            if path.startswith(rf"{base}\Elements") and "Element" in values
        }
        kind = keys[rf"{base}\Description"]["Type"].number
        decoded = {number: _element(number, value) for number, value in elements.items()}
        objects[name.lower()] = Object(kind, decoded)
    return objects


def _element(number: int, value: Value) -> Element:
    kind, data = (number & _FORMAT) >> 24, value.data
    match kind:
        case 1:
            assert value.type == 3
            return device(data)
        case 2 | 3:
            return value.text
        case 4:
            return value.texts
        case 5:
            assert value.type == 3
            assert len(data) == 8
            return int.from_bytes(data, "little")
        case 6:
            assert value.type == 3
            assert data in (b"\0", b"\1")
            return data == b"\1"
        case _:
            return data


def device(data: bytes) -> Device:
    """Decode a device; every byte that means nothing has to be zero."""
    if len(data) == 88:
        assert not any(data[:16])
        return _partition(data[16:])
    assert data[0x10:0x14] == bytes(4)
    assert int.from_bytes(data[0x18:0x1C], "little") == len(data) - 16
    assert data[0x20] == 3
    place = _partition(data[0x44:0x8C])
    path = data[0x8C:].decode("utf-16-le")
    assert path.endswith("\0")
    options = f"{{{uuid.UUID(bytes_le=data[:16])}}}"
    return Device(place.is_gpt, place.partition, place.disk, path[:-1], options)


def _partition(record: bytes) -> Device:
    assert len(record) == 0x48
    assert int.from_bytes(record[:4], "little") == 6
    assert int.from_bytes(record[8:12], "little") == 0x48
    for unused in (record[4:8], record[12:16], record[0x20:0x24], record[0x38:]):
        assert not any(unused)
    is_gpt = {0: True, 1: False}[int.from_bytes(record[0x24:0x28], "little")]
    place, disk = record[0x10:0x20], record[0x28:0x38]
    if is_gpt:
        return Device(is_gpt, str(uuid.UUID(bytes_le=place)), str(uuid.UUID(bytes_le=disk)))
    assert not any(place[8:])
    assert not any(disk[4:])
    offset, signature = int.from_bytes(place, "little"), int.from_bytes(disk, "little")
    return Device(is_gpt, str(offset), f"{signature:08x}")
