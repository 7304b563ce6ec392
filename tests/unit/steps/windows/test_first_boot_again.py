"""The first boot of a Windows that is in a domain, or was converted and started before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.firstboot.group_policy import GPT, STARTUP
from converter.firstboot.script import DONE
from converter.firstboot.trigger import SCRIPT, SERVICE, STAGING
from converter.formats.registry import Hive, Value, dword
from converter.formats.registry_new import empty
from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.storage import Storage
from converter.model import Licence, Mount, ProductType, WindowsFacts
from converter.steps.step import Context, Options
from converter.steps.windows.first_boot import STEP
from tests.unit.samples import FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = "/C/Windows"
CONFIG = f"{ROOT}/System32/config"
WINDOWS = WindowsFacts(
    product="Windows Server 2019 Standard",
    edition="ServerStandard",
    release="2019",
    version="10.0",
    build=17763,
    installation_type="Server",
    product_type=ProductType.SERVER,
    architecture="x86_64",
    hostname="WEB",
    root=ROOT,
    language="0409",
    control_sets=("ControlSet001",),
    current_control_set="ControlSet001",
    image_state="IMAGE_STATE_COMPLETE",
    services={},
    drivers=frozenset(),
    boot_drivers=frozenset(),
    stand_ins=frozenset(),
    adapters=(),
    roles=(),
    agents=(),
    guest_tools=(),
)


def hive(values: Mapping[tuple[str, str], Value]) -> bytes:
    made = Hive(empty())
    for (key, name), value in values.items():
        made.set_value(key, name, value)
    return made.tobytes()


def guest(files: Mapping[str, bytes] | None = None, *, netlogon: int = 3) -> MemoryGuest:
    system = {
        ("Select", "Current"): dword(1),
        (r"ControlSet001\Services\Netlogon", "Start"): dword(netlogon),
    }
    hives = {
        f"{CONFIG}/SYSTEM": hive(system),
        f"{CONFIG}/SOFTWARE": empty(),
        f"{CONFIG}/SAM": empty(),
    }
    below = {f"{ROOT}/{path}": data for path, data in (files or {}).items()}
    return MemoryGuest({**hives, **below})


def convert(machine: MemoryGuest) -> None:
    """Put in what the first boot needs, and see that nothing of it is left to be planned."""
    plan = recorded(machine)
    replay(plan.plan, machine, progress=lambda _fraction: None)
    assert recorded(machine).plan.changes == ()


def recorded(machine: MemoryGuest) -> RecordingGuest:
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=WINDOWS)
    recording = RecordingGuest(machine)
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, Options(licence=Licence.AWS)))
    return recording


def service(machine: MemoryGuest) -> Value | None:
    made = Hive(machine.read(f"{CONFIG}/SYSTEM"))
    return made.value(rf"ControlSet001\Services\{SERVICE}", "Start")


@pytest.mark.parametrize(("netlogon", "by_policy"), [(3, True), (2, False)])
def test_a_member_of_a_domain_does_not_wait_for_its_controller(
    netlogon: int,
    by_policy: bool,  # noqa: FBT001
) -> None:
    machine = guest(netlogon=netlogon)
    convert(machine)
    assert (service(machine) is None) is by_policy
    assert (machine.lstat(f"{ROOT}/{STARTUP}") is not None) is by_policy


@pytest.mark.parametrize(("options", "by_policy"), [("1", True), ("2", False), ("3", False)])
def test_a_policy_without_its_computers_part_is_not_relied_on(
    options: str,
    by_policy: bool,  # noqa: FBT001
) -> None:
    machine = guest({GPT: f"[General]\r\nOptions={options}\r\n".encode()})
    convert(machine)
    assert (service(machine) is None) is by_policy


def test_what_an_earlier_first_boot_left_does_not_keep_this_one_from_its_work() -> None:
    state = [
        f"{STAGING}/state/{name}" for name in ("attempt-1", "attempt-3", "item-2", "restarted")
    ]
    machine = guest(dict.fromkeys((DONE, *state, f"{STAGING}/state/notes.txt"), b"1"))
    convert(machine)
    assert machine.lstat(f"{ROOT}/{SCRIPT}") is not None
    assert machine.lstat(f"{ROOT}/{DONE}") is None
    assert machine.list(f"{ROOT}/{STAGING}/state") == ("notes.txt",)


def test_a_policy_is_put_back_as_it_was_before_this_conversion_and_not_an_earlier_one() -> None:
    kept = GPT.replace("gpt.ini", ".gpt.ini.converter-orig")
    before = b"[General]\r\nVersion=7\r\n"
    machine = guest({GPT: before, kept: b"[General]\r\nVersion=2\r\n"})
    convert(machine)
    assert machine.read(f"{ROOT}/{kept}.1") == before
    assert b"Version=8" in machine.read(f"{ROOT}/{GPT}")
    assert b"Version=9" in machine.read(f"{ROOT}/{STAGING}/restore/2.after")
