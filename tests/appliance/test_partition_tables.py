"""Tables that sfdisk(8) makes are read as sfdisk itself reads them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from converter.disk.table import BackupOnlyError, read_table
from converter.model import Disk, TableType

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance

SIZE = 256 << 20

MBR = """
label: dos
label-id: 0x1234abcd
start=2048, size=65536, type=83, bootable
size=65536, type=ef
size=20480, type=8e
type=5
size=30000, type=82
size=30000, type=83
type=fd
"""

GPT = """
label: gpt
label-id: 01234567-89AB-CDEF-0123-456789ABCDEF
size=2048, type=21686148-6449-6E6F-744E-656564454649, name="BIOS boot"
size=65536, type=U, name="EFI"
start=262144, type=L, name="Wurzel ä", attrs="LegacyBIOSBootable"
"""


def make(path: Path, script: str) -> dict[str, Any]:
    with path.open("wb") as file:
        file.truncate(SIZE)
    process.run(["sfdisk", "--no-reread", str(path)], stdin=script.encode())
    return process_json(path)


def process_json(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(process.run(["sfdisk", "-J", str(path)]).stdout)
    return dict(table["partitiontable"])


def read(path: Path) -> Disk:
    def read_at(offset: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    return read_table(read_at, device=str(path), size=path.stat().st_size)


@pytest.mark.parametrize("script", [MBR, GPT], ids=["mbr", "gpt"])
def test_as_sfdisk_sees_it(tmp_path: Path, script: str) -> None:
    image = tmp_path / "disk.img"
    expected = make(image, script)
    disk = read(image)
    assert disk.table is (TableType.MBR if expected["label"] == "dos" else TableType.GPT)
    assert int(disk.identifier.replace("-", ""), 16) == int(expected["id"].replace("-", ""), 16)
    by_number = {f"{image}{p.number}": p for p in disk.partitions}
    assert by_number.keys() == {p["node"] for p in expected["partitions"]}
    for theirs in expected["partitions"]:
        ours = by_number[theirs["node"]]
        assert (ours.start // 512, ours.size // 512) == (theirs["start"], theirs["size"])
        assert ours.type == theirs["type"].lower().zfill(2)
        assert ours.name == theirs.get("name", "")
        legacy = "LegacyBIOSBootable" in theirs.get("attrs", "")
        assert ours.active == (legacy or theirs.get("bootable", False))
        if disk.table is TableType.GPT:
            assert ours.uuid == theirs["uuid"].lower()


def test_the_backup_of_a_damaged_gpt(tmp_path: Path) -> None:
    """Linux does not look for it: nothing of the guest would find its partitions."""
    image = tmp_path / "disk.img"
    make(image, GPT)
    with image.open("r+b") as file:
        file.seek(512)
        file.write(bytes(512))
    with pytest.raises(BackupOnlyError):
        read(image)
