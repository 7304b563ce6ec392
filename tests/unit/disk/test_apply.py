"""parted sees what was planned, and says so when it does not; a disk in use is left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.disk.apply import prove, write_in_place
from converter.errors import DefectError
from converter.model import ConvertTable, TableType
from tests.unit.disk.core_images import core_image
from tests.unit.disk.test_conversion import GPT_PARTS, gpt_image, mbr_image, primary

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.disk.conversion import Conversion


def change(conversion: Conversion) -> ConvertTable:
    return ConvertTable(
        code="test",
        reason="because",
        path="/dev/sda",
        table=conversion.table,
        partitions=conversion.partitions,
        pieces=conversion.pieces(core_image("biosdisk")),
        size=conversion.size,
    )


MADE = (
    gpt_image(*GPT_PARTS).prepared(TableType.MBR),
    mbr_image(primary(1, 2048, 4096), primary(3, 8192, 4096, "82")).prepared(TableType.GPT),
    mbr_image(primary(1, 2048, 30720)).prepared(TableType.GPT),
)


@pytest.mark.parametrize("conversion", MADE, ids=["mbr", "gpt", "gpt-grown"])
def test_what_is_right_passes(conversion: Conversion, tmp_path: Path) -> None:
    prove(change(conversion), directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("conversion", MADE, ids=["mbr", "gpt", "gpt-grown"])
def test_what_is_wrong_is_a_defect(conversion: Conversion, tmp_path: Path) -> None:
    right = change(conversion)
    first, *others = right.partitions
    moved = replace(first, start=first.start + 512)
    for wrong in (
        replace(right, partitions=(moved, *others)),
        replace(right, partitions=tuple(others)),
        replace(right, pieces=()),
    ):
        with pytest.raises(DefectError) as caught:
            prove(wrong, directory=tmp_path)
        assert caught.value.code == "table-unproven"


class Disk:
    """A disk of a machine, and what was done to it in which order."""

    def __init__(self, size: int, *, is_used: bool = False) -> None:
        self.size = size
        self.is_used = is_used
        self.done: list[tuple[int, bytes]] = []

    def rewrite(self, device: str, pieces: Sequence[tuple[int, bytes]], *, size: int) -> bool:
        assert device == "/dev/sda"
        if self.is_used or size != self.size:
            return False
        self.done += pieces
        return True


@pytest.mark.parametrize("conversion", MADE[:2], ids=["mbr", "gpt"])
def test_a_disk_gets_each_piece_in_its_turn(conversion: Conversion, tmp_path: Path) -> None:
    wanted, disk = change(conversion), Disk(conversion.size)
    assert write_in_place(disk, wanted, directory=tmp_path)
    assert disk.done == list(wanted.pieces)


def test_a_disk_in_use_is_left_alone(tmp_path: Path) -> None:
    disk = Disk(MADE[0].size, is_used=True)
    assert not write_in_place(disk, change(MADE[0]), directory=tmp_path)
    assert disk.done == []


def test_a_disk_that_is_to_grow_is_left_alone(tmp_path: Path) -> None:
    disk = Disk(MADE[2].disk.size)
    assert disk.size < MADE[2].size
    assert not write_in_place(disk, change(MADE[2]), directory=tmp_path)
    assert disk.done == []


def test_nothing_is_done_where_parted_sees_something_else(tmp_path: Path) -> None:
    disk = Disk(MADE[0].size)
    with pytest.raises(DefectError):
        write_in_place(disk, replace(change(MADE[0]), pieces=()), directory=tmp_path)
    assert disk.done == []
