from __future__ import annotations

import pytest

from converter.data import load
from converter.formats.registry import Value, dword, sz
from converter.steps.windows import guest_tools
from tests.unit.steps.windows.planning import done
from tests.unit.windows_samples import (
    CURRENT,
    SERVICES,
    SYSTEM,
    both,
    hive_of,
    put,
    server,
    service,
)


def test_they_start_no_more() -> None:
    plan, machine = done(server(), guest_tools.STEP)
    hive = hive_of(machine, SYSTEM)
    for name in (CURRENT, "ControlSet002"):
        for tool in ("VMTools", "VGAuthService", "vmci", "vsock"):
            assert hive.value(rf"{name}\Services\{tool}", "Start") == dword(4)
    assert len(plan.changes) == 8
    assert {change.code for change in plan.changes} == {"guest-tools-off"}


@pytest.mark.parametrize("tool", ["pvscsi", "vmxnet3ndis6", "stornvme"])
def test_drivers_of_devices_stay(tool: str) -> None:
    made = server()
    put(made.system, {rf"{SERVICES}\{tool}": service(0)})
    _, machine = done(made, guest_tools.STEP)
    assert hive_of(machine, SYSTEM).value(rf"{SERVICES}\{tool}", "Start") == dword(0)


@pytest.mark.parametrize("start", [None, sz("2"), dword(4)])
def test_one_that_does_not_start_stays(start: Value | None) -> None:
    made = server()
    both(made, r"Services\VMTools", Start=start)
    _, machine = done(made, guest_tools.STEP)
    assert hive_of(machine, SYSTEM).value(rf"{SERVICES}\VMTools", "Start") == start


def test_without_tools_nothing_is_done() -> None:
    made = server()
    for name in (CURRENT, "ControlSet002"):
        for tool in ("VMTools", "VGAuthService", "vmci", "vsock"):
            made.system.delete_key(rf"{name}\Services\{tool}")
    assert not guest_tools.STEP.applies(made.inspect().facts)


def test_what_is_switched_off_drives_no_disk() -> None:
    data = load("windows")
    needed = {name for row in data["drivers"].values() for name in row["services"]}
    needed |= {*data["boot_services"]["names"], "pvscsi", "vioscsi", "viostor"}
    assert not {name.upper() for name in data["quiet"]["services"]} & {n.upper() for n in needed}
