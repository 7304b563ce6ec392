"""What is found out about a guest, judged, and planned for it; nothing is changed."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING

from converter import answer_file, windows_table
from converter.disk.boot_code import GRUB2
from converter.disk.conversion import prepare
from converter.errors import ConversionError, GuestRefusedError
from converter.inspection import inspect_machine
from converter.inspection.efi import EfiView
from converter.model import BootMode, Plan, Severity, WindowsFacts
from converter.policy import (
    choose_boot_mode,
    choose_licence,
    is_refused,
    judge_as_is,
    judge_guest,
    judge_licence,
    tolerated,
    under,
)
from converter.policy_storage import judge_room
from converter.provision import provide
from converter.steps import uefi
from converter.steps.order import make_plan
from converter.steps.step import Options

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.disk.conversion import Conversion
    from converter.disk.windows_conversion import WindowsConversion
    from converter.inspection import Inspection, Machine
    from converter.model import Facts, Finding, Source, Wanted

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Examination:
    """What a look at a guest gave: the plan, empty if it is refused, and everything found."""

    source: Source
    plan: Plan
    findings: tuple[Finding, ...]
    inspection: Inspection | None = None
    options: Options = field(default_factory=Options)

    def refuse_if_needed(self) -> None:
        """Raise `GuestRefusedError` with all findings when one of them is an error."""
        errors = [item for item in self.findings if item.severity is Severity.ERROR]
        if errors:
            raise GuestRefusedError(
                errors[0].code,
                "; ".join(error.message for error in errors),
                hint=errors[0].hint,
                findings=self.findings,
            )


def read_guest(machine: Machine, container: Sequence[Finding]) -> Inspection:
    """Read the guest; a refusal of it tells as well what was found of the container."""
    try:
        return inspect_machine(machine)
    except GuestRefusedError as error:
        raise error.beside(container) from error


def judge(
    machine: Machine,
    source: Source,
    container: Sequence[Finding],
    inspection: Inspection,
    wanted: Wanted,
) -> Examination:
    """Judge what was inspected and, unless it is refused, plan its conversion."""
    facts = inspection.facts
    judged = (
        *judge_guest(facts, wanted.policy, boot_mode=wanted.boot_mode),
        *judge_licence(facts, wanted.licence),
    )
    findings = _distinct(container, under(wanted.policy, inspection.findings), judged)
    if wanted.as_is:
        asked = judge_as_is(facts, wanted, _modes_now(machine, inspection))
        refused = {finding.code for finding in asked}
        others = tolerated(finding for finding in findings if finding.code not in refused)
        return Examination(source, Plan(()), _distinct(others, asked), inspection)
    if is_refused(findings):
        further = _further(machine, inspection, wanted)
        return Examination(source, Plan(()), _distinct(findings, further), inspection)
    if wanted.unattend is not None and not isinstance(facts.os, WindowsFacts):
        findings = (*findings, answer_file.NO_WINDOWS)
    provision = provide(facts.os, wanted)
    try:
        options = Options(
            wanted.boot_mode,
            wanted.generalize,
            *_table_conversion(machine, source, facts, wanted),
            provision.payloads,
            choose_licence(facts, wanted.licence),
            wanted.unattend,
        )
    except GuestRefusedError as error:
        return Examination(source, Plan(()), (*findings, *error.findings), inspection)
    plan, options = _plan(machine, inspection, options, wanted)
    judged_plan = (*under(wanted.policy, plan.findings), *judge_room(facts, plan))
    found = (*findings, *provision.findings, *judged_plan)
    return Examination(source, plan, found, inspection, options)


def _modes_now(machine: Machine, inspection: Inspection) -> frozenset[BootMode]:
    """Give the modes in which the guest starts without a conversion."""
    facts = inspection.facts
    mounts = tuple(dict.fromkeys([*facts.mounts, *facts.esps]))
    view = EfiView(machine, inspection.storage, mounts, facts.os.architecture)
    is_ready = any(uefi.starts(view, esp) for esp in facts.esps)
    return facts.boot_modes if is_ready else facts.boot_modes - {BootMode.UEFI}


def _further(machine: Machine, inspection: Inspection, wanted: Wanted) -> tuple[Finding, ...]:
    """Give what the steps would refuse in a guest that is refused already: it is mended but once.

    What they fail on beside that comes of the guest's other faults.
    """
    try:
        plan = make_plan(machine, inspection)
    except ConversionError as error:
        log.info("planned no further for a guest that is refused: %s", error.message)
        return ()
    found = (*under(wanted.policy, plan.findings), *judge_room(inspection.facts, plan))
    return tuple(finding for finding in found if finding.severity is Severity.ERROR)


def _plan(
    machine: Machine, inspection: Inspection, options: Options, wanted: Wanted
) -> tuple[Plan, Options]:
    """Plan, and give what it was planned with.

    A Windows that cannot follow to an MBR that nobody asked for keeps its GPT.
    """
    plan = make_plan(machine, inspection, options)
    is_free = options.windows_conversion is not None and not windows_table.is_asked(wanted)
    if is_free and is_refused(plan.findings):
        options = replace(options, windows_conversion=None)
        plan = make_plan(machine, inspection, options)
    return plan, options


def _table_conversion(
    machine: Machine, source: Source, facts: Facts, wanted: Wanted
) -> tuple[Conversion | None, WindowsConversion | None]:
    """Prepare another partition table of the disk that the machine starts from, if it needs one.

    A Linux stays one that a BIOS starts, if it was; a loader that cannot follow is given up for
    UEFI. Raises `GuestRefusedError`.
    """
    disk = facts.disks[0]

    def read(offset: int, length: int) -> bytes:
        return machine.read_device(disk.device, offset=offset, length=length)

    if isinstance(facts.os, WindowsFacts):
        return None, windows_table.prepare(read, source, facts, wanted)
    if wanted.table is None:
        return None, None
    starts = choose_boot_mode(facts, wanted.boot_mode) is BootMode.LEGACY_BIOS
    bios = BootMode.LEGACY_BIOS in facts.boot_modes and (starts or disk.loader == GRUB2)
    return prepare(read, disk, wanted.table, bios=bios), None


def _distinct(*findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Join findings; what was met twice, on a disk and in the appliance, is said once."""
    return tuple(dict.fromkeys(chain(*findings)))
