"""What each command does: call the engine, print its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converter import pipeline
from converter.boot import Bus, Firmware
from converter.boot import boot as boot_image
from converter.changes import as_json as change_as_json
from converter.cli import output
from converter.cli.terminal import monitor
from converter.doctor import as_json as checks_as_json
from converter.doctor import examine as examine_host
from converter.errors import (
    ConversionError,
    DamagedInputError,
    GuestRefusedError,
    HostError,
    UsageError,
)
from converter.handoff import manifest as manifests
from converter.handoff.facts import guest_as_json, jsonable, source_as_json
from converter.model import Request
from converter.policy import is_refused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.model import BootMode, Plan, Policy
    from converter.pipeline import Examination


def inspect(disks: Sequence[Path], *, as_json: bool) -> None:
    """Print what the guest is."""
    with monitor() as shown:
        source, inspection = pipeline.inspect(disks, monitor=shown)
    facts = inspection.facts
    document = {
        "source": source_as_json(source),
        "guest": guest_as_json(facts),
        "disks": jsonable(facts.disks),
        "boot_modes": sorted(facts.boot_modes),
        "findings": [output.finding_as_json(finding) for finding in inspection.findings],
    }
    if as_json:
        output.show_json(document)
        return
    output.show_tree(document)


def check(
    disks: Sequence[Path], *, policy: Policy, boot_mode: BootMode | None, as_json: bool
) -> None:
    """Print every finding; a refused guest is exit 3."""
    examination = _examine(disks, policy, boot_mode)
    refused = is_refused(examination.findings)
    verdict = "refused" if refused else "convertible"
    if as_json:
        findings = [output.finding_as_json(finding) for finding in examination.findings]
        output.show_json({"verdict": verdict, "findings": findings})
    else:
        output.show_findings(examination.findings)
        output.show(verdict)
    if refused:
        raise AlreadyShownError(GuestRefusedError.exit_code)


class AlreadyShownError(ConversionError):
    """The answer says all there is to say; only the exit code is left to give."""

    def __init__(self, exit_code: int) -> None:
        """End with `exit_code`."""
        super().__init__("shown", "")
        self.shown_exit_code = exit_code


def plan(
    disks: Sequence[Path],
    *,
    policy: Policy,
    boot_mode: BootMode | None,
    diff: bool,
    as_json: bool,
) -> None:
    """Print every change that a conversion would make."""
    examination = _examine(disks, policy, boot_mode)
    examination.refuse_if_needed()
    found = examination.plan
    if as_json:
        findings = [output.finding_as_json(finding) for finding in examination.findings]
        output.show_json({"changes": _changes_as_json(found), "findings": findings})
        return
    for change, text in zip(found.changes, found.diffs, strict=True):
        document = change_as_json(change)
        output.show(f"{document['kind']} {document['path']} [{document['code']}]")
        output.show(f"    {document['reason']}")
        if diff:
            output.show(text)
    output.show(f"{len(found.changes)} changes")
    output.show_findings(examination.findings)


def _changes_as_json(plan_: Plan) -> list[dict[str, Any]]:
    pairs = zip(plan_.changes, plan_.diffs, strict=True)
    return [{**change_as_json(change), "diff": text} for change, text in pairs]


def convert(  # noqa: PLR0913 - as many as the command has options
    disks: Sequence[Path],
    *,
    directory: Path,
    name: str | None,
    policy: Policy,
    boot_mode: BootMode | None,
    as_json: bool,
) -> None:
    """Convert, and print the manifest (as JSON) or where the result is."""
    chosen = name or default_name(disks[0])
    if not chosen or chosen.startswith(".") or "/" in chosen or "\0" in chosen:
        raise UsageError("name-invalid", f"{chosen!r} is not a usable name", hint="give --name")
    request = Request(tuple(disks), directory, chosen, policy, boot_mode)
    with monitor() as shown:
        report = pipeline.convert(request, shown)
    if as_json:
        output.show_json(manifests.document(report))
        return
    output.show_findings(report.findings)
    for disk in report.disks:
        output.show(str(directory / disk.path))
    output.show(str(directory / f"{chosen}.manifest.json"))
    output.show(str(directory / f"{chosen}.report.html"))


def default_name(disk: Path) -> str:
    """Give the name of an image made from `disk`: its file name without what says the format."""
    name = disk.name
    for suffix in (".gz", ".xz", ".zst", ".bz2"):
        name = name.removesuffix(suffix)
    stem, dot, _suffix = name.rpartition(".")
    return stem if dot and stem else name


def boot(images: Sequence[Path], *, firmware: str, bus: str, timeout: float, as_json: bool) -> None:
    """Boot an image and print what came up; one that does not come up is exit 6."""
    with monitor() as shown:
        report = boot_image(
            images, firmware=Firmware(firmware), bus=Bus(bus), timeout=timeout, monitor=shown
        )
    document = report.as_json()
    if as_json:
        output.show_json(document)
    else:
        output.show_tree(document)
    if report.reached != "multi-user":
        raise AlreadyShownError(ConversionError.exit_code)


def verify(manifest: Path, *, as_json: bool) -> None:
    """Check the disks of a manifest; a difference is exit 4."""
    problems = manifests.verify(manifest)
    if as_json:
        output.show_json({"problems": list(problems)})
    else:
        for problem in problems:
            output.show(problem)
        output.show("differs" if problems else "as the manifest says")
    if problems:
        raise AlreadyShownError(DamagedInputError.exit_code)


def doctor(*, as_json: bool) -> None:
    """Print what this machine has and lacks; a lack is exit 5."""
    checks = examine_host()
    if as_json:
        output.show_json(checks_as_json(checks))
    else:
        for item in checks:
            output.show(f"{'ok     ' if item.ok else 'MISSING'} {item.name}: {item.detail}")
            if not item.ok and item.hint:
                output.show(f"        {item.hint}")
    if not all(item.ok for item in checks):
        raise AlreadyShownError(HostError.exit_code)


def _examine(disks: Sequence[Path], policy: Policy, boot_mode: BootMode | None) -> Examination:
    with monitor() as shown:
        return pipeline.examine(disks, policy=policy, boot_mode=boot_mode, monitor=shown)
