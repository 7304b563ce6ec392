"""Running one step on a machine in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.mounts import mount_guest
from converter.inspection.storage import read_storage
from converter.steps.step import Context, Options
from tests.unit.samples import FACTS, LINUX

if TYPE_CHECKING:
    from converter.model import Facts, Plan
    from converter.steps.step import Step
    from tests.unit.machines import Lab


def context(machine: Lab, *, init_system: str = "systemd") -> Context:
    """Give what a step works on once `machine` is mounted."""
    mounted = mount_guest(machine, machine, read_storage(machine))
    storage = mounted.storage
    facts: Facts = replace(
        FACTS,
        disks=storage.disks,
        filesystems=storage.filesystems,
        volumes=storage.volumes,
        groups=storage.groups,
        arrays=storage.arrays,
        mounts=mounted.mounts,
        os=replace(LINUX, init_system=init_system),
    )
    return Context(RecordingGuest(machine), facts, storage, Options())


def plan_of(machine: Lab, step: Step, *, init_system: str = "systemd") -> Plan:
    """Plan `step`, do it, and see that nothing of it is left to be planned."""
    work = context(machine, init_system=init_system)
    if step.applies(work.facts):
        step.run(work)
    plan = work.guest.plan
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    again = context(machine, init_system=init_system)
    if step.applies(again.facts):
        step.run(again)
    assert again.guest.plan.changes == ()
    return plan
