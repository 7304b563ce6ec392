"""All steps together, on guests whose files are not what they have to be."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestRefusedError
from converter.formats import FormatError
from converter.guest import paths
from converter.guest.protocol import TEXT_LIMIT, Code
from converter.inspection import inspect_machine
from converter.model import MakeDirectory, Severity
from converter.steps import order
from converter.steps.order import make_plan
from converter.steps.step import Step
from tests.guests import harness

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.steps.step import Context
    from tests.guests.machine import Machine


def directory(machine: Machine, path: str) -> None:
    machine.mkdir(f"{path}/x")


def loop(machine: Machine, path: str) -> None:
    machine.symlink(path, path)


def large(machine: Machine, path: str) -> None:
    machine.write(path, bytes(TEXT_LIMIT + 1), mode=0o644, uid=0, gid=0)


def spoil(machine: Machine, path: str, put: Callable[[Machine, str], None]) -> None:
    """Put something else in place of `path`, or where it is to be made."""
    machine.mkdir(path.rpartition("/")[0])
    if machine.lstat(path) is not None:
        machine.remove(path)
    put(machine, path)


def test_a_format_error_of_a_step_refuses_the_guest(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_context: Context) -> None:
        raise FormatError("a value at 0x1040 makes no sense")

    step = Step("boot", "start", lambda _facts: True, fail)
    monkeypatch.setattr(order, "LINUX", (step,))
    machine = harness.load("debian-12.7").machine()
    (found,) = make_plan(machine, inspect_machine(machine)).findings
    assert (found.severity, found.code) == (Severity.ERROR, Code.INVALID)
    assert found.message == "boot: a value at 0x1040 makes no sense"


@pytest.mark.parametrize(
    ("path", "put", "code"),
    [
        ("/etc/network/interfaces", directory, Code.NOT_A_FILE),
        ("/etc/network/interfaces", loop, Code.LINK_LOOP),
        ("/etc/network/interfaces", large, Code.TOO_LARGE),
        ("/boot/grub/grub.cfg", loop, Code.LINK_LOOP),
    ],
)
def test_a_file_that_is_none_refuses_the_guest(
    path: str, put: Callable[[Machine, str], None], code: str
) -> None:
    machine = harness.load("debian-12.7").machine()
    before = inspect_machine(machine)
    spoil(machine, path, put)
    plan = make_plan(machine, before)
    errors = [finding for finding in plan.findings if finding.severity is Severity.ERROR]
    assert [error.code for error in errors] == [code]
    assert path in errors[0].message
    assert errors[0].hint
    assert path not in [change.path for change in plan.changes]


@pytest.mark.parametrize("name", ["debian-12.7", "rhel-9.4", "sles-11.4", "ubuntu-24.04"])
@pytest.mark.parametrize("put", [directory, loop, large])
def test_no_file_of_a_guest_is_a_failure_of_ours(
    name: str, put: Callable[[Machine, str], None]
) -> None:
    machine = harness.load(name).machine()
    before = inspect_machine(machine)
    planned = make_plan(machine, before).changes
    files = {change.path for change in planned if not isinstance(change, MakeDirectory)}
    for path in sorted(files):
        # An initramfs is read in parts; a large one is nothing odd.
        if put is not large or paths.is_file(machine, path):
            spoil(machine, path, put)
    plan = make_plan(machine, before)
    assert any(finding.severity is Severity.ERROR for finding in plan.findings)
    machine.unmount()
    with contextlib.suppress(GuestRefusedError):
        inspect_machine(machine)
