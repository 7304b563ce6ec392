"""Guests where a file or directory that is read is something else: told when planning, or done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestRefusedError
from converter.guest.memory import Node
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import FileKind, Policy
from converter.policy import is_refused, judge_guest, under
from converter.steps.order import make_plan
from converter.verification import verify
from tests.guests import harness

if TYPE_CHECKING:
    from tests.guests.machine import Device, Machine

ODD = {
    "fifo": Node(FileKind.OTHER),
    "directory": Node(FileKind.DIRECTORY, mode=0o755),
    "device": Node(FileKind.SYMLINK, b"/dev/zero"),
    "outside": Node(FileKind.SYMLINK, b"../../../../../../host/file"),
    "binary": Node(FileKind.FILE, bytes(range(256)) * 16),
}


def root_of(machine: Machine) -> Device:
    return next(there for there in machine._devices.values() if "/etc/fstab" in there.tree)


def put(machine: Machine, path: str, node: Node) -> None:
    tree = root_of(machine).tree
    for below in [name for name in tree if name.startswith(f"{path}/")]:
        del tree[below]
    tree[path] = node


def places(name: str) -> list[str]:
    """Give what a conversion changes on the root's filesystem, and the directories of that."""
    machine = harness.load(name).machine()
    plan = make_plan(machine, inspect_machine(machine))
    there = root_of(harness.load(name).machine()).tree
    found = {"/etc/os-release", "/etc/hostname", "/etc/passwd"}
    for path in (change.path for change in plan.changes):
        found |= {path, path.rpartition("/")[0]}
    return sorted(path for path in found if path in there and path.count("/") > 1)


def convert(machine: Machine) -> None:
    """Convert as far as it goes: a refusal ends it, by an error or by findings."""
    before = inspect_machine(machine)
    found = (*under(Policy.OPEN, before.findings), *judge_guest(before.facts, Policy.OPEN))
    if is_refused(found):
        return
    plan = make_plan(machine, before)
    if is_refused(plan.findings):
        return
    replay(plan, machine, progress=lambda _: None)
    machine.unmount()
    verify(machine, before, inspect_machine(machine), plan)


@pytest.mark.parametrize(
    ("name", "odd"), [*(("debian-12.5", odd) for odd in ODD), ("rhel-9.4", "fifo")]
)
def test_what_is_not_what_it_should_be_never_fails_late(name: str, odd: str) -> None:
    for path in places(name):
        machine = harness.load(name).machine()
        put(machine, path, ODD[odd])
        try:
            convert(machine)
        except GuestRefusedError:
            continue
        except Exception as error:
            error.add_note(f"with {path} as {odd}")
            raise
