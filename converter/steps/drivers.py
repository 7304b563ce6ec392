"""Drivers for EC2's disks in the initramfs of each kernel that the menu starts (LNX-1).

The initramfs is read, and a segment with what is missing is added at its end; the guest's own tool
does not run. Its configuration is written to match, so that the guest's next rebuild keeps them.

The default kernel must come out right, or the guest is refused. Where it lacked something, the
others do so too: those that come first in the menu are prepared as well, so that there is one to
fall back to, as far as there is room. What stands in the way there is only reported.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from converter.capabilities import has_driver
from converter.data import load
from converter.errors import GuestError
from converter.formats import FormatError, initramfs, initramfs_load
from converter.formats.initramfs_drivers import KernelModules, add_drivers
from converter.guest import paths
from converter.guest.protocol import Code
from converter.inspection.initramfs import FILE_LIMIT
from converter.inspection.kernels import MODULES, index, kernel_of
from converter.model import AppendFile, Finding, Plan, Severity
from converter.policy_storage import judge_room
from converter.steps import initramfs_config, initramfs_devices
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, Kernel
    from converter.steps.step import Context

_MODULE_LIMIT: Final = 64 << 20
# Distributions keep two or three kernels; each costs reading and keeping its initramfs.
_OTHERS_LIMIT: Final = 2
# What is added to an initramfs is about 1 MiB; what other steps write must fit as well.
_ADDITION: Final = 4 << 20
_REASON: Final = "without the drivers of EC2's disks the kernel does not find its root"
_DEVICES_REASON: Final = (
    "the initramfs names disks as they were called; waiting for them would delay or stop the boot"
)
_REINSTALL: Final = "reinstall the kernel's package in the machine and export it again"


def run(context: Context) -> None:
    """Plan the missing drivers, and say which the kernel does not have at all."""
    kernel, found = context.facts.linux.default_kernel, context.facts.linux.initramfs
    if kernel is None:
        return
    _report_unavailable(context, kernel)
    _report_blocked(context, kernel)
    if found is None:
        _require_builtin(context)
        return
    initramfs_config.keep(context.guest, found.generator, list(_wanted(kernel)))
    if _prepare(context, found.path, kernel, severity=Severity.ERROR):
        _prepare_others(context)


def _wanted(kernel: Kernel, *, boot: bool = True) -> Iterator[str]:
    """Give the modules that this kernel loads: of the boot drivers, or of all of EC2's devices."""
    for row in load("linux")["drivers"].values():
        if boot and not row["boot"]:
            continue
        names = () if kernel.builtin.intersection(row["modules"]) else row["modules"]
        both = (*names, *row.get("also", ()))
        yield from (name for name in both if name in kernel.modules - kernel.builtin)


def _boots(context: Context) -> bool:
    """Tell whether the default kernel finds a disk of EC2's as it is."""
    rows = load("linux")["drivers"].items()
    return any(has_driver(context.facts.linux, name) for name, row in rows if row["boot"])


def _report_unavailable(context: Context, kernel: Kernel) -> None:
    guest, directory = context.guest, f"{MODULES}/{kernel.release}"
    if not kernel.modules and paths.is_directory(guest, f"{directory}/kernel"):
        guest.note(
            Finding(
                Severity.WARNING if _boots(context) else Severity.ERROR,
                "modules-index-missing",
                f"{directory}/modules.dep is missing or empty: kernel {kernel.release} can load"
                " no driver",
                f"run `depmod -a {kernel.release}` in the machine and export it again",
            )
        )
        return
    known = kernel.modules | kernel.builtin
    for name, row in load("linux")["drivers"].items():
        if known.isdisjoint(row["modules"]):
            guest.note(
                Finding(
                    Severity.WARNING,
                    "driver-unavailable",
                    f"kernel {kernel.release} has no {name} driver ({row['summary']})",
                    "start the result only on instances that do not need it, or install a newer"
                    " kernel in the machine and export it again",
                )
            )


def _require_builtin(context: Context) -> None:
    loader = context.facts.linux.bootloader
    if loader is not None and loader.default is not None and loader.default.initramfs:
        return  # there is one that could not be read, which was said
    if not _boots(context):
        context.guest.note(
            Finding(
                Severity.ERROR,
                "initramfs-missing",
                "the default entry loads no initramfs, and the kernel has no driver for EC2's"
                " disks built in",
                "let the bootloader load an initramfs (update-initramfs -c, update-grub)",
            )
        )


