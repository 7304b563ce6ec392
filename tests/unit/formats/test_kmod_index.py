"""The binary indexes: one laid out by hand after the format's description, and properties."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, kmod, kmod_index
from converter.formats.kmod import Alias
from converter.formats.kmod_index import Item

HEADER = struct.pack(">II", 0xB007F457, 0x00020001)
VALUES, CHILDREN, PREFIX = 0x40000000, 0x20000000, 0x80000000


def values(*items: tuple[int, bytes]) -> bytes:
    packed = [struct.pack(">I", priority) + text + b"\0" for priority, text in items]
    return struct.pack(">I", len(items)) + b"".join(packed)


def test_an_index_laid_out_by_hand() -> None:
    # "on" (two values) and below it "once" and "one"; children come before their parent.
    once = b"e\0" + values((3, b"C"))
    one = values((4, b"E"))
    at_one = 12 + len(once)
    node = b"on\0" + b"ce" + struct.pack(">III", 12 | PREFIX | VALUES, 0, at_one | VALUES)
    node += values((1, b"A"), (2, b"B"))
    root = (at_one + len(one)) | PREFIX | CHILDREN | VALUES
    expected = HEADER + struct.pack(">I", root) + once + one + node
    items = [Item("on", "B", 2), Item("once", "C", 3), Item("one", "E", 4), Item("on", "A", 1)]
    # The root of what is written has no prefix: depmod starts with an empty one, and one child.
    assert kmod_index.read(expected) == (items[3], items[0], items[1], items[2])


def test_what_is_written_by_hand_for_one_key() -> None:
    leaf = b"b\0" + values((7, b"x"))
    root = b"aa" + struct.pack(">I", 12 | PREFIX | VALUES)
    reference = struct.pack(">I", (12 + len(leaf)) | CHILDREN)
    assert kmod_index.write([Item("ab", "x", 7)]) == HEADER + reference + leaf + root


def test_an_empty_index() -> None:
    data = kmod_index.write([])
    assert data == HEADER + struct.pack(">I", 12)
    assert kmod_index.read(data) == ()


texts = st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=12)
items = st.lists(st.builds(Item, texts, texts, st.integers(0, 9)), max_size=25)


@given(items)
def test_round_trip(entries: list[Item]) -> None:
    read = kmod_index.read(kmod_index.write(entries))
    assert sorted(read, key=repr) == sorted(entries, key=repr)
    for before, after in pairwise(read):
        assert before.key != after.key or before.priority <= after.priority


@given(items, st.integers(0, 500), st.integers(0, 255))
def test_damage_is_found_or_harmless(entries: list[Item], place: int, value: int) -> None:
    data = bytearray(kmod_index.write(entries))
    data[place % len(data)] = value
    try:
        read = kmod_index.read(bytes(data))
    except FormatError:
        return
    assert len(read) <= len(data)


def test_a_long_chain_of_keys_needs_no_stack() -> None:
    entries = [Item("a" * length, "v") for length in range(1, 1050)]
    assert len(kmod_index.read(kmod_index.write(entries))) == len(entries)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"\xb0\x07", "too few"),
        (struct.pack(">III", 0xB007FA57, 0x00020001, 12), "are not known"),
        (struct.pack(">III", 0xB007F457, 0x00010001, 12), "are not known"),
        (HEADER + struct.pack(">I", VALUES | 12), "cut off"),
        (HEADER + struct.pack(">I", PREFIX | 12) + b"abc", "has no end"),
        (HEADER + struct.pack(">I", CHILDREN | 12) + b"ba", "children from 98 to 97"),
        (HEADER + struct.pack(">I", CHILDREN | 12) + b"aa\x20\0\0\x0c", "endless"),
    ],
)
def test_nonsense(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        kmod_index.read(data)


@pytest.mark.parametrize(
    "item", [Item("ä", ""), Item("a", "ä"), Item("a\0", ""), Item("a", "", -1)]
)
def test_what_an_index_cannot_hold(item: Item) -> None:
    with pytest.raises(FormatError, match="cannot hold"):
        kmod_index.write([item])


def test_dep_and_alias() -> None:
    dep: kmod.Dependencies = {"k/b.ko": ("k/a-x.ko",), "k/a-x.ko": ()}
    assert list(kmod_index.read_dep(kmod_index.write_dep(dep)).items()) == list(dep.items())
    aliases = (Alias("pci-b", "b"), Alias("[", "b"), Alias("x[0-9]*", "a_x"))
    data = kmod_index.write_alias(aliases, order=["b", "a_x"])
    assert kmod_index.read_alias(data) == (Alias("pci_b", "b"), Alias("x[0-9]*", "a_x"))
    assert [item.priority for item in kmod_index.read(data)] == [0, 1]
