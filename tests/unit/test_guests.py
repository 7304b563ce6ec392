"""Every release of the support table, and more: facts, findings and plan are as its fixture says.

The fixtures and what they are made of: tests/guests.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
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
from converter.policy import judge_guest
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
        return (*self.before.findings, *judged, *self.plan.findings)


@cache
def convert(name: str) -> Conversion:
    machine = harness.load(name).machine()
    before = inspect_machine(machine)
    plan = make_plan(machine, before.facts, before.storage)
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


# --- properties of all of them --------------------------------------------------------------------

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


@pytest.mark.parametrize("name", NAMES)
def test_a_converted_guest_is_verified_and_needs_no_conversion(name: str) -> None:
    done = convert(name)
    verify(done.machine, done.before, done.after, done.plan)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_kernel_stays_and_is_a_usual_one(name: str) -> None:
    done = convert(name)
    before, after = (inspection.facts.os for inspection in (done.before, done.after))
    assert before.default_kernel is not None
    assert after.default_kernel is not None
    assert after.default_kernel.release == before.default_kernel.release
    assert after.bootloader is not None
    assert after.bootloader.default is not None
    started = (after.bootloader.default.kernel, after.bootloader.default.initramfs)
    assert not re.search(r"rescue|kdump|debug|failsafe", " ".join(started))


@pytest.mark.parametrize("name", NAMES)
def test_every_change_says_why_and_keeps_what_it_replaces(name: str) -> None:
    done, kept = convert(name), {}
    for change in done.plan.changes:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", change.code)
        assert len(change.reason) > 10
        backup = getattr(change, "backup", None)
        if backup is not None:
            kept[change.path] = done.machine.read(backup, limit=1 << 20)
    assert kept == done.originals


@pytest.mark.parametrize("name", [name for name in NAMES if harness.load(name).is_labelled])
def test_what_is_new_has_a_label(name: str) -> None:
    done = convert(name)
    for change in done.plan.changes:
        if done.machine.lstat(change.path) is not None and "/boot/efi/" not in change.path:
            assert dict(done.machine.attributes(change.path)).get(LABEL), change.path


# --- nothing of the table is left out -------------------------------------------------------------


def covered() -> set[tuple[str, str, str]]:
    """Give distribution, version and kernel of every fixture."""
    facts = [convert(name).before.facts.os for name in NAMES]
    return {
        (os.distribution, os.point_release or os.version, os.default_kernel.release)
        for os in facts
        if os.default_kernel
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
