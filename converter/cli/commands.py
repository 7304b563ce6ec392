"""What each command about a guest does: call the engine, print its answer, give the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from converter import pipeline
from converter.boot import Bus, Firmware, Machine
from converter.boot import boot as boot_image
from converter.changes import as_json as change_as_json
from converter.cli import output
from converter.cli.terminal import monitor
from converter.errors import ConversionError, GuestRefusedError
from converter.handoff import manifest as manifests
from converter.handoff.facts import guest_as_json, jsonable, source_as_json
from converter.handoff.workspace import check_name
from converter.model import Request
from converter.policy import is_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from converter.examination import Examination
    from converter.model import Finding, Plan, Wanted

_COMPRESSIONS: Final = frozenset({".gz", ".xz", ".zst", ".bz2"})


def inspect(disks: Sequence[Path], *, as_json: bool) -> int:
    """Print what the guest is."""
    with monitor() as shown:
        source, inspection = pipeline.inspect(disks, monitor=shown)
    facts = inspection.facts
    document = jsonable(
        {
            "source": source_as_json(source),
            "guest": guest_as_json(facts),
            "disks": facts.disks,
            "boot_modes": facts.boot_modes,
            "findings": inspection.findings,
        }
    )
    if as_json:
        output.show_json(document)
    else:
        output.show_tree(document)
    return 0


def check(disks: Sequence[Path], wanted: Wanted, *, as_json: bool) -> int:
    """Print every finding; a refused guest is exit 3, at whichever stage it is refused."""
    try:
        findings = _examine(disks, wanted).findings
    except GuestRefusedError as error:
        findings = error.findings
    refused = is_refused(findings)
    verdict = "refused" if refused else "convertible"
    if as_json:
        output.show_json({"verdict": verdict, "findings": _findings(findings)})
    else:
        output.show_findings(findings)
        output.show(verdict)
    return GuestRefusedError.exit_code if refused else 0


def plan(disks: Sequence[Path], wanted: Wanted, *, diff: bool, as_json: bool) -> int:
    """Print every change that a conversion would make."""
    examination = _examine(disks, wanted)
    examination.refuse_if_needed()
    changes = _changes(examination.plan)
    if as_json:
        output.show_json({"changes": changes, "findings": _findings(examination.findings)})
        return 0
    for change in changes:
        output.show(f"{change['kind']} {change['path']} [{change['code']}]")
        output.show(f"    {change['reason']}")
        if diff:
            for line in change["diff"].rstrip("\n").split("\n"):
                output.show(line)
    output.show(f"{len(changes)} changes")
    output.show_findings(examination.findings)
    return 0


def _changes(plan_: Plan) -> list[dict[str, Any]]:
    pairs = zip(plan_.changes, plan_.diffs, strict=True)
    return [jsonable({**change_as_json(change), "diff": text}) for change, text in pairs]


def _findings(findings: Sequence[Finding]) -> list[dict[str, str]]:
    return [output.finding_as_json(finding) for finding in findings]


def convert(  # noqa: PLR0913 - one parameter an option
    disks: Sequence[Path],
    wanted: Wanted,
    *,
    directory: Path,
    name: str | None,
    as_json: bool,
    published: Callable[[], None],
) -> int:
    """Convert, and print the manifest (as JSON) or where the result is.

    `published` is called as soon as the result is there.
    """
    chosen = default_name(disks[0]) if name is None else name
    check_name(chosen)
    with monitor() as shown:
        request = Request(tuple(disks), directory, chosen, wanted)
        report = pipeline.convert(request, shown, published=published)
    if as_json:
        output.show_json(manifests.document(report))
        return 0
    output.show_findings(report.findings)
    for disk in report.disks:
        output.show(str(directory / disk.path))
    output.show(str(directory / f"{chosen}.manifest.json"))
    output.show(str(directory / f"{chosen}.report.html"))
    return 0


def default_name(disk: Path) -> str:
    """Give the name of an image made from `disk`: its file name without what says the format."""
    name = disk.name
    stem, dot, suffix = name.rpartition(".")
    if f".{suffix.lower()}" in _COMPRESSIONS:
        name = stem
        stem, dot, suffix = name.rpartition(".")
    return stem if dot and stem else name


def boot(  # noqa: PLR0913 - one parameter an option
    images: Sequence[Path],
    *,
    firmware: str,
    bus: str,
    is_reversed: bool,
    timeout: float,
    as_json: bool,
) -> int:
    """Boot an image and print what came up; one that does not come up is exit 6."""
    machine = Machine(Firmware(firmware), Bus(bus), is_reversed)
    with monitor() as shown:
        report = boot_image(images, machine, timeout=timeout, monitor=shown)
    document = jsonable(report.as_json())
    if as_json:
        output.show_json(document)
    else:
        output.show_tree(document)
    return 0 if report.reached == "multi-user" else ConversionError.exit_code


def _examine(disks: Sequence[Path], wanted: Wanted) -> Examination:
    with monitor() as shown:
        return pipeline.examine(disks, wanted, shown)
