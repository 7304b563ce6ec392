"""Every release of the support table, and more: facts, findings and plan are its fixture's."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from converter import support
from converter.data import load
from converter.errors import ConversionError
from converter.formats import (
    bls,
    crypttab,
    fstab,
    grub_edit,
    grub_legacy,
    ini,
    interfaces,
    shellvars,
    udev_rules,
)
from converter.formats.kernel_args import Edit
from converter.guest import paths
from converter.guest.labels import LABEL
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import MakeDirectory, Policy, Severity
from converter.policy import judge_guest, under
from converter.steps.order import make_plan
from converter.verification import verify
from tests.guests import harness

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.inspection import Inspection
    from converter.model import Facts, Finding, Plan
    from tests.guests.machine import Machine

NAMES = harness.names()


@dataclass(frozen=True)
class Conversion:
    """What was done to a fixture's machine: planned, applied, and inspected again.

    `originals` are the files that the plan changes, as they were.
    """

    machine: Machine
    before: Inspection
    plan: Plan
    originals: dict[str, bytes]
    after: Inspection

    def findings(self, policy: Policy) -> tuple[Finding, ...]:
        judged = judge_guest(self.before.facts, policy)
        found = under(policy, (*self.before.findings, *self.plan.findings))
        return (*judged, *found)


def convert(name: str) -> Conversion:
    machine = harness.load(name).machine()
    before = inspect_machine(machine)
    plan = make_plan(machine, before)
    originals = {
        change.path: machine.read(change.path, limit=1 << 20)
        for change in plan.changes
        if machine.lstat(change.path) is not None
    }
    replay(plan, machine, progress=lambda _: None)
    machine.unmount()
    return Conversion(machine, before, plan, originals, inspect_machine(machine))


def facts_of(facts: Facts) -> dict[str, Any]:
    """Give the facts as fixtures name them."""
    linux = facts.linux
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


# --- what a fixture expects ----------------------------------------------------------------------


def differences(expected: harness.Expected, done: Conversion) -> list[str]:
    """Give everything that is not as the fixture expects it."""
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


# --- what holds for all of them -------------------------------------------------------------------


def _kernel_problems(done: Conversion) -> list[str]:
    """Tell whether the default kernel has stayed, and is none for rescue or crashes."""
    before, after = (inspection.facts.linux for inspection in (done.before, done.after))
    if before.default_kernel is None or after.bootloader is None:
        return ["there is no default kernel"]
    if after.default_kernel != before.default_kernel or after.bootloader.default is None:
        return [f"the default kernel is {after.default_kernel}, and was {before.default_kernel}"]
    started = (after.bootloader.default.kernel, after.bootloader.default.initramfs)
    special = re.search(r"rescue|kdump|debug|failsafe", " ".join(started))
    return [f"the default is for {special[0]}"] if special else []


def _unexplained(done: Conversion) -> list[str]:
    """Give the changes that do not say why, and those that do not keep what they replace."""
    problems, kept = [], {}
    for change in done.plan.changes:
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", change.code) or len(change.reason) <= 10:
            problems.append(f"{change.path} is changed by {change.code!r}: {change.reason!r}")
        backup = getattr(change, "backup", None)
        if backup is not None:
            kept[change.path] = done.machine.read(backup, limit=1 << 20)
    paths_ = kept.keys() | done.originals.keys()
    wrong = sorted(path for path in paths_ if kept.get(path) != done.originals.get(path))
    return [*problems, *(f"{path} is not kept as it was" for path in wrong)]


def _unlabelled(done: Conversion) -> list[str]:
    """Give what the conversion wrote and left without an SELinux label, where there are any."""
    return [
        f"{change.path} has no label"
        for change in done.plan.changes
        if done.machine.lstat(change.path) is not None
        and "/boot/efi/" not in change.path
        and not dict(done.machine.attributes(change.path)).get(LABEL)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_release_is_understood_planned_and_converted(name: str) -> None:
    fixture = harness.load(name)
    try:
        done = convert(name)
        # Among all else: what was converted needs no conversion.
        verify(done.machine, done.before, done.after, done.plan)
    except ConversionError as error:
        pytest.fail(str(error), pytrace=False)
    problems = [
        *differences(fixture.expected, done),
        *_kernel_problems(done),
        *_unexplained(done),
        *(_unlabelled(done) if fixture.is_labelled else ()),
    ]
    if problems:
        pytest.fail("\n".join(problems), pytrace=False)


# --- texts ----------------------------------------------------------------------------------------

CODECS = (
    bls.parse,
    crypttab.parse,
    fstab.parse,
    grub_legacy.parse,
    ini.parse,
    interfaces.parse,
    shellvars.parse,
    udev_rules.parse,
)


def texts(pattern: str = "") -> set[str]:
    """Give the texts of all fixtures' files, each once; of those whose path has `pattern` in it."""
    return {
        text
        for name in NAMES
        for path, text in harness.load(name).data["files"].items()
        if text is not False and pattern in path
    }


@pytest.mark.parametrize("parse", CODECS, ids=lambda parse: parse.__module__.rpartition(".")[2])
def test_codecs_lose_nothing(parse: Callable[[str], object]) -> None:
    for text in texts():
        assert str(parse(text)) == text


def test_scripts_of_grub_lose_nothing() -> None:
    for text in texts("grub.cfg"):
        script = grub_edit.Script(text)
        assert script.with_arguments(lambda *_: Edit()) == text
        assert script.with_timeout(10**9) == text or "-1" in text


# --- nothing of the table is left out -------------------------------------------------------------


def covered() -> set[tuple[str, str, str]]:
    """Give distribution, version and kernel of every fixture: what its machine is seen to have."""
    facts = [harness.load(name).expected.facts for name in NAMES]
    return {
        (row["distribution"], row.get("point_release") or row["version"], row["kernel"])
        for row in facts
    }


# Fedora 18 came with another kernel than the one in the table.
NOT_MADE = {("fedora", "3.2.5")}


def test_every_kernel_of_the_table_has_a_fixture() -> None:
    found = covered()
    for row in support.rows():
        for kernel in (*row.kernels, *row.uek):
            one = replace(row, kernels=(kernel,), uek=(kernel,))
            assert (row.distribution, kernel) in NOT_MADE or any(
                distribution == row.distribution
                and row.takes_version(version)
                and one.takes_kernel(release)
                for distribution, version, release in found
            ), f"{row.distribution} {row.versions} with {kernel}"


def test_both_ends_of_every_range_of_the_table_have_a_fixture() -> None:
    found = covered()
    for row in support.rows():
        ends = [end for part in row.versions.split() for end in part.split("-")]
        for end in [*ends, *(end for part in row.points.split() for end in part.split("-"))]:
            exact = replace(row, versions=end)
            assert any(
                distribution == row.distribution and exact.takes_version(version)
                for distribution, version, _ in found
            ), f"{row.distribution} {end}"


def test_every_known_family_has_a_fixture() -> None:
    families = set(load("support")["families"])
    # Their systems are made like SLES and openSUSE Leap.
    assert families - {distribution for distribution, *_ in covered()} == {"opensuse", "sled"}
