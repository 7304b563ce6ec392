"""Windows' GPT becomes an MBR in an overlay; other readers see one whole table at any end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.disk import libparted
from converter.disk.apply import write_table
from converter.disk.windows_conversion import WindowsConversion, prepare_windows
from converter.model import ConvertTable, TableType
from tests.unit.disk.cuts import cuts, table
from tests.unit.disk.ntfs_samples import ESP, MSR, RECOVERY, part, put, windows_disk

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance

SECTORS = 16384
LAYOUT = (
    part(1, 2048, 2048, ESP),
    part(2, 4096, 1024, MSR),
    part(3, 6144, 4096),
    part(4, 12288, 2048, RECOVERY),
)
GPT = {p.number: (p.start, p.size) for p in LAYOUT}
MBR = {number: GPT[number] for number in (3, 4)}


@pytest.fixture(scope="module")
def disk() -> bytearray:
    return windows_disk(LAYOUT, sectors=SECTORS)


@pytest.fixture(scope="module")
def conversion(disk: bytearray) -> WindowsConversion:
    found = prepare_windows(
        lambda at, length: bytes(disk[at : at + length]), table(disk), system=LAYOUT[2]
    )
    assert found is not None
    return found


def by_sfdisk(image: Path) -> tuple[str, dict[int, tuple[int, int]]]:
    found = json.loads(process.run(["sfdisk", "-J", str(image)]).stdout)["partitiontable"]
    return found["label"], {
        int(p["node"].removeprefix(str(image))): (p["start"] * 512, p["size"] * 512)
        for p in found["partitions"]
    }


def test_parted_and_sfdisk_at_every_stage(
    tmp_path: Path, disk: bytearray, conversion: WindowsConversion
) -> None:
    """As it was, after each boot sector, the first sector, half of each copy, and the end."""
    image = tmp_path / "disk.img"
    seen = []
    for number, cut in enumerate(cuts(bytes(disk), conversion.pieces, size=len(disk))):
        if number not in {0, 1, 2, 3, 4, 20, 36, 50, 69}:
            continue
        image.write_bytes(cut)
        label, partitions = by_sfdisk(image)
        assert partitions == (GPT if label == "gpt" else MBR)
        assert (label == "gpt") is (table(cut).table is TableType.GPT)
        seen.append(label)
        assert libparted.read_table(image) == ("gpt" if label == "gpt" else "msdos", partitions)
    assert seen == ["gpt"] * 3 + ["dos"] * 6


def test_an_overlay_gets_it(tmp_path: Path, disk: bytearray, conversion: WindowsConversion) -> None:
    image, overlay, made = (tmp_path / name for name in ("disk.raw", "overlay.qcow2", "made.raw"))
    image.write_bytes(disk)
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image), str(overlay)]
    )
    change = ConvertTable(
        code="convert-table",
        reason="test",
        path="/dev/sda",
        table=TableType.MBR,
        partitions=conversion.partitions,
        pieces=conversion.pieces,
        size=len(disk),
    )
    write_table(overlay, change, directory=tmp_path)
    process.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(overlay), str(made)])
    expected = bytearray(disk)
    for offset, piece in conversion.pieces:
        put(expected, offset, piece)
    assert made.read_bytes() == expected
    assert image.read_bytes() == disk
    assert libparted.read_table(made) == ("msdos", MBR)