def _report_blocked(context: Context, kernel: Kernel) -> None:
    """Say which drivers are kept from loading by modprobe.d(5) or by the kernel command line."""
    blocked: dict[str, list[str]] = {}
    for module in dict.fromkeys(_wanted(kernel, boot=False)):
        for place in context.facts.linux.blocked.get(module, ()):
            blocked.setdefault(place, []).append(module)
    for place, modules in blocked.items():
        context.guest.note(
            Finding(
                Severity.WARNING,
                "driver-blocked",
                f"{place} keeps {', '.join(sorted(modules))} from loading, in the initramfs too if"
                " it was made since: the result finds no disk or no network on instances that need"
                " it",
                "take that out in the machine, make the initramfs anew and export it again",
            )
        )


# --- one initramfs --------------------------------------------------------------------------------


def _prepare_others(context: Context) -> None:
    """Prepare what the menu has besides the default, as far as that goes."""
    for number, (path, kernel) in enumerate(_others(context)):
        if number < _OTHERS_LIMIT and _has_room(context, path):
            _prepare(context, path, kernel, severity=Severity.WARNING)
            continue
        context.guest.note(
            Finding(
                Severity.INFO,
                "kernel-not-prepared",
                f"kernel {kernel.release} ({path}) was left as it is; it may not start on EC2",
                "make its initramfs anew in the converted machine before you choose it",
            )
        )


def _others(context: Context) -> Iterator[tuple[str, Kernel]]:
    """Give each initramfs that other entries load, and the kernel it is for, in menu order."""
    loader, found = context.facts.linux.bootloader, context.facts.linux.initramfs
    seen = {paths.resolve(context.guest, found.path)} if found else set()
    for entry in loader.entries if loader else ():
        place = paths.resolve(context.guest, entry.initramfs) if entry.initramfs else ""
        kernel = kernel_of(context.guest, entry, context.facts.linux.kernels)
        if place in seen or kernel is None or not kernel.modules:
            continue
        if paths.is_file(context.guest, place):
            seen.add(place)
            yield entry.initramfs, kernel


def _has_room(context: Context, path: str) -> bool:
    """Tell whether a longer `path` and its original fit beside what is planned so far."""
    place = paths.resolve(context.guest, path)
    stat = context.guest.lstat(place)
    size = stat.size if stat else 0
    change = AppendFile("", "", place, bytes(_ADDITION), size, before="", backup=place)
    return not judge_room(context.facts, Plan((*context.guest.plan.changes, change)))


def _prepare(context: Context, path: str, kernel: Kernel, *, severity: Severity) -> bool:
    """Plan the segment for one initramfs and tell whether it needs one.

    What keeps it from loading is noted as `severity`.
    """
    try:
        return _extend(context, path, kernel)
    except FormatError as error:
        context.guest.note(_not_prepared(path, kernel, str(error), severity))
    except GuestError as error:
        if error.code not in Code.ODD:
            raise
        context.guest.note(_not_prepared(path, kernel, error.message, severity))
    return False


def _not_prepared(path: str, kernel: Kernel, why: str, severity: Severity) -> Finding:
    return Finding(
        severity,
        "initramfs-not-prepared",
        f"the drivers for EC2's disks cannot be added to {path} of kernel {kernel.release}: {why}",
        _REINSTALL,
    )


def _extend(context: Context, path: str, kernel: Kernel) -> bool:
    data = context.guest.read(path, limit=FILE_LIMIT)
    image = initramfs.read(data)
    addition = add_drivers(
        image,
        _modules(context.guest, kernel),
        _wanted(kernel),
        extra=initramfs_devices.renamed(context, image),
    )
    if addition.archive is None:
        return False
    if addition.added and not initramfs_load.can_load(image):
        context.guest.note(_nothing_loads(path, addition.added))
    names = ", ".join(sorted({item.rpartition("/")[2] for item in addition.added}))
    context.guest.append(
        path,
        initramfs.append(image, addition.archive),
        before=hashlib.sha256(data).hexdigest(),
        code="initramfs-drivers" if addition.added else "initramfs-devices",
        reason=f"{_REASON}: adds {names}" if names else _DEVICES_REASON,
    )
    return True


def _nothing_loads(path: str, added: Iterable[str]) -> Finding:
    return Finding(
        Severity.WARNING,
        "initramfs-loader-unknown",
        f"{path}: {', '.join(added)} were added, but nothing was found in it that loads modules"
        " for the devices there are",
        "have the machine load nvme and xen-blkfront in its initramfs, and export it again",
    )


def _modules(guest: RecordingGuest, kernel: Kernel) -> KernelModules:
    def read(path: str) -> bytes:
        return guest.read(f"{MODULES}/{kernel.release}/{path}", limit=_MODULE_LIMIT)

    def text(name: str) -> str:
        return index(guest, kernel.release, name)

    return KernelModules(
        release=kernel.release,
        load=read,
        dep=text("modules.dep"),
        alias=text("modules.alias"),
        softdep=text("modules.softdep"),
        builtin=text("modules.builtin"),
    )


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("drivers", "drivers of EC2's disks in the initramfs", _applies, run)
