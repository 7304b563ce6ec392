r"""BOOT-5: the files of a Windows that gets an MBR."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from converter.disk.table import read_table
from converter.formats import bcd
from converter.formats.mounted_devices import MbrPlace
from converter.formats.registry import binary
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import BootMode, ConvertTable, Plan, Severity, TableType, Wanted
from converter.steps.order import make_plan
from converter.steps.step import Options
from converter.verification import verify
from converter.windows_table import prepare
from tests.unit.formats import bcd_samples
from tests.unit.machines import link
from tests.unit.samples import source
from tests.unit.windows_samples import SYSTEM, Windows, WindowsMachine, hive_of, server, spoilt

if TYPE_CHECKING:
    from converter.inspection import Inspection

C = 3 << 20  # where the third partition is


def planned(made: Windows) -> tuple[Plan, WindowsMachine, Inspection]:
    machine = made.machine()
    found = inspect_machine(machine)

    def read(offset: int, length: int) -> bytes:
        return machine.read_device("/dev/sda", offset=offset, length=length)

    conversion = prepare(read, source(), found.facts, Wanted(boot_mode=BootMode.LEGACY_BIOS))
    plan = make_plan(machine, found, Options(windows_conversion=conversion))
    return plan, machine, found


def converted(made: Windows) -> tuple[Plan, WindowsMachine, Inspection, Inspection]:
    """Do it, files first, then the table; look again, and see that all is as planned."""
    plan, machine, before = planned(made)
    assert plan.findings == ()
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    (table,) = [change for change in plan.changes if isinstance(change, ConvertTable)]
    for at, piece in table.pieces:
        machine.disks["/dev/sda"].put(at, piece)
    after = inspect_machine(machine)
    verify(machine, before, after, plan)
    return plan, machine, before, after


def test_it_starts_by_bios_then() -> None:
    _, machine, before, after = converted(server())
    assert before.facts.boot_modes == {BootMode.UEFI}
    assert after.facts.boot_modes == {BootMode.LEGACY_BIOS}
    assert after.facts.esps == ()
    assert machine.read("/C/bootmgr") == b"bootmgr for BIOS"
    assert machine.read("/C/BOOTNXT") == b"bootnxt"
    assert machine.read("/C/Boot/memtest.exe") == b"memtest"
    disk = read_table(
        lambda at, length: machine.read_device("/dev/sda", offset=at, length=length),
        device="/dev/sda",
        size=machine.devices()[0][1],
    )
    assert disk.table is TableType.MBR
    assert [(part.number, part.type, part.active) for part in disk.partitions] == [
        (3, "07", True),
        (4, "27", False),
    ]
    hidden = struct.unpack_from("<I", machine.read_device("/dev/sda3", offset=0, length=512), 0x1C)
    assert hidden == (C // 512,)


def test_its_settings_name_the_new_places() -> None:
    _, machine, _, after = converted(server())
    store = bcd.read(hive_of(machine, "/C/Boot/BCD"))
    signature = int(after.facts.disks[0].identifier, 16)
    assert store.boot_manager
    for found in (store.boot_manager.device(bcd.DEVICE), store.default.device(bcd.OS_DEVICE)):  # type: ignore[union-attr]
        assert found.partition == MbrPlace(signature, C)
    assert not store.ems_enabled
    assert store.default
    assert store.default.text(bcd.PATH) == r"\Windows\system32\winload.exe"


def test_volumes_keep_their_letters() -> None:
    _, machine, _, after = converted(server())
    value = hive_of(machine, SYSTEM).value("MountedDevices", r"\DosDevices\C:")
    signature = int(after.facts.disks[0].identifier, 16)
    assert value == binary(struct.pack("<IQ", signature, C))


def test_the_store_of_uefi_stays_for_whoever_goes_back() -> None:
    plan, machine, _, _ = converted(server())
    assert all(not change.path.startswith("/ESP") for change in plan.changes)
    machine.mkdir("/look")
    machine.mount("/dev/sda1", "/look", options="ro")
    assert bcd.read(hive_of(machine, "/look/EFI/Microsoft/Boot/BCD")).ems_enabled


def test_a_second_time_there_is_nothing_to_do() -> None:
    _, machine, _, after = converted(server())
    assert make_plan(machine, after).changes == ()


def test_names_in_another_case() -> None:
    made = server()
    made.spell = str.upper
    _, machine, _, after = converted(made)
    assert after.facts.boot_modes == {BootMode.LEGACY_BIOS}
    assert bcd.read(hive_of(machine, "/C/Boot/BCD")).boot_manager


def test_what_is_there_already_is_replaced_and_kept() -> None:
    made = server()
    made.files |= {"/BOOTMGR": b"older", "/BOOT/bcd": b"no hive"}
    plan, machine, _, _ = converted(made)
    assert machine.read("/C/BOOTMGR") == b"bootmgr for BIOS"
    assert machine.read("/C/.BOOTMGR.converter-orig") == b"older"
    assert machine.read("/C/BOOT/.bcd.converter-orig") == b"no hive"
    assert "/C/bootmgr" not in {change.path for change in plan.changes}


def test_what_some_windows_lack_is_left_out() -> None:
    made = server()
    for name in ("bootnxt", "memtest.exe"):
        del made.files[f"/Windows/Boot/PCAT/{name}"]
    _, machine, _, after = converted(made)
    assert after.facts.boot_modes == {BootMode.LEGACY_BIOS}
    assert machine.lstat("/C/BOOTNXT") is None


def without_bootmgr() -> Windows:
    made = server()
    del made.files["/Windows/Boot/PCAT/bootmgr"]
    return made


def with_store(data: bytes | None) -> Windows:
    made = server()
    del made.esp["/EFI/Microsoft/Boot/BCD"]
    if data is not None:
        made.esp["/EFI/Microsoft/Boot/BCD"] = data
    return made


NO_WINDOWS = {
    name: found
    for name, found in bcd_samples.uefi_objects().items()
    if name not in (bcd_samples.LOADER, bcd_samples.WINRE)
}


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (without_bootmgr(), "table-boot-settings"),
        (with_store(None), "table-boot-settings"),
        (with_store(bcd_samples.store(NO_WINDOWS)), "table-boot-settings"),
        (with_store(bcd_samples.store({})), "table-boot-settings"),
        (with_store(spoilt(bcd_samples.store(bcd_samples.uefi_objects()))), "table-boot-settings"),
        (with_store(b"noise" * 2000), "registry-damaged"),
    ],
)
def test_one_that_cannot_follow_is_refused(made: Windows, code: str) -> None:
    plan, _, _ = planned(made)
    (finding,) = [item for item in plan.findings if item.severity is Severity.ERROR]
    assert finding.code == code
    assert finding.hint
    assert not any(isinstance(change, ConvertTable) for change in plan.changes)


@pytest.mark.parametrize("path", ["/bootmgr", "/Boot/BCD"])
def test_a_directory_where_a_file_is_to_be(path: str) -> None:
    made = server()
    made.files[f"{path}/x"] = ""
    plan, _, _ = planned(made)
    (finding,) = [item for item in plan.findings if item.severity is Severity.ERROR]
    assert finding.code == "guest-not-a-file"
    assert path in finding.message
    assert not any(isinstance(change, ConvertTable) for change in plan.changes)


def test_a_link_where_a_file_is_to_be() -> None:
    made = server()
    made.files["/bootmgr"] = link("bootmgr")
    plan, _, _ = planned(made)
    (finding,) = [item for item in plan.findings if item.severity is Severity.ERROR]
    assert finding.code == "guest-link-loop"


def test_the_table_is_shown() -> None:
    plan, _, _ = planned(server())
    diff = plan.diffs[-1]
    assert isinstance(plan.changes[-1], ConvertTable)
    assert diff.startswith("-gpt, ")
    assert "\n+mbr\n" in diff
