"""What the check of a whole hive finds that reading one key does not."""

from __future__ import annotations

from itertools import pairwise

import pytest

from converter.formats import FormatError
from converter.formats.registry import Hive
from tests.unit.registry_samples import Layout, sample


@pytest.mark.parametrize("minor", [3, 4, 5, 6])
def test_a_hive_that_is_whole(minor: int) -> None:
    Hive(sample(minor=minor)).check()


def test_cells_that_nothing_refers_to() -> None:
    layout = Layout()
    security = layout.security(count=7)
    layout.add(b"lost")
    Hive(layout.hive(layout.key(b"R", security=security))).check()


class Sketch(Layout):
    """A root with two keys, one value in each; parts of it can be made wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.security_at = self.security(count=3)
        self.values = [self.value(b"v", 4, 0x80000004, 1), self.value(b"V", 4, 0x80000004, 1)]
        self.lists = [self.offsets(value) for value in self.values]
        self.keys = [self._key(b"a", self.lists[0]), self._key(b"A", self.lists[1])]

    def _key(self, name: bytes, values: int) -> int:
        return self.key(name, security=self.security_at, values=(1, values))

    def finish(self, *keys: int) -> Hive:
        subkeys = (len(keys), self.plain_list(b"li", *keys))
        self.root = self.key(b"R", security=self.security_at, subkeys=subkeys)
        for key in self.keys:
            self.patch(key, 16, self.root)
        return Hive(self.hive(self.root))


def test_two_keys_of_one_name() -> None:
    sketch = Sketch()
    sketch.finish(sketch.keys[0]).check()
    with pytest.raises(FormatError, match="two keys in 'R' have one name"):
        sketch.finish(*sketch.keys).check()


def test_a_key_twice() -> None:
    sketch = Sketch()
    with pytest.raises(FormatError, match="two things refer to it"):
        sketch.finish(sketch.keys[0], sketch.keys[0]).check()


def test_a_key_that_is_elsewhere() -> None:
    sketch = Sketch()
    sketch.finish(sketch.keys[0])
    sketch.patch(sketch.keys[0], 16, sketch.keys[1])
    hive = Hive(sketch.hive(sketch.root))
    with pytest.raises(FormatError, match="does not know that it is in 'R'"):
        hive.check()


def test_a_list_of_values_twice() -> None:
    sketch = Sketch()
    sketch.patch(sketch.keys[0], 40, sketch.lists[1])
    sketch.cells[sketch.keys[0] - 32 + 4 + 76] = ord("x")
    with pytest.raises(FormatError, match="two things refer to it"):
        sketch.finish(*sketch.keys).check()


def test_two_values_of_one_name() -> None:
    sketch = Sketch()
    sketch.patch(sketch.keys[0], 36, 2)
    sketch.patch(sketch.keys[0], 40, sketch.offsets(*sketch.values))
    with pytest.raises(FormatError, match="two values of the key 'a' are named 'V'"):
        sketch.finish(sketch.keys[0]).check()


def test_data_that_is_missing() -> None:
    sketch = Sketch()
    sketch.patch(sketch.values[0], 4, 100)
    sketch.patch(sketch.values[0], 8, sketch.add(b"little"))
    with pytest.raises(FormatError, match="'v' has 100 bytes"):
        sketch.finish(sketch.keys[0]).check()


def test_a_class_that_is_cut_off() -> None:
    sketch = Sketch()
    sketch.patch(sketch.keys[0], 48, sketch.add(b"class"))
    sketch.patch(sketch.keys[0], 72, 1 | 99 << 16)
    with pytest.raises(FormatError, match="class of the key 'a' is longer"):
        sketch.finish(sketch.keys[0]).check()


def test_security_that_more_keys_share_than_it_says() -> None:
    sketch = Sketch()
    sketch.patch(sketch.security_at, 12, 1)
    with pytest.raises(FormatError, match="2 keys share the sk record"):
        sketch.finish(sketch.keys[0]).check()


@pytest.mark.parametrize("at", [4, 8])
def test_security_outside_of_its_ring(at: int) -> None:
    sketch = Sketch()
    sketch.patch(sketch.security_at, at, sketch.security(count=1))
    with pytest.raises(FormatError, match="not in the ring"):
        sketch.finish(sketch.keys[0]).check()


def test_security_that_is_none_or_is_cut_off() -> None:
    sketch = Sketch()
    sketch.patch(sketch.keys[0], 44, sketch.keys[1])
    with pytest.raises(FormatError, match="no sk record"):
        sketch.finish(sketch.keys[0]).check()
    sketch = Sketch()
    sketch.patch(sketch.security_at, 16, 400)
    with pytest.raises(FormatError, match="has 400 bytes"):
        sketch.finish(sketch.keys[0]).check()


def test_cells_that_do_not_fill_their_bin() -> None:
    sketch = Sketch()
    data = bytearray(sketch.finish(sketch.keys[0]).tobytes())
    free = 32 + len(sketch.cells)
    data[4096 + free] += 8
    hive = Hive(bytes(data))
    with pytest.raises(FormatError, match=f"the cell at {free:#x} has"):
        hive.check()


def test_a_deep_hive() -> None:
    layout = Layout()
    security = layout.security(count=9999)
    keys = [layout.key(b"k", security=security) for _ in range(514)]
    for above, below in pairwise(keys):
        layout.patch(above, 20, 1)
        layout.patch(above, 28, layout.plain_list(b"li", below))
        layout.patch(below, 16, above)
    hive = Hive(layout.hive(keys[0]))
    with pytest.raises(FormatError, match="too deep"):
        hive.check()
    Hive(layout.hive(keys[1])).check()
