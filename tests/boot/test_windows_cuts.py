"""Stopped at any of its writes, the conversion of a Windows' table leaves a disk that starts.

The files that BIOS needs are in before the table is written; that is what a disk looks like then
which has all of them, and still its old table. From there each sector is written in its turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.model import BootMode, ConvertTable, Wanted
from converter.monitor import NullMonitor
from converter.pipeline import examine
from images.windows.build import build
from images.windows.guest import Firmware, Windows
from images.windows.layout import Role, plan
from tests.command import Run
from tests.windows import tables
from tests.windows.machine import says

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.boot, pytest.mark.xdist_group("windows-cuts")]

SECTOR = 512
WINDOWS = Windows("2022", Firmware.UEFI)
Write = tuple[int, bytes]


class Cuts:
    """A disk with the files of both firmwares and its old table, and the writes to come."""

    def __init__(self, disk: Path, writes: list[Write]) -> None:
        self.disk = disk
        self.writes = writes
        self.done = 0

    def go_on_to(self, number: int) -> None:
        """Do the writes up to one."""
        with self.disk.open("r+b") as file:
            for offset, data in self.writes[self.done : number]:
                file.seek(offset)
                file.write(data)
        self.done = number

    @property
    def switch(self) -> int:
        """The write of the first sector."""
        return next(number for number, (offset, _) in enumerate(self.writes) if offset == 0)

    def table(self) -> tables.Table:
        with self.disk.open("rb") as file:
            return tables.read(file)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cuts]:
    directory = tmp_path_factory.mktemp("cuts")
    source = build(WINDOWS, directory)
    volume = plan(WINDOWS).get(Role.WINDOWS)
    with source.open("r+b") as file:
        for start in (volume.start, volume.start + volume.size - SECTOR):
            file.seek(start + 0x1C)
            file.write(bytes(4))  # as of a volume that no BIOS ever started
    wanted = Wanted(boot_mode=BootMode.LEGACY_BIOS)
    examined = examine([source], wanted, NullMonitor())
    (change,) = [item for item in examined.plan.changes if isinstance(item, ConvertTable)]
    Run("convert", source, "-o", directory, "--name", "bios", "--boot-mode", "legacy-bios").wait()
    disk = directory / "bios.raw"
    with source.open("rb") as old, disk.open("r+b") as new:
        for offset, data in change.pieces:
            old.seek(offset)
            new.seek(offset)
            new.write(old.read(len(data)))
    yield Cuts(disk, list(_sectors(change)))
    disk.unlink()


def _sectors(change: ConvertTable) -> Iterator[Write]:
    for offset, data in change.pieces:
        for at in range(0, len(data), SECTOR):
            yield offset + at, data[at : at + SECTOR]


def test_it_starts_by_uefi_up_to_the_switch_and_by_bios_from_it_on(cuts: Cuts) -> None:
    start = plan(WINDOWS).get(Role.WINDOWS).start // SECTOR
    before = cuts.table()
    assert before.is_gpt
    assert 0 < cuts.switch < len(cuts.writes) - 1
    for number in range(cuts.switch + 1):
        cuts.go_on_to(number)
        assert cuts.table() == before
    assert b"bootmgfw reached" in says(cuts.disk, Firmware.UEFI, "nvme", until=b"bootmgfw reached")
    for number in range(cuts.switch + 1, len(cuts.writes) + 1):
        cuts.go_on_to(number)
        table = cuts.table()
        assert not table.is_gpt
        assert [entry.start for entry in table.active()] == [start * SECTOR]
        if number in (cuts.switch + 1, (cuts.switch + len(cuts.writes)) // 2, len(cuts.writes)):
            said = says(cuts.disk, Firmware.BIOS, "nvme", until=b"\n")
            assert f"VBR hidden={start:08x} drive=80".encode() in said
    with cuts.disk.open("rb") as file:
        assert not tables.has_gpt(file)
