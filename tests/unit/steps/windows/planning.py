"""Running one step on a Windows in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.steps.step import Context, Options
from converter.steps.windows import system_security

if TYPE_CHECKING:
    from converter.formats.registry import Value
    from converter.model import Change, Plan
    from converter.steps.step import Step
    from tests.unit.windows_samples import Windows, WindowsMachine


def context(machine: WindowsMachine, options: Options | None = None) -> Context:
    found = inspect_machine(machine)
    guest = RecordingGuest(machine, found.hives, system_security(found.facts))
    return Context(guest, found.facts, found.storage, options or Options())


def done(made: Windows, step: Step, options: Options | None = None) -> tuple[Plan, WindowsMachine]:
    """Plan `step`, do it, and see that nothing of it is left to be planned.

    Gives the plan, and the machine as it is then, mounted.
    """
    machine = made.machine()
    plan = _plan(machine, step, options)
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    assert _plan(machine, step, options).changes == ()
    return plan, machine


def _plan(machine: WindowsMachine, step: Step, options: Options | None) -> Plan:
    work = context(machine, options)
    if step.applies(work.facts):
        step.run(work)
    return work.guest.plan


def values(changes: tuple[Change, ...]) -> dict[str, Value | None]:
    r"""Give what is set below the first control set, as "Services\x\Start"; None is deleted."""
    found = {}
    for change in changes:
        key = getattr(change, "key", "").removeprefix("ControlSet001\\")
        name = getattr(change, "name", None)
        if not key.startswith("ControlSet"):
            place = key if name is None else f"{key}\\{name}"
            found[place] = getattr(change, "value", None)
    return found
