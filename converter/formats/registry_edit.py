"""Editing a registry hive in place: keys and values made, changed and deleted.

Specification: Maxim Suhanov, "Windows registry file format specification". New keys share the
security of the key above and have its time, and no key's time changes: the same edits of the same
hive give the same bytes. What a deleted or replaced thing took up is free for the next one.

Limits: a value of more than 16344 bytes is refused, as readers do not agree about such data. After
an edit that met damage the hive is half edited, and good for nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, registry_security, registry_subkeys
from converter.formats.registry_cells import NONE, damaged
from converter.formats.registry_records import (
    INLINE,
    KEY_COMPRESSED,
    KEY_PREDEFINED,
    SEGMENT,
    VALUE_COMPRESSED,
    Key,
    ValueRecord,
    encode_name,
    new_key,
    pack_offsets,
    units,
)
from converter.formats.registry_subkeys import store
from converter.formats.registry_tree import DEPTH_LIMIT, split

if TYPE_CHECKING:
    from converter.formats.registry_tree import Tree
    from converter.formats.registry_values import Value

_KEY_NAME_LIMIT: Final = 255
_VALUE_NAME_LIMIT: Final = 16383


# --- keys -----------------------------------------------------------------------------------------


def create_key(tree: Tree, path: str) -> int:
    """Make the key at `path` and those above it, as far as they are not there; give its place."""
    names = split(path)
    for name in names:
        if not 0 < units(name) <= _KEY_NAME_LIMIT or "\0" in name:
            raise FormatError(f"registry hive: no key can be named {name[:100]!r}")
    found = tree.cells.root
    for name in names:
        child = tree.child(found, name)
        found = _add_key(tree, found, name) if child is None else child
    return found


def _add_key(tree: Tree, parent: int, name: str) -> int:
    above = tree.key(parent)
    registry_security.share(tree.cells, above.security)
    data, is_compressed = encode_name(name)
    key = new_key(
        name,
        len(data),
        flags=KEY_COMPRESSED if is_compressed else 0,
        timestamp=above.timestamp,
        parent=parent,
        security=above.security,
    )
    offset = tree.cells.allocate(key.header() + data)
    registry_subkeys.insert(tree, parent, offset, name)
    return offset


def delete_key(tree: Tree, path: str) -> None:
    """Delete the key at `path` with all below it, if it is there."""
    above, _, name = path.rpartition("\\")
    if not name:
        raise FormatError("registry hive: its root cannot be deleted")
    parent = tree.find(above)
    child = None if parent is None else tree.child(parent, name)
    if parent is None or child is None:
        return
    doomed = _below(tree, child)
    registry_subkeys.remove(tree, parent, child)
    for offset in doomed:
        _free_key(tree, offset)


def _below(tree: Tree, top: int) -> list[int]:
    """Find the key at `top` and all below it, before anything is changed."""
    found: set[int] = set()
    order: list[int] = []
    stack = [(top, 1)]
    while stack:
        offset, depth = stack.pop()
        if offset in found or depth > DEPTH_LIMIT:
            raise damaged(f"the key at {offset:#x} is below itself")
        found.add(offset)
        order.append(offset)
        stack += [(child, depth + 1) for child in tree.children(tree.key(offset))]
    return order


def _free_key(tree: Tree, offset: int) -> None:
    key = tree.key(offset)
    for place, record in tree.value_records(key):
        _free_data(tree, record)
        tree.cells.free(place)
    if key.has_values:
        tree.cells.free(key.value_list)
    registry_subkeys.free(tree, key)
    if key.class_size and key.class_name != NONE:
        tree.cells.free(key.class_name)
    registry_security.release(tree.cells, key.security)
    tree.cells.free(offset)


# --- values ---------------------------------------------------------------------------------------


def set_value(tree: Tree, path: str, name: str, value: Value) -> None:
    """Set a value of the key at `path`, which is made if it is not there."""
    if units(name) > _VALUE_NAME_LIMIT or len(value.data) > SEGMENT:
        size = len(value.data)
        raise FormatError(f"registry hive: {name[:100]!r} with {size} bytes is too large for it")
    offset = create_key(tree, path)
    key = tree.key(offset)
    if key.flags & KEY_PREDEFINED:
        raise FormatError(f"registry hive: the key {key.name!r} has no values of its own")
    found = tree.find_value(key, name)
    if found is None:
        key = _add_value(tree, key, name, value)
    elif tree.value(found[1]) == value:
        return
    else:
        _replace_value(tree, *found, value)
    changed = replace(
        key,
        largest_value_name=max(key.largest_value_name, 2 * units(name)),
        largest_value=max(key.largest_value, len(value.data)),
    )
    tree.cells.write(offset, changed.header())


def _add_value(tree: Tree, key: Key, name: str, value: Value) -> Key:
    """Add a value; give the key as it is to be written."""
    size, place = _store_data(tree, value.data)
    data, is_compressed = encode_name(name)
    # The default value has no name, and Windows does not call that compressed.
    flags = VALUE_COMPRESSED if name and is_compressed else 0
    record = ValueRecord(name, len(data), size, place, value.type, flags, 0)
    offsets = (*tree.value_list(key), tree.cells.allocate(record.header() + data))
    old = key.value_list if key.has_values else NONE
    return replace(
        key, value_count=len(offsets), value_list=store(tree, old, pack_offsets(offsets))
    )


def _replace_value(tree: Tree, offset: int, record: ValueRecord, value: Value) -> None:
    _free_data(tree, record)
    size, place = _store_data(tree, value.data)
    changed = replace(record, size=size, place=place, type=value.type)
    tree.cells.write(offset, changed.header())


def delete_value(tree: Tree, path: str, name: str) -> None:
    """Delete a value of the key at `path`, if both are there."""
    offset = tree.find(path)
    if offset is None:
        return
    key = tree.key(offset)
    found = tree.find_value(key, name)
    if found is None:
        return
    place, record = found
    _free_data(tree, record)
    tree.cells.free(place)
    left = tuple(other for other in tree.value_list(key) if other != place)
    tree.cells.write(offset, _with_values(tree, key, left).header())


def _with_values(tree: Tree, key: Key, left: tuple[int, ...]) -> Key:
    if left:
        tree.cells.write(key.value_list, pack_offsets(left))
        return replace(key, value_count=len(left))
    tree.cells.free(key.value_list)
    return replace(key, value_count=0, value_list=NONE, largest_value_name=0, largest_value=0)


def _store_data(tree: Tree, data: bytes) -> tuple[int, int]:
    """Give the size and the place of the data for the record."""
    if len(data) <= 4:
        return len(data) | INLINE, int.from_bytes(data, "little")
    return len(data), tree.cells.allocate(data)


def _free_data(tree: Tree, record: ValueRecord) -> None:
    if not record.stored_size:
        return
    if tree.is_big(record):
        for piece in tree.segments(record):
            tree.cells.free(piece)
    tree.cells.free(record.place)
