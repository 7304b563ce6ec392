"""Proof, before hand-off, that the changed guest is what the plan meant it to be (OUT-1).

The guest is unmounted, inspected again from its disks, and asked the questions that a boot on EC2
asks. Whatever is wrong here is a fault of the conversion: nothing is published.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from converter.capabilities import has_driver
from converter.data import load
from converter.errors import ConversionError
from converter.formats import fstab, kernel_args
from converter.guest import paths
from converter.guest.labels import LABEL
from converter.inspection.roots import FSTAB
from converter.model import (
    BootMode,
    ConvertTable,
    CopyIn,
    MakeDirectory,
    MakeLink,
    WindowsFacts,
    WriteFile,
)
from converter.steps.devices import is_unstable, root_of
from converter.steps.fstab import TAGS, is_optional, is_root, needs_device
from converter.steps.order import make_plan
from converter.steps.step import Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.inspection import Inspection
    from converter.model import Plan


def verify(
    guest: ReadableGuest,
    before: Inspection,
    after: Inspection,
    plan: Plan,
    *,
    options: Options | None = None,
) -> None:
    """Raise `ConversionError` ``verification-failed`` with everything that is not right.

    `options` are those that the plan was made with.
    """
    if isinstance(after.facts.os, WindowsFacts):
        of_system = [*_windows_problems(before, after)]
    else:
        of_system = [
            *_boot_problems(guest, before, after),
            *_driver_problems(before, after),
            *_fstab_problems(guest, after),
        ]
    problems = [
        *of_system,
        *_firmware_problems(before, after, plan, options or Options()),
        *_table_problems(after, plan),
        *_label_problems(guest, plan),
        *_plan_problems(guest, after, options or Options()),
    ]
    if problems:
        raise ConversionError(
            "verification-failed",
            "the converted guest is not as planned: " + "; ".join(problems),
            hint="this is a defect of converter: please report it with the --log file",
        )


def _boot_problems(guest: ReadableGuest, before: Inspection, after: Inspection) -> Iterator[str]:
    """Ask that the default entry starts the same kernel, with files that exist, by UUID."""
    bootloader, kernel = after.facts.linux.bootloader, after.facts.linux.default_kernel
    if bootloader is None or bootloader.default is None or kernel is None:
        yield "there is no default entry any more"
        return
    entry = bootloader.default
    if before.facts.linux.default_kernel is None or (
        kernel.release != before.facts.linux.default_kernel.release
    ):
        yield f"the default kernel became {kernel.release}"
    for path in filter(None, (entry.kernel, entry.initramfs)):
        if not paths.is_file(guest, path):
            yield f"{path}, which the default entry loads, does not exist"
    for root in kernel_args.values(entry.arguments, "root")[-1:]:
        named = is_unstable(root) or root.startswith(("/dev/", *TAGS))
        if named and not _is_root(after, root):
            yield f"the kernel is given root={root}, which is not the root on EC2"


def _is_root(after: Inspection, spec: str) -> bool:
    """Tell whether `spec` means the root, on whatever machine the disks are in."""
    device = after.storage.resolve(spec)
    return not is_unstable(spec) and device == root_of(after.facts).device


def _driver_problems(before: Inspection, after: Inspection) -> Iterator[str]:
    """Ask that what the kernel can load for the boot disk is in the initramfs now."""
    kernel = before.facts.linux.default_kernel
    if kernel is None or after.facts.linux.initramfs is None:
        return
    for name, row in load("linux")["drivers"].items():
        available = kernel.modules.intersection(row["modules"])
        if row["boot"] and available and not has_driver(after.facts.linux, name):
            yield f"{after.facts.linux.initramfs.path} lacks {', '.join(sorted(available))}"


def _windows_problems(before: Inspection, after: Inspection) -> Iterator[str]:
    """Ask that Windows is the same one, and has all the drivers of disks that it had."""
    old, new = before.facts.windows, after.facts.windows
    if (old.build, old.root, old.control_sets) != (new.build, new.root, new.control_sets):
        yield f"Windows became {new.product} (build {new.build}) in {new.root}"
    for lost in sorted(old.boot_drivers - new.boot_drivers):
        yield f"the driver {lost} does not start with the machine any more"


def _fstab_problems(guest: ReadableGuest, after: Inspection) -> Iterator[str]:
    """Ask that what is mounted at boot is found by a name that holds."""
    for entry in fstab.parse(paths.text(guest, FSTAB) or "").entries:
        if not needs_device(entry) or is_optional(entry):
            continue
        place = "swap" if entry.is_swap else entry.path
        lost = entry.spec.startswith(TAGS) and after.storage.resolve(entry.spec) is None
        if is_root(entry) and not _is_root(after, entry.spec):
            yield f"{FSTAB} mounts {entry.spec} as the root, which it is not"
        elif is_unstable(entry.spec):
            yield f"{FSTAB} still has {entry.spec} for {place}"
        elif lost:
            yield f"{FSTAB} has {entry.spec} for {place}, which is on no disk"


def _firmware_problems(
    before: Inspection, after: Inspection, plan: Plan, options: Options
) -> Iterator[str]:
    """Ask that every firmware that could start the guest still can.

    A Windows that gets an MBR starts by BIOS, and by nothing else; a loader of BIOS that cannot
    follow to another table is given up for UEFI.
    """
    wanted = before.facts.boot_modes
    if options.conversion is not None and not options.conversion.core:
        wanted -= {BootMode.LEGACY_BIOS}
    has_table = any(isinstance(change, ConvertTable) for change in plan.changes)
    if has_table and isinstance(after.facts.os, WindowsFacts):
        wanted = frozenset({BootMode.LEGACY_BIOS})
    for mode in sorted(wanted - after.facts.boot_modes):
        yield f"it does not start by {mode.value}"


def _table_problems(after: Inspection, plan: Plan) -> Iterator[str]:
    """Ask that a new partition table is there, with the partitions that it is to have."""
    for change in plan.changes:
        if not isinstance(change, ConvertTable):
            continue
        disk = next((disk for disk in after.facts.disks if disk.device == change.path), None)
        planned = [(part.number, part.start, part.size) for part in change.partitions]
        found = [(part.number, part.start, part.size) for part in disk.partitions] if disk else []
        if disk is None or disk.table is not change.table or sorted(planned) != sorted(found):
            yield f"{change.path} has not the partition table that was planned"


def _label_problems(guest: ReadableGuest, plan: Plan) -> Iterator[str]:
    """Ask that every new name has the SELinux label, or the security, that was planned for it."""
    wanted: dict[str, dict[str, bytes]] = {}
    for change in plan.changes:
        if isinstance(change, WriteFile | CopyIn | MakeLink | MakeDirectory):
            wanted[change.path] = dict(change.attributes) or wanted.get(change.path, {})
        else:
            wanted.pop(change.path, None)
    for path, attributes in wanted.items():
        if attributes and not attributes.items() <= dict(guest.attributes(path)).items():
            what = "SELinux label" if LABEL in attributes else "security"
            yield f"{path} has not the {what} that was planned"


def _plan_problems(guest: ReadableGuest, after: Inspection, options: Options) -> Iterator[str]:
    """Ask that a converted guest needs no conversion.

    A Windows that is to install payloads has them still to be installed; a Linux has them.
    """
    again = Options()
    if isinstance(after.facts.os, WindowsFacts):
        again = replace(options, conversion=None, windows_conversion=None)
    for change in make_plan(guest, after, again).changes:
        yield f"{change.path} would be changed again ({change.code})"
