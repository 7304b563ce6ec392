"""BOOT-4: which Windows gets an MBR."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestRefusedError
from converter.inspection import inspect_machine
from converter.model import BootMode, DiskFormat, TableType, Wanted
from converter.windows_table import prepare
from tests.unit.formats import ntfs_volumes
from tests.unit.samples import source
from tests.unit.windows_samples import client, server

if TYPE_CHECKING:
    from converter.disk.windows_conversion import WindowsConversion
    from tests.unit.windows_samples import Windows

BIOS, UEFI = BootMode.LEGACY_BIOS, BootMode.UEFI
VHDX, VMDK = DiskFormat.VHDX, DiskFormat.VMDK


def prepared(
    made: Windows,
    mode: BootMode | None,
    table: TableType | None,
    form: DiskFormat,
    *,
    disk: int = 0,
) -> WindowsConversion | None:
    machine = made.machine()
    facts = inspect_machine(machine).facts
    if disk:  # Windows is on the second one
        facts = replace(facts, disks=(replace(facts.disks[0], device="/dev/sdb"),))

    def read(offset: int, length: int) -> bytes:
        return machine.read_device("/dev/sda", offset=offset, length=length)

    return prepare(read, source(disk_format=form), facts, Wanted(boot_mode=mode, table=table))


@pytest.mark.parametrize(
    ("mode", "table", "form", "expected"),
    [
        (None, None, VHDX, True),
        (None, None, VMDK, False),
        (UEFI, None, VHDX, False),
        (BIOS, None, VMDK, True),
        (BIOS, None, VHDX, True),
        (None, TableType.MBR, VMDK, True),
        (BIOS, TableType.MBR, VMDK, True),
        (None, TableType.GPT, VHDX, False),
        (UEFI, TableType.GPT, VHDX, False),
    ],
)
def test_a_gpt(
    mode: BootMode | None, table: TableType | None, form: DiskFormat, *, expected: bool
) -> None:
    found = prepared(server(), mode, table, form)
    assert (found is not None) is expected
    if found:
        assert found.system.number == 3
        assert [part.number for part in found.partitions] == [3, 4]


@pytest.mark.parametrize("mode", [None, BIOS])
@pytest.mark.parametrize("table", [None, TableType.MBR])
def test_an_mbr_stays(mode: BootMode | None, table: TableType | None) -> None:
    assert prepared(server(uefi=False), mode, table, VHDX) is None


def test_an_mbr_becomes_no_gpt() -> None:
    with pytest.raises(GuestRefusedError) as caught:
        prepared(server(uefi=False), None, TableType.GPT, VMDK)
    assert caught.value.code == "table-windows"
    assert "mbr2gpt" in caught.value.hint


def foreign() -> Windows:
    made = server()
    made.volume = ntfs_volumes.volume(windows=False)
    return made


@pytest.mark.parametrize(
    ("made", "disk", "code"),
    [(foreign(), 0, "table-boot-record"), (server(), 1, "table-elsewhere")],
)
def test_one_that_is_impossible(made: Windows, disk: int, code: str) -> None:
    assert prepared(made, None, None, VHDX, disk=disk) is None
    for mode, table in ((BIOS, None), (None, TableType.MBR)):
        with pytest.raises(GuestRefusedError) as caught:
            prepared(made, mode, table, VHDX, disk=disk)
        assert caught.value.code == code
        assert caught.value.hint


def test_what_uefi_starts_keeps_its_gpt() -> None:
    """Windows starts by UEFI from a GPT only."""
    with pytest.raises(GuestRefusedError) as caught:
        prepared(server(), UEFI, TableType.MBR, VMDK)
    assert caught.value.code == "table-firmware"


def test_what_needs_uefi_keeps_its_gpt() -> None:
    made = client(build=22631)
    assert prepared(made, None, None, VHDX) is None
    with pytest.raises(GuestRefusedError) as caught:
        prepared(made, None, TableType.MBR, VMDK)
    assert caught.value.code == "table-firmware"
    assert "Windows 11" in caught.value.message
