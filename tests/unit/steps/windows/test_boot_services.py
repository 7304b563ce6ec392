from __future__ import annotations

import pytest

from converter.formats.registry import Value, binary, dword, expand_sz, qword, sz
from converter.steps.windows import boot_services
from tests.unit.steps.windows.planning import done, values
from tests.unit.windows_samples import (
    CURRENT,
    DRIVER,
    SERVICES,
    SYSTEM,
    Windows,
    both,
    change,
    hive_of,
    put,
    server,
    service,
)

NAMES = ("stornvme", "storahci", "intelide", "pciide", "atapi")


def start(made: Windows, name: str, control_set: str = CURRENT) -> Value | None:
    _, machine = done(made, boot_services.STEP)
    return hive_of(machine, SYSTEM).value(rf"{control_set}\Services\{name}", "Start")


def test_each_starts_with_the_machine_in_every_control_set() -> None:
    plan, machine = done(server(), boot_services.STEP)
    hive = hive_of(machine, SYSTEM)
    for control_set in (CURRENT, "ControlSet002"):
        for name in NAMES:
            key = rf"{control_set}\Services\{name}"
            assert hive.value(key, "Start") == dword(0)
            assert not hive.exists(rf"{key}\StartOverride")
    assert {change.code for change in plan.changes} == {"boot-driver"}
    assert values(plan.changes)[r"Services\intelide\StartOverride"] is None
    # What started already is left, but for what turned it off.
    assert r"Services\intelide\Start" not in values(plan.changes)
    assert hive.value(rf"{SERVICES}\stornvme", "ErrorControl") == dword(1)


@pytest.mark.parametrize("value", [None, sz("3"), qword(0), binary(b"\0"), Value(4, b"")])
def test_a_start_that_is_none(value: Value | None) -> None:
    made = server()
    both(made, r"Services\stornvme", Start=value)
    assert start(made, "stornvme") == dword(0)


def test_the_bus_that_hyper_v_does_not_have_is_on_again() -> None:
    made = server()
    both(made, r"Services\pci", Start=dword(3))
    both(made, r"Services\pci\StartOverride", **{"0": dword(3)})
    made.files["/Windows/System32/drivers/pci.sys"] = DRIVER
    _, machine = done(made, boot_services.STEP)
    hive = hive_of(machine, SYSTEM)
    for control_set in (CURRENT, "ControlSet002"):
        assert hive.value(rf"{control_set}\Services\pci", "Start") == dword(0)
        assert not hive.exists(rf"{control_set}\Services\pci\StartOverride")


def test_a_policy_against_new_disks_goes() -> None:
    made = server()
    both(made, r"Control\PnP", DisableCDDB=dword(1), DontStartRawDevices=dword(0))
    plan, machine = done(made, boot_services.STEP)
    hive = hive_of(machine, SYSTEM)
    for control_set in (CURRENT, "ControlSet002"):
        assert hive.value(rf"{control_set}\Control\PnP", "DisableCDDB") == dword(0)
    assert not any("DontStartRawDevices" in name for name in values(plan.changes))


def test_one_that_is_not_there_is_not_made() -> None:
    made = server()
    plan, machine = done(made, boot_services.STEP)
    assert not hive_of(machine, SYSTEM).exists(rf"{SERVICES}\msahci")
    assert not any("msahci" in name.lower() for name in values(plan.changes))


def test_one_in_one_control_set_alone() -> None:
    made = server()
    made.system.delete_key(rf"{SERVICES}\stornvme")
    _, machine = done(made, boot_services.STEP)
    assert not hive_of(machine, SYSTEM).exists(rf"{SERVICES}\stornvme")
    key = r"ControlSet002\Services\stornvme"
    assert hive_of(machine, SYSTEM).value(key, "Start") == dword(0)


@pytest.mark.parametrize("put_there", ["nothing", "directory", "elsewhere"])
def test_one_without_its_file_stays(put_there: str) -> None:
    made = server()
    file = "/Windows/System32/drivers/stornvme.sys"
    if put_there == "elsewhere":
        both(made, r"Services\stornvme", ImagePath=expand_sz(r"System32\drivers\x.sys"))
    else:
        del made.files[file]
    if put_there == "directory":
        made.files[f"{file}/x"] = ""
    assert start(made, "stornvme") == dword(3)


def test_names_in_another_case() -> None:
    made = server()
    made.spell = str.upper
    made.system.delete_key(rf"{SERVICES}\stornvme")
    put(
        made.system,
        {
            rf"{SERVICES}\STORNVME": service(3),
            rf"{SERVICES}\STORNVME\STARTOVERRIDE": {"0": dword(3)},
        },
    )
    plan, machine = done(made, boot_services.STEP)
    hive = hive_of(machine, "/C/WINDOWS/SYSTEM32/CONFIG/SYSTEM")
    assert hive.value(rf"{SERVICES}\stornvme", "start") == dword(0)
    assert not hive.exists(rf"{SERVICES}\stornvme\StartOverride")
    assert {change.path for change in plan.changes} == {"/C/WINDOWS/SYSTEM32/CONFIG/SYSTEM"}


def test_a_control_set_of_any_number() -> None:
    made = server()
    put(made.system, {r"ControlSet999999\Services\stornvme": service(3)})
    assert start(made, "stornvme", "ControlSet999999") == dword(0)


@pytest.mark.parametrize("path", ["x" * 8000, "\\".join("x" * 4000), "\ud800", "\\", "a\\..\\b"])
def test_any_path_of_a_driver(path: str) -> None:
    made = server()
    change(made.system, rf"{SERVICES}\stornvme", ImagePath=sz(path))
    assert start(made, "stornvme") == dword(3)
