"""Every release of the support table, and more: facts, findings and plan are as its fixture says.

The fixtures and what they are made of: tests/guests.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from converter.errors import ConversionError
from converter.guest import paths
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import MakeDirectory, Policy, Severity
from converter.policy import judge_guest
from converter.steps.order import make_plan
from tests.guests import harness

if TYPE_CHECKING:
    from converter.inspection import Inspection
    from converter.model import Facts, Finding, Plan
    from tests.guests.machine import Machine

NAMES = harness.names()


@dataclass(frozen=True)
class Conversion:
    """What was done to a fixture's machine: planned, applied, inspected and planned again."""

    machine: Machine
    before: Inspection
    plan: Plan
    after: Inspection
    second: Plan

    def findings(self, policy: Policy) -> tuple[Finding, ...]:
        judged = judge_guest(self.before.facts, policy)
        return (*self.before.findings, *judged, *self.plan.findings)


@cache
def convert(name: str) -> Conversion:
    machine = harness.load(name).machine()
    before = inspect_machine(machine)
    plan = make_plan(machine, before.facts, before.storage)
    replay(plan, machine, progress=lambda _: None)
    machine.unmount()
    after = inspect_machine(machine)
    second = make_plan(machine, after.facts, after.storage)
    return Conversion(machine, before, plan, after, second)


def facts_of(facts: Facts) -> dict[str, Any]:
    """Give the facts as fixtures name them."""
    linux = facts.os
    named = ("distribution", "version", "point_release", "hostname", "architecture", "selinux")
    programs = ("package_manager", "init_system")
    initramfs = linux.initramfs
    return {
        **{name: getattr(linux, name) for name in (*named, *programs)},
        "kernel": linux.default_kernel.release if linux.default_kernel else "",
        "bootloader": f"{linux.bootloader.kind} {linux.bootloader.config}"
        if linux.bootloader
        else "",
        "initramfs": f"{initramfs.generator} {' '.join(initramfs.compression)}"
        if initramfs
        else "",
        "networks": tuple(
            " ".join((stack.name, *stack.interfaces, "static" if stack.static else "dhcp"))
            for stack in linux.networks
        ),
        "boot_modes": tuple(sorted(mode.value for mode in facts.boot_modes)),
        "mounts": tuple(f"{mount.path} {mount.device}" for mount in facts.mounts),
        "agents": linux.agents,
        "guest_tools": linux.guest_tools,
    }


def differences(name: str) -> list[str]:
    """Give everything that is not as the fixture expects it."""
    expected = harness.load(name).expected
    done = convert(name)
    found = facts_of(done.before.facts)
    problems = [
        f"{key} is {found[key]!r}, not {value!r}"
        for key, value in expected.facts.items()
        if found[key] != harness.frozen(value)
    ]
    said = {f"{item.severity.value} {item.code}" for item in done.findings(Policy.OPEN)}
    if said != set(expected.findings):
        problems.append(f"findings are {sorted(said)}, not {sorted(expected.findings)}")
    refusals = {i.code for i in done.findings(Policy.AWS) if i.severity is Severity.ERROR}
    if refusals != set(expected.aws):
        problems.append(f"aws refuses {sorted(refusals)}, not {sorted(expected.aws)}")
    return [*problems, *_plan_differences(expected, done.plan), *_text_differences(expected, done)]


def _plan_differences(expected: harness.Expected, plan: Plan) -> list[str]:
    planned: dict[str, list[str]] = {}
    for change in plan.changes:
        if not isinstance(change, MakeDirectory):
            planned.setdefault(change.path, []).append(change.code)
    return [
        f"{path} is changed by {planned.get(path, [])}, not {expected.plan.get(path, [])}"
        for path in sorted(planned.keys() | expected.plan.keys())
        if planned.get(path, []) != expected.plan.get(path, [])
    ]


def _text_differences(expected: harness.Expected, done: Conversion) -> list[str]:
    problems = []
    for path, lines in expected.text.items():
        text = paths.text(done.machine, path)
        have = (text or "").splitlines()
        for line in lines:
            if line == "!":
                if text is not None:
                    problems.append(f"{path} is there")
            elif (line.removeprefix("!") in have) is line.startswith("!"):
                near = [h for h in have if h.split()[:1] == line.removeprefix("!").split()[:1]]
                problems.append(f"{path}: {line!r} does not hold; there is {near}")
    return problems


@pytest.mark.parametrize("name", NAMES)
def test_a_release_is_understood_and_planned(name: str) -> None:
    pending = harness.load(name).expected.pending
    try:
        problems = differences(name)
    except ConversionError as error:
        problems = [str(error)]
    if pending and problems:
        pytest.xfail(f"{pending}: {'; '.join(problems)}")
    if pending:
        pytest.fail(f"{pending} is there: take `pending` out of {name}", pytrace=False)
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)
