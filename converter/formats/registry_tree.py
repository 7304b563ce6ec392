"""Reading the tree of a registry hive: keys by path, their subkeys and values.

Only what is asked for is read, so that one key of a hive of 100 MB takes well under a millisecond.
What is read is checked; what is not is left alone (`registry_check` reads everything).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats.registry_cells import damaged
from converter.formats.registry_records import (
    BIG_SIZE,
    INLINE,
    KEY_LIMIT,
    LIST_LIMIT,
    SEGMENT,
    VALUE_LIMIT,
    Key,
    Leaf,
    ValueRecord,
    fold,
    name_hash,
    read_big,
    read_key,
    read_leaf,
    read_offsets,
    read_value,
    sort_key,
    units,
)
from converter.formats.registry_values import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.formats.registry_cells import Cells

DEPTH_LIMIT: Final = 512
"""Windows has no deeper keys."""

_NAME_SIZE_AT: Final = 72
_KEY_SIZE: Final = 80
"""What the cell of a key has at least."""
_LISTS_KEPT: Final = 16
_BIG_DATA_SINCE: Final = 4


def split(path: str) -> list[str]:
    """Give the names on the way from the root to the key at `path`."""
    names = path.split("\\") if path else []
    if len(names) > DEPTH_LIMIT:
        raise FormatError(f"registry hive: a path of {len(names)} keys is too deep")
    return names


class Tree:
    """The keys of a hive, which are named by the offsets of their cells."""

    def __init__(self, cells: Cells) -> None:
        """Read from these cells."""
        self.cells = cells
        # Keys are asked for by the dozen below the same one: the last one by its path, and lists.
        self._found: dict[str, int] = {}
        self._leaves: dict[int, list[tuple[int, Leaf]]] = {}
        self._edits = cells.edits

    # --- keys -------------------------------------------------------------------------------------

    def key(self, offset: int) -> Key:
        """Read a key."""
        return read_key(self.cells.read(offset, KEY_LIMIT), offset)

    def find(self, path: str) -> int | None:
        """Find the key at `path`."""
        above, separator, name = path.rpartition("\\")
        self._forget_what_was_edited()
        if separator and above in self._found:
            return self.child(self._found[above], name)
        parent = found = self.cells.root
        for part in split(path):
            child = self.child(found, part)
            if child is None:
                return None
            parent, found = found, child
        self._found = {above: parent}
        return found

    def _forget_what_was_edited(self) -> None:
        if self._edits != self.cells.edits:
            self._edits = self.cells.edits
            self._found.clear()
            self._leaves.clear()

    def child(self, parent: int, name: str) -> int | None:
        """Find a key by its name; hashes and order save time, but wrong ones hide nothing."""
        leaves = self.leaves(self.key(parent))
        wanted = fold(name)
        likely = (offset for _, leaf in leaves for offset in self._likely(leaf, name))
        every = (offset for _, leaf in leaves for offset in leaf.offsets)
        found = self._first_named(likely, wanted)
        return self._first_named(every, wanted) if found is None else found

    def _likely(self, leaf: Leaf, name: str) -> list[int] | tuple[int, ...]:
        """Give the keys of a list that should have this name, if there is one."""
        if leaf.kind == b"lh":
            wanted = name_hash(name)
            pairs = zip(leaf.offsets, leaf.hints, strict=True)
            return [offset for offset, found in pairs if found == wanted]
        place = self.place(leaf, name)
        return leaf.offsets[place : place + 1]

    def place(self, leaf: Leaf, name: str) -> int:
        """Give where a name is in a list, or where it belongs, by the order of lists."""
        return bisect_left(leaf.offsets, sort_key(name), key=lambda at: sort_key(self.key(at).name))

    def _first_named(self, offsets: Iterable[int], wanted: str) -> int | None:
        sizes = (len(wanted), 2 * units(wanted))
        for offset in offsets:
            content = self.cells.read(offset, KEY_LIMIT)
            # Most names need not be read: upper-casing does not change how long they are.
            size = int.from_bytes(content[_NAME_SIZE_AT : _NAME_SIZE_AT + 2], "little")
            if size in sizes and fold(read_key(content, offset).name) == wanted:
                return offset
        return None

    def children(self, key: Key) -> list[int]:
        """Give the offsets of the subkeys of a key."""
        return [offset for _, leaf in self.leaves(key) for offset in leaf.offsets]

    def leaves(self, key: Key) -> list[tuple[int, Leaf]]:
        """Read the lists of the subkeys of a key, each with its offset; an index is none of them.

        Lists may overlap in a hive that was made to take time: what they list must fit into it.
        """
        if not key.subkey_count:
            return []
        self._forget_what_was_edited()
        leaves = self._leaves.get(key.subkey_list)
        if leaves is None:
            top = self._leaf(key.subkey_list)
            leaves = [(key.subkey_list, top)] if top.kind != b"ri" else self._indexed(top)
            if len(self._leaves) >= _LISTS_KEPT:
                self._leaves.clear()
            self._leaves[key.subkey_list] = leaves
        count = sum(len(leaf.offsets) for _, leaf in leaves)
        if count != key.subkey_count:
            raise damaged(f"the key {key.name!r} has {key.subkey_count} subkeys, and lists {count}")
        return [*leaves]

    def _indexed(self, index: Leaf) -> list[tuple[int, Leaf]]:
        leaves: list[tuple[int, Leaf]] = []
        room = _Room(self.cells.length)
        for offset in index.offsets:
            leaf = self._leaf(offset)
            if leaf.kind == b"ri":
                raise damaged(f"the index at {offset:#x} is in another one")
            room.take(len(leaf.offsets) * _KEY_SIZE)
            leaves.append((offset, leaf))
        return leaves

    def _leaf(self, offset: int) -> Leaf:
        return read_leaf(self.cells.read(offset, LIST_LIMIT), offset)

    # --- values -----------------------------------------------------------------------------------

    def value_list(self, key: Key) -> tuple[int, ...]:
        """Give the offsets of the values of a key."""
        if not key.has_values:
            return ()
        return read_offsets(self.cells.read(key.value_list, 4 * key.value_count), key.value_count)

    def value_records(self, key: Key) -> Iterator[tuple[int, ValueRecord]]:
        """Read the records of the values of a key, each with its offset.

        Like lists, they must fit into the hive.
        """
        room = _Room(self.cells.length)
        for offset in self.value_list(key):
            content = self.cells.read(offset, VALUE_LIMIT)
            record = read_value(content, offset)
            room.take(len(content) + record.stored_size)
            yield offset, record

    def find_value(self, key: Key, name: str) -> tuple[int, ValueRecord] | None:
        """Find a value of a key by its name."""
        wanted = fold(name)
        records = self.value_records(key)
        return next((found for found in records if fold(found[1].name) == wanted), None)

    def values(self, key: Key) -> dict[str, Value]:
        """Read all values of a key."""
        values: dict[str, Value] = {}
        for _, record in self.value_records(key):
            values.setdefault(record.name, self.value(record))
        return values

    def value(self, record: ValueRecord) -> Value:
        """Read what a value is."""
        return Value(record.type, self._data(record))

    def _data(self, record: ValueRecord) -> bytes:
        if record.size & INLINE:
            return _inline(record)
        size = record.size
        if not size:
            return b""
        if self.is_big(record):
            pieces = self.segments(record)[1:]
            data = b"".join(self.cells.read(piece, SEGMENT) for piece in pieces)
        else:
            data = self.cells.read(record.place, size)
        if len(data) < size:
            raise damaged(f"the value {record.name!r} has {size} bytes, of which {len(data)} exist")
        return data[:size]

    def is_big(self, record: ValueRecord) -> bool:
        """Tell whether the data of a value is cut into segments."""
        return record.stored_size > SEGMENT and self.cells.minor >= _BIG_DATA_SINCE

    def segments(self, record: ValueRecord) -> tuple[int, ...]:
        """Give the cells of big data after its first: the list of the segments, then these."""
        count, place = read_big(self.cells.read(record.place, BIG_SIZE), record.place)
        if count != -(-record.size // SEGMENT):
            raise damaged(f"the value {record.name!r} has {count} segments for {record.size} bytes")
        return (place, *read_offsets(self.cells.read(place, 4 * count), count))


class _Room:
    """How much there can still be in a hive."""

    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise damaged("what it lists is larger than itself")


def _inline(record: ValueRecord) -> bytes:
    size = record.size & ~INLINE
    if size > 4:
        raise damaged(f"the value {record.name!r} has {size} bytes in its record")
    return record.place.to_bytes(4, "little")[:size]
