"""Proof, before hand-off, that the changed guest is what the plan meant it to be (OUT-1).

The guest is unmounted, inspected again from its disks, and asked the questions that a boot on EC2
asks. Whatever is wrong here is a fault of the conversion: nothing is published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.capabilities import has_driver
from converter.data import load
from converter.errors import ConversionError
from converter.formats import fstab
from converter.guest import paths
from converter.steps.devices import is_unstable
from converter.steps.fstab import PATH as FSTAB
from converter.steps.order import make_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.inspection import Inspection


def verify(guest: ReadableGuest, before: Inspection, after: Inspection) -> None:
    """Raise `ConversionError` ``verification-failed`` with everything that is not right."""
    problems = [
        *_boot_problems(guest, before, after),
        *_driver_problems(before, after),
        *_fstab_problems(guest, after),
        *_plan_problems(guest, after),
    ]
    if problems:
        raise ConversionError(
            "verification-failed",
            "the converted guest is not as planned: " + "; ".join(problems),
            hint="this is a defect of converter: please report it with the --log file",
        )


def _boot_problems(guest: ReadableGuest, before: Inspection, after: Inspection) -> Iterator[str]:
    """Ask that the default entry starts the same kernel, with files that exist, by UUID."""
    bootloader, kernel = after.facts.os.bootloader, after.facts.os.default_kernel
    if bootloader is None or bootloader.default is None or kernel is None:
        yield "there is no default entry any more"
        return
    entry = bootloader.default
    if before.facts.os.default_kernel is None or (
        kernel.release != before.facts.os.default_kernel.release
    ):
        yield f"the default kernel became {kernel.release}"
    for path in filter(None, (entry.kernel, entry.initramfs)):
        if not paths.is_file(guest, path):
            yield f"{path}, which the default entry loads, does not exist"
    roots = [word.removeprefix("root=") for word in entry.arguments if word.startswith("root=")]
    for root in roots[-1:]:
        if is_unstable(root) or after.storage.resolve(root) is None:
            yield f"the kernel is given root={root}, which is not found on EC2"


def _driver_problems(before: Inspection, after: Inspection) -> Iterator[str]:
    """Ask that what the kernel can load for the boot disk is in the initramfs now."""
    kernel = before.facts.os.default_kernel
    if kernel is None or after.facts.os.initramfs is None:
        return
    for name, row in load("linux")["drivers"].items():
        available = kernel.modules.intersection(row["modules"])
        if row["boot"] and available and not has_driver(after.facts.os, name):
            yield f"{after.facts.os.initramfs.path} lacks {', '.join(sorted(available))}"


def _fstab_problems(guest: ReadableGuest, after: Inspection) -> Iterator[str]:
    """Ask that what is mounted at boot is found by a name that holds."""
    for entry in fstab.parse(paths.text(guest, FSTAB) or "").entries:
        optional = {"nofail", "noauto"} & set(entry.options)
        if is_unstable(entry.spec) and not optional:
            yield f"{FSTAB} still mounts {entry.path} from {entry.spec}"
        missing = entry.spec.startswith("UUID=") and after.storage.resolve(entry.spec) is None
        if missing and not optional:
            yield f"{FSTAB} mounts {entry.path} from {entry.spec}, which is on no disk"


def _plan_problems(guest: ReadableGuest, after: Inspection) -> Iterator[str]:
    """Ask that a converted guest needs no conversion."""
    for change in make_plan(guest, after.facts, after.storage).changes:
        yield f"{change.path} would be changed again ({change.code})"
