"""Registry hives: an empty one made here, and filled by hivex.

After "Windows registry file format specification" (M. Suhanov), format 1.5. A hive is described
as `Keys`: its keys by their paths, each with its values by their names.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import hivex

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PAGE: Final = 4096
_NOWHERE: Final = 0xFFFFFFFF
# 2024-01-01; the same for everything, so that the same guest has the same bytes.
TIME: Final = 133485408000000000
_ROOT_AT: Final = 0x20
# The root of a hive, which cannot be deleted and whose name is in Latin-1.
_ROOT_FLAGS: Final = 0x2C


class Value(NamedTuple):
    """A value: its type by its number, and its bytes."""

    type: int
    data: bytes


Keys = dict[str, dict[str, Value]]


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-le") + b"\0\0"


def sz(text: str) -> Value:
    """Make a REG_SZ."""
    return Value(1, _utf16(text))


def expand_sz(text: str) -> Value:
    """Make a REG_EXPAND_SZ."""
    return Value(2, _utf16(text))


def binary(data: bytes) -> Value:
    """Make a REG_BINARY."""
    return Value(3, data)


def dword(number: int) -> Value:
    """Make a REG_DWORD."""
    return Value(4, struct.pack("<I", number))


def multi_sz(*texts: str) -> Value:
    """Make a REG_MULTI_SZ."""
    return Value(7, b"".join(map(_utf16, texts)) + b"\0\0")


def qword(number: int) -> Value:
    """Make a REG_QWORD."""
    return Value(11, struct.pack("<Q", number))


def make(name: str, keys: Keys, *, root: str = "ROOT") -> bytes:
    """Make a hive called `name` (as Windows calls it in the file) with `keys`."""
    return add(_empty(name, root), keys)


def add(hive: bytes, keys: Keys) -> bytes:
    """Give `hive` with `keys` added to it; what it has of them already gets these values alone."""
    with tempfile.NamedTemporaryFile() as file:
        path = Path(file.name)
        path.write_bytes(hive)
        editor = hivex.Hivex(file.name, write=True)
        nodes = {"": editor.root()}
        for key, values in keys.items():
            node = _node(editor, nodes, key)
            editor.node_set_values(
                node,
                [
                    {"key": name, "t": each.type, "value": each.data}
                    for name, each in values.items()
                ],
            )
        editor.commit(None)
        return path.read_bytes()


def _node(editor: hivex.Hivex, nodes: dict[str, int], path: str) -> int:
    """Find the key `path`, or make it with all its parents."""
    if path not in nodes:
        parent, _, name = path.rpartition("\\")
        above = _node(editor, nodes, parent)
        nodes[path] = editor.node_get_child(above, name) or editor.node_add_child(above, name)
    return nodes[path]


def below(prefix: str, keys: Mapping[str, dict[str, Value]]) -> Keys:
    """Give `keys` with their paths put below `prefix`."""
    return {f"{prefix}\\{path}".rstrip("\\"): values for path, values in keys.items()}


def merged(parts: Iterable[Mapping[str, dict[str, Value]]]) -> Keys:
    """Give all keys of `parts`; of a key in several of them, all values, the last one's first."""
    keys: Keys = {}
    for part in parts:
        for path, values in part.items():
            keys.setdefault(path, {}).update(values)
    return keys


def _empty(name: str, root: str) -> bytes:
    security = _security()
    key = root.encode("latin-1")
    descriptor_at = _ROOT_AT + _cell_size(76 + len(key))
    node = struct.pack(
        "<2sHQIIIIIIIIIIIIIIIHH", b"nk", _ROOT_FLAGS, TIME, 0, _NOWHERE, 0, 0, _NOWHERE, _NOWHERE,
        0, _NOWHERE, descriptor_at, _NOWHERE, 0, 0, 0, 0, 0, len(key), 0,
    )  # fmt: skip
    cells = _cell(node + key)
    link = struct.pack("<2sHIIII", b"sk", 0, descriptor_at, descriptor_at, 1, len(security))
    cells += _cell(link + security)
    free = _PAGE - _ROOT_AT - len(cells)
    bin_header = struct.pack("<4sII8xQ4x", b"hbin", 0, _PAGE, TIME)
    header = struct.pack(
        "<4sIIQIIIIIII", b"regf", 1, 1, TIME, 1, 5, 0, 1, _ROOT_AT, _PAGE, 1
    ) + name.encode("utf-16-le")[-62:].ljust(64, b"\0")
    return with_checksum(header) + bin_header + cells + struct.pack("<i", free).ljust(free, b"\0")


def with_checksum(header: bytes) -> bytes:
    """Give the base block that begins with `header`, with its checksum."""
    words = struct.unpack("<127I", header[:508].ljust(508, b"\0"))
    found = 0
    for word in words:
        found ^= word
    found = {0xFFFFFFFF: 0xFFFFFFFE, 0: 1}.get(found, found)
    return (struct.pack("<127I", *words) + struct.pack("<I", found)).ljust(_PAGE, b"\0")


def _cell_size(length: int) -> int:
    return (4 + length + 7) & ~7


def _cell(data: bytes) -> bytes:
    size = _cell_size(len(data))
    return (struct.pack("<i", -size) + data).ljust(size, b"\0")


def _security() -> bytes:
    """Give a security descriptor: the system's and the administrators' key, for users to read."""
    system, administrators, users = _sid(18), _sid(32, 544), _sid(32, 545)
    entries = b"".join(
        struct.pack("<BBHI", 0, 2, 8 + len(sid), mask) + sid
        for sid, mask in ((system, 0xF003F), (administrators, 0xF003F), (users, 0x20019))
    )
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(entries), 3, 0) + entries
    group_at = 20 + len(administrators)
    dacl_at = group_at + len(system)
    header = struct.pack("<BBHIIII", 1, 0, 0x8004, 20, group_at, 0, dacl_at)
    return header + administrators + system + acl


def _sid(*authorities: int) -> bytes:
    count = len(authorities)
    return struct.pack(f"<BB6s{count}I", 1, count, b"\0\0\0\0\0\5", *authorities)
