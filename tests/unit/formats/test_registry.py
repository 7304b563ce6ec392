"""Reading hives: one that is laid out by hand with every kind of record, and damage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, registry_new
from converter.formats.registry import Hive, Value, ValueType, dword, is_dirty, sz
from tests.unit.registry_samples import BIG, Layout, base_block, hbin, sample


def test_every_kind_of_record() -> None:
    hive = Hive(sample())
    hive.check()
    assert hive.subkeys("") == ("Apple", "Number", "Perf", "Жук")
    assert hive.subkeys("Apple") == ("Seed",)
    assert hive.values("number") == {
        "": sz("System32"),
        "Start": dword(3),
        "Größe→": Value(ValueType.BINARY, b"AB"),
        "Big": Value(ValueType.BINARY, BIG),
        "Nothing": Value(ValueType.NONE, b""),
        "Größe": Value(0xFFFF0012, b""),
    }
    # What a predefined key has where others count their values is no count.
    assert hive.exists("Perf")
    assert hive.values("Perf") == {}


def test_large_data_before_version_1_4_is_in_one_cell() -> None:
    hive = Hive(sample(minor=3))
    hive.check()
    assert hive.value("Number", "Big") == Value(ValueType.BINARY, BIG)


@pytest.mark.parametrize("path", ["apple\\SEED", "ЖУК", "жук", "", "PERF"])
def test_keys_are_found_whatever_their_case(path: str) -> None:
    assert Hive(sample()).exists(path)


@pytest.mark.parametrize("path", ["Apples", "Appl", "Apple\\Seed\\x", "\\Apple", "Apple\\", "zzz"])
def test_keys_that_are_not_there(path: str) -> None:
    hive = Hive(sample())
    assert not hive.exists(path)
    assert hive.subkeys(path) == ()
    assert hive.values(path) == {}
    assert hive.value(path, "Start") is None


def test_values_are_found_whatever_their_case() -> None:
    hive = Hive(sample())
    assert hive.value("Number", "START") == dword(3)
    assert hive.value("Number", "GRÖßE→") == Value(ValueType.BINARY, b"AB")
    assert hive.value("Number", "") == sz("System32")
    assert hive.value("Number", "Stars") is None


def test_case_of_single_characters() -> None:
    hive = Hive(registry_new.empty())
    hive.create_key("\xff")
    assert hive.exists("\u0178")
    # Sharp s; what Python makes an ASCII letter of; the micro sign; and outside the first plane.
    for one, other in (
        ("stra\xdfe", "STRASSE"),
        ("\u0131", "I"),
        ("\u017f", "S"),
        ("\xb5", "\u039c"),
        ("\U00010428", "\U00010400"),
    ):
        hive.create_key(one)
        assert not hive.exists(other)


def test_what_is_not_changed_stays_as_it_is() -> None:
    data = sample() + b"padding behind the bins"
    assert Hive(data).tobytes() == data


# --- damage ---------------------------------------------------------------------------------------


def block(*, length: int = 4096, root: int = 32, minor: int = 5, kind: int = 0) -> bytes:
    """A hive with nothing in it, not even a root."""
    return base_block(length=length, root=root, minor=minor, kind=kind) + hbin(0, b"")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "does not begin with a base block"),
        (b"regf", "does not begin with a base block"),
        (b"MZ" + bytes(8190), "does not begin with a base block"),
        (block()[:508] + b"xxxx" + block()[512:], "checksum"),
        (block(minor=2), "version 1.2 is not known"),
        (block(minor=7), "version 1.7 is not known"),
        (block(kind=1), "type 1"),
        (block(length=0), "0 bytes of bins"),
        (block(length=512), "512 bytes of bins"),
        (block(length=8192), "8192 bytes of bins, in 4096"),
        (block()[:4096] + bytes(4096), "no bin begins at 0x0"),
        (block()[:4096] + hbin(4096, b""), "no bin begins at 0x0"),
        (block()[:4104] + b"\0\x20" + block()[4106:], "the bin at 0x0 has 8192 bytes"),
        (block(root=36), "no cell can be at 0x24"),
        (block(root=4096), "no cell can be at 0x1000"),
        (block(root=0), "no cell in use is at 0x0"),
        (block(root=32), "no cell in use is at 0x20"),
    ],
)
def test_what_is_no_hive(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        Hive(data)


def test_a_dirty_hive_is_refused() -> None:
    page = sample()[4096:]
    data = base_block(length=len(page), root=32, sequences=(8, 7)) + page
    assert is_dirty(data)
    assert not is_dirty(sample())
    with pytest.raises(FormatError, match=r"dirty \(sequence numbers 8 and 7\)"):
        Hive(data)


def odd(number: int) -> bytes:
    """A hive whose root has subkeys that are wrong in one of several ways."""
    layout = Layout()
    security = layout.security(count=3)
    key = layout.key(b"a", security=security)
    leaf = layout.plain_list(b"li", key)
    nested = layout.plain_list(b"ri", layout.plain_list(b"ri", leaf))
    subkeys = [
        (2, leaf),
        (1, nested),
        (1, key),
        (1, layout.add(b"li\xff\xff")),
        (1, layout.plain_list(b"li", leaf)),
        (1, layout.plain_list(b"li", key + 4)),
    ][number]
    return layout.hive(layout.key(b"R", security=security, flags=0x2C, subkeys=subkeys))


@pytest.mark.parametrize(
    ("number", "match"),
    [
        (0, "'R' has 2 subkeys, and lists 1"),
        (1, "is in another one"),
        (2, "no list of subkeys"),
        (3, "longer than its cell"),
        (4, "no nk record"),
        (5, "no cell can be at"),
    ],
)
def test_damaged_lists(number: int, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        Hive(odd(number)).subkeys("")


def odd_value(size: int, place: int, *, kind: int = 1) -> Hive:
    layout = Layout()
    security = layout.security(count=1)
    layout.add(b"db\x02\0\0\0\0\0")
    value = layout.value(b"v", kind, size, place)
    values = (1, layout.offsets(value))
    return Hive(layout.hive(layout.key(b"R", security=security, flags=0x2C, values=values)))


@pytest.mark.parametrize(
    ("size", "place", "match"),
    [
        (0x80000005, 0, "5 bytes in its record"),
        (100, 32, "'v' has 100 bytes, of which 44 exist"),
        (0x7FFFFFFF, 32, "larger than itself"),
        (17000, 32, "larger than itself"),
        (4, 33, "no cell can be at 0x21"),
    ],
)
def test_damaged_values(size: int, place: int, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        odd_value(size, place).values("")


def test_paths_have_an_end() -> None:
    with pytest.raises(FormatError, match="too deep"):
        Hive(sample()).exists("\\".join("a" * 513))


def read_all(hive: Hive) -> None:
    """Read what can be reached, up to some number of keys."""
    paths = [""]
    for _ in range(50):
        if not paths:
            break
        path = paths.pop()
        hive.values(path)
        paths += [f"{path}\\{name}" if path else name for name in hive.subkeys(path)]


SAMPLE = sample()
IN_USE = len(SAMPLE.rstrip(b"\0"))


def damage(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """Change bytes of the bins; the base block stays, as its checksum would tell at once."""
    damaged = bytearray(data)
    for place, byte in places:
        damaged[4096 + place % (len(data) - 4096)] = byte
    return bytes(damaged)


# Most of the sample is large data; what is damaged is more often in the records around it.
places = st.one_of(
    st.integers(0, 700), st.integers(0, 2000), st.integers(IN_USE - 5100, IN_USE - 4096)
)
flips = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=6)


@given(flips)
def test_damage_is_found_or_harmless(changes: list[tuple[int, int]]) -> None:
    try:
        hive = Hive(damage(SAMPLE, changes))
        read_all(hive)
        hive.check()
    except FormatError:
        return
    # What passed the check can be edited, and passes it again.
    hive.set_value("New\\Key", "Value", sz("text"))
    hive.delete_key("Number")
    hive.delete_key("Apple")
    hive.check()


@given(flips)
def test_editing_what_is_damaged(changes: list[tuple[int, int]]) -> None:
    try:
        hive = Hive(damage(SAMPLE, changes))
        hive.set_value("Apple\\Seed\\New", "Value", sz("text"))
        hive.delete_value("Number", "Big")
        hive.delete_key("Apple")
        hive.tobytes()
    except FormatError:
        return


def test_lists_that_overlap() -> None:
    """Every eight bytes of one cell are a list, and each lists most of them."""
    layout = Layout()
    security = layout.security(count=1)
    leaf = b"\xf0\xff\xff\xff" + b"li\1\0"
    cell = layout.add(bytes(4) + leaf * 400)
    inner = [cell + 8 + 8 * number for number in range(400)]
    index = layout.plain_list(b"ri", *inner)
    subkeys = (400, index)
    root = layout.key(b"R", security=security, flags=0x2C, subkeys=subkeys)
    with pytest.raises(FormatError, match="larger than itself"):
        Hive(layout.hive(root)).subkeys("")
