"""Registry hives: every key with every value, by two readers that must agree."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, NamedTuple

from dissect.regf import RegistryHive
from Registry import Registry, RegistryLog, RegistryParse

if TYPE_CHECKING:
    from collections.abc import Iterator


_SECTOR = 512
_PAGE = 4096
_INLINE = 0x80000000


class Value(NamedTuple):
    """A value: its type by its number, and its bytes."""

    type: int
    data: bytes

    @property
    def number(self) -> int:
        assert self.type in (4, 11), self
        return int.from_bytes(self.data, "little")

    @property
    def text(self) -> str:
        assert self.type in (1, 2), self
        return self.data.decode("utf-16-le").removesuffix("\0")

    @property
    def texts(self) -> list[str]:
        assert self.type == 7, self
        return self.data.decode("utf-16-le").removesuffix("\0").split("\0")[:-1]


Keys = dict[str, dict[str, Value]]


def read(data: bytes) -> Keys:
    """Give all keys of a hive by their paths, the root's being "": as both readers see them."""
    found = dict(_by_dissect(data))
    again = dict(_by_python_registry(data))
    assert found.keys() == again.keys()
    for path, values in found.items():
        assert values == again[path], path
    return found


def is_clean(data: bytes) -> bool:
    """Tell whether nothing is left to be written back, and the base block's checksum is right."""
    first, second = struct.unpack_from("<II", data, 4)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", data[:508]):
        checksum ^= word
    return bool(first == second and checksum == struct.unpack_from("<I", data, 508)[0])


def replayed(data: bytes, log1: bytes, log2: bytes) -> bytes:
    """Give a dirty hive with its logs replayed: those of Windows 8.1 by python-registry."""
    if log1[_SECTOR:][:4] == b"DIRT":
        return _with_bitmap(data, log1)
    primary = io.BytesIO(data)
    first = RegistryLog.RegistryLog(primary, io.BytesIO(log1))
    primary.seek(0)
    second = RegistryLog.RegistryLog(primary, io.BytesIO(log2))
    assert first.is_eligible_log()
    assert first.is_starting_log(second)
    second.recover_hive_continue(first.recover_hive() + 1)
    return primary.getvalue()


def entries(log: bytes) -> list[int]:
    """Give the sequence numbers of the entries that hold in a log of Windows 8.1."""
    found = RegistryParse.REGFBlock(log, 0, parent=None).log_entries()
    return [entry.sequence() for entry in found]


def _with_bitmap(data: bytes, log: bytes) -> bytes:
    """Put the sectors into a hive that the bitmap of an older log has a bit for."""
    bins = int.from_bytes(log[40:44], "little")
    bitmap = log[_SECTOR + 4 :][: bins // _SECTOR // 8]
    at = _SECTOR + -(-(4 + len(bitmap)) // _SECTOR) * _SECTOR
    hive = bytearray(data[:_PAGE] + data[_PAGE:].ljust(bins, b"\0"))
    for number in range(bins // _SECTOR):
        if bitmap[number // 8] >> number % 8 & 1:
            where = _PAGE + number * _SECTOR
            hive[where : where + _SECTOR] = log[at : at + _SECTOR]
            at += _SECTOR
    # What is replayed has the size that the log says.
    hive[40:44] = log[40:44]
    return bytes(hive)


def _by_dissect(data: bytes) -> Iterator[tuple[str, dict[str, Value]]]:
    waiting = [("", RegistryHive(io.BytesIO(data)).root())]
    while waiting:
        path, key = waiting.pop()
        values = [(each.name, Value(each.type, each.data)) for each in key.values()]
        yield path, _once(("" if name == "(Default)" else name, value) for name, value in values)
        waiting += [(f"{path}\\{child.name}".lstrip("\\"), child) for child in key.subkeys()]


def _by_python_registry(data: bytes) -> Iterator[tuple[str, dict[str, Value]]]:
    waiting = [("", Registry.Registry(io.BytesIO(data)).root())]
    while waiting:
        path, key = waiting.pop()
        values = [(each.name(), _value(each)) for each in key.values()]
        yield path, _once(("" if name == "(default)" else name, value) for name, value in values)
        waiting += [(f"{path}\\{child.name()}".lstrip("\\"), child) for child in key.subkeys()]


def _value(value: Registry.RegistryValue) -> Value:
    record = value._vkrecord
    length = record.raw_data_length()
    if length < _INLINE:
        return Value(value.value_type(), bytes(value.raw_data())[:length])
    # Four bytes and less are where longer data has its place; it knows that not for all types.
    at = record.data_offset()
    return Value(value.value_type(), bytes(record._buf[at : at + length - _INLINE]))


def _once(values: Iterator[tuple[str, Value]]) -> dict[str, Value]:
    """Give values by their names, of which there is one each, whatever its case."""
    found = list(values)
    assert len({name.upper() for name, _ in found}) == len(found)
    return dict(found)
