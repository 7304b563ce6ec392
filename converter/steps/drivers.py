"""Drivers for EC2's disks in the initramfs of the default kernel (LNX-1).

The initramfs is read, and a segment with what is missing is added at its end; the guest's own tool
does not run. Its configuration is written to match, so that the guest's next rebuild keeps them.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from converter.capabilities import has_driver
from converter.data import load
from converter.formats import initramfs
from converter.formats.initramfs_drivers import KernelModules, add_drivers
from converter.guest import paths
from converter.inspection.initramfs import FILE_LIMIT
from converter.inspection.kernels import MODULES, index
from converter.model import Finding, Severity
from converter.steps import resume
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.formats.initramfs import Image
    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, Kernel
    from converter.steps.step import Context

_MODULE_LIMIT: Final = 64 << 20
_INITRAMFS_TOOLS_MODULES: Final = "/etc/initramfs-tools/modules"
_REASON: Final = "without the drivers of EC2's disks the kernel does not find its root"


def run(context: Context) -> None:
    """Plan the missing drivers, and say which the kernel does not have at all."""
    kernel, found = context.facts.os.default_kernel, context.facts.os.initramfs
    if kernel is None:
        return
    _report_unavailable(context.guest, kernel)
    if found is None:
        _require_builtin(context)
        return
    wanted = list(_wanted(kernel))
    if found.generator == "initramfs-tools":
        _configure_initramfs_tools(context.guest, wanted)
    _extend(context, found.path, kernel, wanted)


def _rows(*, boot: bool | None = None) -> dict[str, dict[str, object]]:
    rows: dict[str, dict[str, object]] = load("linux")["drivers"]
    return {name: row for name, row in rows.items() if boot is None or row["boot"] is boot}


def _wanted(kernel: Kernel) -> Iterable[str]:
    """Give the names of the boot drivers' modules that this kernel can load."""
    for row in _rows(boot=True).values():
        names = row["modules"]
        assert isinstance(names, list)  # noqa: S101 - our own data
        if not kernel.builtin.intersection(names):
            yield from (name for name in names if name in kernel.modules)


def _report_unavailable(guest: RecordingGuest, kernel: Kernel) -> None:
    known = kernel.modules | kernel.builtin
    for name, row in _rows().items():
        names = row["modules"]
        assert isinstance(names, list)  # noqa: S101 - our own data
        if known.isdisjoint(names):
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
    if not any(has_driver(context.facts.os, name) for name in _rows(boot=True)):
        context.guest.note(
            Finding(
                Severity.ERROR,
                "initramfs-missing",
                "the default entry loads no initramfs, and the kernel has no driver for EC2's"
                " disks built in",
                "let the bootloader load an initramfs (update-initramfs -c, update-grub)",
            )
        )


def _configure_initramfs_tools(guest: RecordingGuest, wanted: Iterable[str]) -> None:
    """Add modules to the list that every rebuild includes (initramfs-tools(7), "modules")."""
    text = paths.text(guest, _INITRAMFS_TOOLS_MODULES) or ""
    words = [line.split()[0] for line in text.splitlines() if line.strip()]
    listed = {word.replace("-", "_") for word in words}
    missing = [name for name in wanted if name not in listed]
    gap = "" if not text or text.endswith("\n") else "\n"
    guest.write(
        _INITRAMFS_TOOLS_MODULES,
        paths.encode(text + gap + "".join(f"{name}\n" for name in missing)),
        code="initramfs-configuration",
        reason="the guest's next update-initramfs must keep the drivers of EC2's disks",
    )


def _extend(context: Context, path: str, kernel: Kernel, wanted: Iterable[str]) -> None:
    guest = context.guest
    data = guest.read(path, limit=FILE_LIMIT)
    image = initramfs.read(data)
    addition = add_drivers(image, _modules(guest, kernel), wanted, extra=_resume(context, image))
    if addition.archive is None:
        return
    names = ", ".join(sorted({item.rpartition("/")[2] for item in addition.added}))
    guest.append(
        path,
        initramfs.append(image, addition.archive),
        before=hashlib.sha256(data).hexdigest(),
        code="initramfs-drivers",
        reason=f"{_REASON}: adds {names}" if names else resume.REASON,
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


def _resume(context: Context, image: Image) -> dict[str, bytes]:
    """Give the initramfs' own copies of the RESUME configuration that must change."""
    changed = {}
    for path in image.files:
        if path == "conf/initramfs.conf" or path.startswith("conf/conf.d/"):
            old = image.read(path)
            if old is None:
                continue
            text = old.decode("utf-8", "surrogateescape")
            new = resume.renamed(context, text)
            if new != text:
                changed[path] = paths.encode(new)
    return changed


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("drivers", "drivers of EC2's disks in the initramfs", _applies, run)
