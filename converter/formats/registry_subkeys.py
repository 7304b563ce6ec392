"""The lists of a key's subkeys, edited.

Specification: Maxim Suhanov, "Windows registry file format specification". Up to 507 subkeys are
in one list, which fits into the smallest bin; more are in several, with an index above. All are
sorted by their upper-cased names. A list stays of the kind that it is; a new one is of the kind
that Windows makes in hives of that version.

Limits: lists that became short are not joined, and an index with a single list in it stays.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from converter.formats.registry_cells import NONE
from converter.formats.registry_records import WITH_HINTS, Leaf, hint, sort_key, units

if TYPE_CHECKING:
    from converter.formats.registry_records import Key
    from converter.formats.registry_tree import Tree

LEAF_LIMIT: Final = 507
_HASHES_SINCE: Final = 5
_LARGEST_MASK: Final = 0xFFFF


def insert(tree: Tree, parent: int, child: int, name: str) -> None:
    """Put the key at `child` among the subkeys of the one at `parent`."""
    key = tree.key(parent)
    leaves = tree.leaves(key)
    offsets = [offset for offset, _ in leaves]
    number = _choose(tree, leaves, name)
    leaf = leaves[number][1] if leaves else _new_leaf(tree)
    first, *second = _split(_with(tree, leaf, child, name))
    old = offsets[number] if leaves else NONE
    places = [store(tree, old, first.pack())]
    places += [tree.cells.allocate(half.pack()) for half in second]
    offsets[number : number + 1] = places
    largest = max(key.largest_subkey & _LARGEST_MASK, 2 * units(name))
    changed = replace(
        key,
        subkey_count=key.subkey_count + 1,
        subkey_list=_store_top(tree, key, offsets, has_index=_has_index(key, leaves)),
        largest_subkey=key.largest_subkey & ~_LARGEST_MASK | largest,
    )
    tree.cells.write(parent, changed.header())


def remove(tree: Tree, parent: int, child: int) -> None:
    """Take the key at `child` from the subkeys of the one at `parent`."""
    key = tree.key(parent)
    leaves = tree.leaves(key)
    offsets = [offset for offset, _ in leaves]
    number = next(at for at, (_, leaf) in enumerate(leaves) if child in leaf.offsets)
    leaf = _without(leaves[number][1], child)
    if leaf.offsets:
        tree.cells.write(offsets[number], leaf.pack())
    else:
        tree.cells.free(offsets.pop(number))
    changed = replace(
        key,
        subkey_count=key.subkey_count - 1,
        subkey_list=_store_top(tree, key, offsets, has_index=_has_index(key, leaves)),
    )
    if not changed.subkey_count:
        flags = key.largest_subkey & ~_LARGEST_MASK
        changed = replace(changed, largest_subkey=flags, largest_class=0)
    tree.cells.write(parent, changed.header())


def free(tree: Tree, key: Key) -> None:
    """Give back the lists of a key's subkeys, but not these."""
    leaves = tree.leaves(key)
    if _has_index(key, leaves):
        tree.cells.free(key.subkey_list)
    for offset, _ in leaves:
        tree.cells.free(offset)


def store(tree: Tree, offset: int, content: bytes) -> int:
    """Put `content` into the cell at `offset`, or into another if it is too small or `NONE`."""
    if offset != NONE:
        if len(content) <= tree.cells.capacity(offset):
            tree.cells.write(offset, content)
            return offset
        tree.cells.free(offset)
    return tree.cells.allocate(content)


def _has_index(key: Key, leaves: list[tuple[int, Leaf]]) -> bool:
    return bool(leaves) and leaves[0][0] != key.subkey_list


def _store_top(tree: Tree, key: Key, offsets: list[int], *, has_index: bool) -> int:
    """Give what a key is to refer to: nothing, its only list, or an index of its lists."""
    if not offsets:
        if has_index:
            tree.cells.free(key.subkey_list)
        return NONE
    if len(offsets) == 1 and not has_index:
        return offsets[0]
    index = Leaf(b"ri", tuple(offsets)).pack()
    return store(tree, key.subkey_list if has_index else NONE, index)


def _new_leaf(tree: Tree) -> Leaf:
    return Leaf(b"lh" if tree.cells.minor >= _HASHES_SINCE else b"lf", ())


def _choose(tree: Tree, leaves: list[tuple[int, Leaf]], name: str) -> int:
    """Give the number of the list that `name` belongs to: the last that begins before it."""
    wanted = sort_key(name)
    for number in range(len(leaves) - 1, 0, -1):
        offsets = leaves[number][1].offsets
        if offsets and sort_key(tree.key(offsets[0]).name) <= wanted:
            return number
    return 0


def _with(tree: Tree, leaf: Leaf, child: int, name: str) -> Leaf:
    place = tree.place(leaf, name)
    offsets = (*leaf.offsets[:place], child, *leaf.offsets[place:])
    if leaf.kind not in WITH_HINTS:
        return replace(leaf, offsets=offsets)
    own = hint(leaf.kind, name)
    hints = (*leaf.hints[:place], own, *leaf.hints[place:])
    return replace(leaf, offsets=offsets, hints=hints)


def _without(leaf: Leaf, child: int) -> Leaf:
    place = leaf.offsets.index(child)
    offsets = leaf.offsets[:place] + leaf.offsets[place + 1 :]
    hints = leaf.hints[:place] + leaf.hints[place + 1 :]
    return replace(leaf, offsets=offsets, hints=hints)


def _split(leaf: Leaf) -> tuple[Leaf, ...]:
    """Give the list, or its two halves if it is too long."""
    if len(leaf.offsets) <= LEAF_LIMIT:
        return (leaf,)
    half = len(leaf.offsets) // 2
    first = replace(leaf, offsets=leaf.offsets[:half], hints=leaf.hints[:half])
    return first, replace(leaf, offsets=leaf.offsets[half:], hints=leaf.hints[half:])
