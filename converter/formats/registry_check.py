"""Whether a registry hive is whole: everything in it is read once.

Specification: Maxim Suhanov, "Windows registry file format specification". Each cell in use belongs
to one thing; only the security of keys is shared, by as many keys as it says or fewer (a key in
memory only counts too). Cells that nothing refers to are lost room, and no damage.

Limits: neither the order of subkeys nor the hints at their names are judged. Both have been wrong
in hives that Windows works with, and what reads hives here depends on neither.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from converter.formats import registry_security
from converter.formats.registry_cells import NONE, damaged
from converter.formats.registry_records import fold
from converter.formats.registry_tree import DEPTH_LIMIT

if TYPE_CHECKING:
    from converter.formats.registry_records import Key, ValueRecord
    from converter.formats.registry_tree import Tree


def check(tree: Tree) -> None:
    """Raise `FormatError`, with the place, when anything that can be reached is damaged."""
    _Check(tree).run()


class _Check:
    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.unclaimed = set(tree.cells.used())
        self.secured: Counter[int] = Counter()

    def run(self) -> None:
        root = self.tree.cells.root
        self._claim(root)
        stack = [(root, self.tree.key(root), 0)]
        while stack:
            offset, key, depth = stack.pop()
            if depth > DEPTH_LIMIT:
                raise damaged(f"the key at {offset:#x} is too deep in it")
            self._check_own(key)
            self._check_values(key)
            stack += [(child, found, depth + 1) for child, found in self._subkeys(offset, key)]
        for place, count in self.secured.items():
            self._check_security(place, count)

    def _claim(self, offset: int) -> None:
        if offset not in self.unclaimed:
            raise damaged(f"at {offset:#x} there is no cell in use, or two things refer to it")
        self.unclaimed.remove(offset)

    def _check_own(self, key: Key) -> None:
        self.secured[key.security] += 1
        if key.class_size and key.class_name != NONE:
            self._claim(key.class_name)
            if key.class_size > self.tree.cells.capacity(key.class_name):
                raise damaged(f"the class of the key {key.name!r} is longer than its cell")

    def _subkeys(self, offset: int, key: Key) -> list[tuple[int, Key]]:
        leaves = self.tree.leaves(key)
        if leaves:
            for place in {key.subkey_list, *(place for place, _ in leaves)}:
                self._claim(place)
        found: list[tuple[int, Key]] = []
        names: set[str] = set()
        for child in (child for _, leaf in leaves for child in leaf.offsets):
            self._claim(child)
            below = self.tree.key(child)
            if below.parent != offset:
                raise damaged(f"the key at {child:#x} does not know that it is in {key.name!r}")
            names.add(fold(below.name))
            found.append((child, below))
        if len(names) < len(found):
            raise damaged(f"two keys in {key.name!r} have one name")
        return found

    def _check_values(self, key: Key) -> None:
        if key.has_values:
            self._claim(key.value_list)
        names: set[str] = set()
        for offset, record in self.tree.value_records(key):
            self._claim(offset)
            self._check_data(record)
            name = fold(record.name)
            if name in names:
                raise damaged(f"two values of the key {key.name!r} are named {record.name!r}")
            names.add(name)

    def _check_data(self, record: ValueRecord) -> None:
        if record.stored_size:
            self._claim(record.place)
        if self.tree.is_big(record):
            for piece in self.tree.segments(record):
                self._claim(piece)
        self.tree.value(record)

    def _check_security(self, offset: int, count: int) -> None:
        self._claim(offset)
        record = registry_security.read(self.tree.cells, offset)
        registry_security.check_ring(self.tree.cells, offset, record)
        if record.count < count:
            raise damaged(f"{count} keys share the sk record at {offset:#x}, not {record.count}")
