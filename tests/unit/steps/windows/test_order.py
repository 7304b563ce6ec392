"""All steps together, on a Windows that is as it should be, and on those that are not."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converter.errors import GuestRefusedError
from converter.formats.registry import Hive, is_dirty, sz
from converter.formats.security_descriptor import SYSTEM_DIRECTORY, SYSTEM_FILE
from converter.guest.protocol import SECURITY
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import FileKind, MakeDirectory, Severity
from converter.policy_storage import judge_room
from converter.steps.order import LINUX, WINDOWS, make_plan
from converter.steps.windows import system_security
from converter.verification import verify
from tests.unit.windows_samples import (
    SAM,
    SOFTWARE,
    SYSTEM,
    Windows,
    change,
    client,
    convert,
    facts,
    interrupted,
    server,
    server_2008_r2,
    spoilt,
)

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = {
    "server": server,
    "server-bios": lambda: server(uefi=False),
    "2008-r2": server_2008_r2,
    "client": client,
}


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("spell", [str, str.upper])
def test_a_conversion(name: str, spell: Callable[[str], str]) -> None:
    made = EVERY[name]()
    made.spell = spell
    machine = made.machine()
    plan, after = convert(machine)
    assert not any(item.severity is Severity.ERROR for item in plan.findings)
    assert all(change.code and change.reason for change in plan.changes)
    assert len(plan.diffs) == len(plan.changes)
    assert after.facts.windows.guest_tools == ("vmware-tools",)
    assert {adapter.dhcp for adapter in after.facts.windows.adapters} == {True}
    assert judge_room(after.facts, plan) == ()
    for path in {item.path for item in plan.changes if hasattr(item, "key")}:
        Hive(machine.read(path, limit=1 << 30)).check()


@pytest.mark.parametrize("name", EVERY)
def test_it_is_what_was_planned(name: str) -> None:
    machine = EVERY[name]().machine()
    before = inspect_machine(machine)
    plan = make_plan(machine, before)
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    verify(machine, before, inspect_machine(machine), plan)


def test_nothing_else_is_touched() -> None:
    machine = server().machine()
    before = {name: dict(device.tree) for name, device in machine._devices.items()}
    plan, _ = convert(machine)
    machine.unmount()
    changed = {
        f"{name}{path}"
        for name, device in machine._devices.items()
        for path, node in device.tree.items()
        if before[name].get(path) != node
    }
    config = "/dev/sda3/Windows/System32/config"
    boot = "/dev/sda1/EFI/Microsoft/Boot"
    assert changed == {
        f"{config}/SYSTEM",
        f"{config}/.SYSTEM.converter-orig",
        f"{boot}/BCD",
        f"{boot}/.BCD.converter-orig",
        "/dev/sda1/EFI/Boot",
        "/dev/sda1/EFI/Boot/bootx64.efi",
    }
    assert plan.changes


def test_no_step_is_of_both_systems() -> None:
    assert not set(LINUX) & set(WINDOWS)
    names = [step.name for step in WINDOWS]
    assert len(set(names)) == len(names)
    assert all(name.startswith("windows-") for name in names)


def test_the_secrets_of_the_registry_are_not_in_the_plan() -> None:
    plan, _ = convert(server().machine())
    assert not any(SAM in item for item in (*plan.diffs, *(c.path for c in plan.changes)))


@pytest.mark.parametrize("log", ["SYSTEM.LOG1", "system.log2", "SYSTEM.LOG"])
def test_a_hive_whose_last_changes_are_in_its_log(log: str) -> None:
    """They are neither lost nor undone; the log that stays says nothing of a clean hive."""
    made = server()
    old = made.system.tobytes()
    change(made.system, r"ControlSet001\Services\Tcpip\Parameters", Hostname=sz("api"))
    dirty, kept = interrupted(old, made.system.tobytes())
    config = "/Windows/System32/config"
    made.files |= {f"{config}/SYSTEM": dirty, f"{config}/{log}": kept}
    machine = made.machine()
    plan, after = convert(machine)
    assert after.facts.windows.hostname == "api"
    assert "stornvme" in after.facts.windows.boot_drivers
    assert not is_dirty(machine.read(SYSTEM))
    assert machine.read(f"/C{config}/.SYSTEM.converter-orig") == dirty
    assert machine.read(f"/C{config}/{log}") == kept
    assert plan.findings == ()


HIVES = {"SYSTEM": SYSTEM, "SOFTWARE": SOFTWARE}


@pytest.mark.parametrize("name", HIVES)
def test_damage_that_comes_to_light_while_planning(name: str) -> None:
    """It is a finding, and ends each step that meets it."""
    machine = server().machine()
    found = inspect_machine(machine)
    assert found.hives
    found.hives._read[HIVES[name]] = spoilt(found.hives._read[HIVES[name]])
    found.hives._readers.clear()
    plan = make_plan(machine, found)
    codes = {item.code for item in plan.findings if item.severity is Severity.ERROR}
    assert codes == {"registry-damaged"}
    assert all(item.hint for item in plan.findings)


# Each is a whole conversion.
@settings(max_examples=10)
@given(
    st.integers(4096, 40_000),
    st.binary(min_size=1, max_size=16),
    st.sampled_from([*HIVES, "SAM", "BCD"]),
)
def test_no_byte_of_a_hive_is_a_failure_of_ours(at: int, noise: bytes, name: str) -> None:
    made = server()
    if name == "BCD":
        files, path = made.esp, "/EFI/Microsoft/Boot/BCD"
        data = files[path]
        assert isinstance(data, bytes)
    else:
        files, path = made.files, f"/Windows/System32/config/{name}"
        hive = {"SYSTEM": made.system, "SOFTWARE": made.software, "SAM": made.sam}[name]
        assert hive is not None
        data = hive.tobytes()
    place = at % len(data)
    files[path] = data[:place] + noise + data[place + len(noise) :]
    machine = made.machine()
    with contextlib.suppress(GuestRefusedError):
        plan = make_plan(machine, inspect_machine(machine))
        if not any(item.severity is Severity.ERROR for item in plan.findings):
            replay(plan, machine, progress=lambda _fraction: None)


class TestSecurity:
    """Who may write what is new: ntfs-3g would let everybody."""

    def test_on_ntfs(self) -> None:
        security = system_security(facts())
        assert security("/C/new", FileKind.FILE) == ((SECURITY, SYSTEM_FILE),)
        assert security("/C/new", FileKind.DIRECTORY) == ((SECURITY, SYSTEM_DIRECTORY),)

    @pytest.mark.parametrize("path", ["/ESP/new", "/Cx/new", "/new", "/C"])
    def test_fat_has_none(self, path: str) -> None:
        assert system_security(facts())(path, FileKind.FILE) == ()

    def test_a_volume_with_a_boot_manager_is_one(self) -> None:
        assert system_security(facts(uefi=False))("/System/Boot/x", FileKind.FILE)

    def test_new_directories_on_an_esp(self) -> None:
        plan, _ = convert(server().machine())
        (made,) = [change for change in plan.changes if isinstance(change, MakeDirectory)]
        assert (made.path, made.attributes) == ("/ESP/EFI/Boot", ())


def odd(made: Windows, path: str) -> None:
    made.files[f"{path}/x"] = ""


@pytest.mark.parametrize(
    "path", ["/Windows/System32/cmd.exe", "/Windows/System32/drivers/stornvme.sys"]
)
def test_a_directory_where_a_file_is_expected(path: str) -> None:
    made = server()
    del made.files[path]
    odd(made, path)
    plan, after = convert(made.machine())
    assert plan.changes
    assert "stornvme" not in after.facts.windows.boot_drivers or "cmd" in path
