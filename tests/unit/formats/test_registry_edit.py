"""Editing hives: at random beside a model, and what becomes of each field and byte."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, registry_new, registry_subkeys
from converter.formats.registry import Hive, Value, binary, dword, sz
from converter.formats.registry_cells import Cells
from converter.formats.registry_tree import Tree
from tests.unit.registry_samples import Layout, checksum, sample

if TYPE_CHECKING:
    from converter.formats.registry_records import Key

# --- a model: what the editor means, in a dictionary ----------------------------------------------


@dataclass
class Model:
    keys: dict[str, dict[str, Value]] = field(default_factory=lambda: {"": {}})

    def create_key(self, path: str) -> None:
        while path:
            self.keys.setdefault(path, {})
            path = path.rpartition("\\")[0]

    def set_value(self, path: str, name: str, value: Value) -> None:
        self.create_key(path)
        self.keys[path][name] = value

    def delete_value(self, path: str, name: str) -> None:
        self.keys.get(path, {}).pop(name, None)

    def delete_key(self, path: str) -> None:
        doomed = [key for key in self.keys if key == path or key.startswith(path + "\\")]
        for key in doomed:
            del self.keys[key]


def content(hive: Hive, path: str = "") -> dict[str, dict[str, Value]]:
    found = {path: hive.values(path)}
    for name in hive.subkeys(path):
        found |= content(hive, f"{path}\\{name}" if path else name)
    return found


# Upper case only, so that the model needs no folding; in one byte, in two, and outside the plane.
names = st.sampled_from(["A", "B", "_C", "ÄÖ", "\u0178", "Ж", "日本", "\U0001f600", "LONG" * 60])
paths = st.lists(names, min_size=1, max_size=4).map("\\".join)
values = st.builds(
    Value,
    st.one_of(st.integers(0, 12), st.just(0xFFFF0009)),
    st.one_of(st.binary(max_size=6), st.binary(max_size=90), st.integers(0, 16344).map(bytes)),
)
edits = st.one_of(
    st.tuples(st.just("create_key"), paths),
    st.tuples(
        st.just("set_value"), st.one_of(st.just(""), paths), st.one_of(st.just(""), names), values
    ),
    st.tuples(st.just("delete_value"), paths, names),
    st.tuples(st.just("delete_key"), paths),
)
sequences = st.lists(edits, max_size=25)


def run(target: Hive | Model, edit: tuple[object, ...]) -> None:
    name, *arguments = edit
    getattr(target, str(name))(*arguments)


@given(st.integers(3, 6), sequences)
def test_random_edits(minor: int, sequence: list[tuple[object, ...]]) -> None:
    hive, model = Hive(registry_new.empty(minor=minor)), Model()
    for edit in sequence:
        run(hive, edit)
        run(model, edit)
        hive.check()
        assert content(hive) == model.keys
    written = Hive(hive.tobytes())
    written.check()
    assert content(written) == model.keys


def cells_of(data: bytes, path: str) -> dict[int, bytes]:
    """The cells of a key and of all below it, with their bytes; not those of its security."""
    tree = Tree(Cells(data))
    found: dict[int, bytes] = {}
    top = tree.find(path)
    stack = [] if top is None else [top]
    while stack:
        offset = stack.pop()
        key = tree.key(offset)
        places = [offset, key.value_list, key.subkey_list, *(at for at, _ in tree.leaves(key))]
        for place, record in tree.value_records(key):
            places += [place, record.place if record.stored_size else place]
        found |= {at: tree.cells.read(at, len(data)) for at in places if at != 0xFFFFFFFF}
        stack += tree.children(key)
    return found


@given(sequences)
def test_what_is_not_meant_stays_where_it_is(sequence: list[tuple[object, ...]]) -> None:
    hive = Hive(sample())
    hive.set_value("KEEP\\Below", "Text", sz("some text"))
    hive.set_value("KEEP\\Below", "Number", dword(1))
    expected = cells_of(hive.tobytes(), "KEEP")
    assert len(expected) > 6
    for edit in sequence:
        run(hive, edit)
    hive.check()
    assert cells_of(hive.tobytes(), "KEEP") == expected


@given(sequences)
def test_the_same_edits_give_the_same_bytes(sequence: list[tuple[object, ...]]) -> None:
    one, other = Hive(sample()), Hive(sample())
    for edit in sequence:
        run(one, edit)
        run(other, edit)
    assert one.tobytes() == other.tobytes()


# --- bytes ----------------------------------------------------------------------------------------


@pytest.fixture
def hive() -> Hive:
    return Hive(sample())


def key(hive: Hive, path: str) -> Key:
    tree = Tree(Cells(hive.tobytes()))
    offset = tree.find(path)
    assert offset is not None
    return tree.key(offset)


def test_what_is_there_already_changes_nothing(hive: Hive) -> None:
    hive.create_key("")
    hive.create_key("apple\\seed")
    hive.set_value("NUMBER", "START", dword(3))
    hive.set_value("Number", "", sz("System32"))
    hive.delete_value("Number", "absent")
    hive.delete_value("absent", "absent")
    hive.delete_key("absent\\absent")
    assert hive.tobytes() == sample()


def test_both_sequence_numbers_and_the_checksum(hive: Hive) -> None:
    hive.set_value("Number", "Start", dword(4))
    data = hive.tobytes()
    assert struct.unpack_from("<II", data, 4) == (8, 8)
    assert struct.unpack_from("<I", data, 508) == (checksum(data),)
    # Where the time was it is still.
    assert data[12:508] == sample()[12:508]
    assert hive.tobytes() == data


def test_a_number_is_changed_in_its_place(hive: Hive) -> None:
    hive.set_value("Number", "Start", dword(4))
    before, after = sample(), hive.tobytes()
    changed = [at for at in range(4096, len(before)) if before[at] != after[at]]
    # One byte of the number, and the largest size of data, of which this hive did not know.
    assert len(changed) == 3
    assert Hive(after).value("Number", "Start") == dword(4)


def test_a_new_key(hive: Hive) -> None:
    hive.create_key("Apple\\Core\\Zürich")
    new, above = key(hive, "Apple\\Core\\Zürich"), key(hive, "Apple")
    # The time and the security of Apple.
    assert (new.timestamp, new.security) == (6, above.security)
    assert (new.flags, new.name_size, new.parent) == (
        0x20,
        6,
        Tree(Cells(hive.tobytes())).find("Apple\\Core"),
    )
    assert (above.subkey_count, above.largest_subkey, above.timestamp) == (2, 8, 6)
    assert hive.subkeys("Apple") == ("Core", "Seed")
    data = hive.tobytes()
    assert struct.unpack_from("<I", data, 4096 + above.security + 4 + 12) == (3,)
    hive.create_key("Apple\\Жук")
    assert (key(hive, "Apple\\Жук").flags, key(hive, "Apple\\Жук").name_size) == (0, 6)


def test_flags_beside_the_largest_name_stay() -> None:
    layout = Layout()
    security = layout.security(count=1)
    root = layout.key(b"R", security=security, flags=0x2C)
    layout.patch(root, 52, 0x00A00008)
    hive = Hive(layout.hive(root))
    hive.create_key("LongName")
    assert key(hive, "").largest_subkey == 0x00A00010
    hive.delete_key("LongName")
    assert key(hive, "").largest_subkey == 0x00A00000


def test_the_largest_value(hive: Hive) -> None:
    hive.set_value("New", "Name", binary(bytes(40)))
    hive.set_value("New", "", binary(bytes(4)))
    assert (key(hive, "New").largest_value_name, key(hive, "New").largest_value) == (8, 40)
    hive.delete_value("New", "NAME")
    assert key(hive, "New").value_count == 1
    hive.delete_value("New", "")
    empty = key(hive, "New")
    assert (empty.value_count, empty.value_list) == (0, 0xFFFFFFFF)
    assert (empty.largest_value_name, empty.largest_value) == (0, 0)


def test_security_goes_with_its_last_key(hive: Hive) -> None:
    own, common = key(hive, "Apple").security, key(hive, "").security
    hive.delete_key("Apple")
    hive.check()
    data = hive.tobytes()
    # It is free, and the other one is alone, and has one key less: that of Seed.
    assert struct.unpack_from("<i", data, 4096 + own)[0] > 0
    assert struct.unpack_from("<III", data, 4096 + common + 4 + 4) == (common, common, 4)


def test_what_was_deleted_is_used_again(hive: Hive) -> None:
    size = len(hive.tobytes())
    hive.delete_value("Number", "Big")
    for number in range(150):
        hive.set_value("Number", f"v{number}", binary(bytes(60)))
    assert len(hive.tobytes()) == size


def test_bins_are_added_at_the_end() -> None:
    hive = Hive(registry_new.empty() + b"padding")
    hive.set_value("A", "v", binary(bytes(16344)))
    data = hive.tobytes()
    assert struct.unpack_from("<I", data, 40) == (4096 + 16384,)
    assert data[8192:8208] == struct.pack("<4sIII", b"hbin", 4096, 16384, 0)
    assert len(data) == 8192 + 16384
    Hive(data).check()


def leaf(hive: Hive) -> tuple[bytes, list[tuple[int, ...]]]:
    data = hive.tobytes()
    at = 4096 + key(hive, "").subkey_list + 4
    count = struct.unpack_from("<H", data, at + 2)[0]
    return data[at : at + 2], [
        struct.unpack_from("<II", data, at + 4 + 8 * n) for n in range(count)
    ]


def test_lists_with_hashes() -> None:
    hive = Hive(registry_new.empty())
    for name in ("b", "_x", "Ab", "\xe4"):
        hive.create_key(name)
    kind, entries = leaf(hive)
    assert kind == b"lh"
    # 37 times the first character, and the second: of AB, B, _X, and of a capital umlaut.
    assert [hint for _, hint in entries] == [65 * 37 + 66, 66, 95 * 37 + 88, 0xC4]
    assert hive.subkeys("") == ("Ab", "b", "_x", "\xe4")


def test_lists_with_beginnings() -> None:
    hive = Hive(registry_new.empty(minor=3))
    for name in ("Abcdef", "b", "Ж"):
        hive.create_key(name)
    kind, entries = leaf(hive)
    assert kind == b"lf"
    assert [struct.pack("<I", hint) for _, hint in entries] == [b"Abcd", b"b\0\0\0", bytes(4)]


def test_long_lists_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_subkeys, "LEAF_LIMIT", 4)
    hive = Hive(registry_new.empty())
    names = [f"{number * 37 % 53:02}" for number in range(53)]
    for name in names:
        hive.create_key(name)
    hive.check()
    assert leaf(hive)[0] == b"ri"
    assert hive.subkeys("") == tuple(sorted(names))
    for name in names[1:]:
        hive.delete_key(name)
        hive.check()
    assert hive.subkeys("") == (names[0],)
    hive.delete_key(names[0])
    assert key(hive, "").subkey_list == 0xFFFFFFFF
    # All that is left is the root and its security.
    assert len(Cells(hive.tobytes()).used()) == 2


def test_lists_stay_of_their_kind(hive: Hive) -> None:
    for name in ("Apply", "Zoo"):
        hive.create_key(name)
    hive.create_key("Apple\\Tree")
    hive.check()
    tree = Tree(Cells(hive.tobytes()))
    assert [leaf.kind for _, leaf in tree.leaves(key(hive, ""))] == [b"lf", b"lh"]
    assert [leaf.kind for _, leaf in tree.leaves(key(hive, "Apple"))] == [b"li"]
    assert hive.subkeys("") == ("Apple", "Apply", "Number", "Perf", "Zoo", "Жук")


# --- what is refused ------------------------------------------------------------------------------


def test_values_that_readers_do_not_agree_about(hive: Hive) -> None:
    hive.set_value("Number", "Large", binary(bytes(16344)))
    with pytest.raises(FormatError, match="'Large' with 16345 bytes is too large"):
        hive.set_value("Number", "Large", binary(bytes(16345)))


@pytest.mark.parametrize("path", ["\\A", "A\\", "A\\\\B", "a" * 256, "a\0"])
def test_names_that_no_key_has(hive: Hive, path: str) -> None:
    with pytest.raises(FormatError, match="no key can be named"):
        hive.create_key(path)
    assert hive.tobytes() == sample()


def test_what_cannot_be_edited(hive: Hive) -> None:
    with pytest.raises(FormatError, match="root cannot be deleted"):
        hive.delete_key("")
    with pytest.raises(FormatError, match="'Perf' has no values of its own"):
        hive.set_value("Perf", "a", dword(1))
    hive.delete_value("Perf", "a")
    hive.delete_key("Perf")
    hive.check()


def looped() -> tuple[Layout, int]:
    """A key that is below itself."""
    layout = Layout()
    security = layout.security(count=9)
    key = layout.key(b"a", security=security, subkeys=(1, 0))
    layout.patch(key, 28, layout.plain_list(b"li", key))
    return layout, layout.key(
        b"R", security=security, flags=0x2C, subkeys=(1, layout.plain_list(b"li", key))
    )


def test_loops_are_found_before_anything_is_changed() -> None:
    layout, root = looped()
    hive = Hive(layout.hive(root))
    with pytest.raises(FormatError, match="below itself"):
        hive.delete_key("a")
    assert hive.tobytes() == layout.hive(root)
    with pytest.raises(FormatError, match="does not know"):
        hive.check()


def test_a_reference_into_another_cell() -> None:
    layout = Layout()
    security = layout.security(count=1)
    # What the value refers to looks like a cell, and is in the middle of one.
    inner = struct.pack("<i", -16) + b"pretended"
    outer = layout.add(bytes(4) + inner.ljust(20, b"\0"))
    value = layout.value(b"v", 3, 8, outer + 8)
    root = layout.key(b"R", security=security, flags=0x2C, values=(1, layout.offsets(value)))
    hive = Hive(layout.hive(root))
    assert hive.value("", "v") == binary(b"pretende")
    with pytest.raises(FormatError, match="into another cell"):
        hive.delete_value("", "v")
