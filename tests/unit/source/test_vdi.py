from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.source.build import MIB, pattern, stored, vdi
from tests.unit.source.opening import damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = pattern(MIB)


@pytest.mark.parametrize(("kind", "subformat"), [(1, "dynamic"), (2, "fixed")])
def test_opens(tmp_path: Path, kind: int, subformat: str) -> None:
    data = vdi({0: BLOCK, 2: BLOCK}, 2 * MIB + 512, kind=kind, table={1: 0xFFFFFFFE})
    disk = open_one(stored(tmp_path, "a.vdi", data))
    assert (disk.subformat, disk.virtual_size) == (subformat, 2 * MIB + 512)


@pytest.mark.parametrize(
    "options", [{"kind": 4}, {"kind": 3}, {"parent": b"p" * 16}, {"linked": b"l" * 16}]
)
def test_children_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    path = stored(tmp_path, "a.vdi", vdi({0: BLOCK}, MIB, **options))
    assert refusal(path).code == "vdi-differencing"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"version": 0x20000}, "vdi-version"),
        ({"kind": 77}, "vdi-header"),
        ({"block": 2 * MIB}, "vdi-header"),
        ({"extra": 512}, "vdi-header"),
        ({"size": 0, "blocks": {}}, "disk-size-zero"),
        ({"table": {1: 1}}, "truncated"),
        ({"table": {1: 0xFFFFFFFD}}, "truncated"),
        ({"table": {1: 0}}, "blocks-overlap"),
    ],
)
def test_damage(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    data = vdi(**{"blocks": {0: BLOCK}, "size": 2 * MIB, **options})
    assert damage(stored(tmp_path, "a.vdi", data)).code == code


def test_cut_off(tmp_path: Path) -> None:
    data = vdi({0: BLOCK, 1: BLOCK}, 2 * MIB)
    for length in (100, 513, MIB, 2 * MIB, len(data) - 1):
        assert damage(stored(tmp_path, "a.vdi", data[:length])).code in (
            "truncated",
            "format-mismatch",
        )
