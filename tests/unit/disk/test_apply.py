"""parted sees what was planned, and says so when it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.disk.apply import prove
from converter.errors import DefectError
from converter.model import ConvertTable, TableType
from tests.unit.disk.core_images import core_image
from tests.unit.disk.test_conversion import GPT_PARTS, gpt_image, mbr_image, primary

if TYPE_CHECKING:
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
