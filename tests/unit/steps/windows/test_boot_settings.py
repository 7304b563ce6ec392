from __future__ import annotations

import pytest

from converter.formats import bcd
from converter.inspection import inspect_machine
from converter.model import Severity
from converter.steps.order import make_plan
from converter.steps.windows import boot_settings
from tests.unit.steps.windows.planning import done
from tests.unit.windows_samples import (
    Windows,
    hive_of,
    server,
    spoilt,
)
from tests.unit.windows_samples import bcd as store

EFI = "/ESP/EFI/Microsoft/Boot/BCD"
BIOS = "/System/Boot/BCD"


@pytest.mark.parametrize(("uefi", "path"), [(True, EFI), (False, BIOS)])
def test_ems_is_off(*, uefi: bool, path: str) -> None:
    plan, machine = done(server(uefi=uefi), boot_settings.STEP)
    assert bcd.read(hive_of(server(uefi=uefi).machine_mounted(), path)).ems_enabled
    assert not bcd.read(hive_of(machine, path)).ems_enabled
    assert {change.path for change in plan.changes} == {path}
    assert {change.code for change in plan.changes} == {"ems-off"}
    assert all(change.reason for change in plan.changes)


def test_every_store_there_is() -> None:
    made = server()
    made.files["/Boot/BCD"] = store(uefi=False)
    plan, _ = done(made, boot_settings.STEP)
    assert {change.path for change in plan.changes} == {EFI, "/C/Boot/BCD"}


def test_names_in_another_case() -> None:
    made = server()
    made.spell = str.lower
    plan, _ = done(made, boot_settings.STEP)
    assert {change.path for change in plan.changes} == {EFI.lower().replace("/esp", "/ESP")}


def test_no_store_and_what_is_no_file() -> None:
    made = server()
    del made.esp["/EFI/Microsoft/Boot/BCD"]
    made.esp["/EFI/Microsoft/Boot/BCD/x"] = ""
    plan, _ = done(made, boot_settings.STEP)
    assert plan.changes == ()


def damaged(data: bytes) -> Windows:
    made = server()
    made.esp["/EFI/Microsoft/Boot/BCD"] = data
    return made


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "registry-damaged"),
        (b"noise" * 2000, "registry-damaged"),
        (store(uefi=True)[:4096], "registry-damaged"),
        (spoilt(store(uefi=True)), "registry-damaged"),
        (store(uefi=True)[:4] + b"\xff" + store(uefi=True)[5:], "registry-dirty"),
    ],
)
def test_one_that_is_damaged_refuses_the_guest(data: bytes, code: str) -> None:
    machine = damaged(data).machine()
    plan = make_plan(machine, inspect_machine(machine))
    (finding,) = [item for item in plan.findings if item.severity is Severity.ERROR]
    assert finding.code == code
    assert EFI in finding.message
    assert finding.hint
    assert EFI not in {change.path for change in plan.changes}
