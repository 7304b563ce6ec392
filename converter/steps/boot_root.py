"""The root that the default entry gives the kernel: it must be the system that was found (LNX-4).

The kernel would stop without it, or start another system than the one prepared. A name that depends
on the machine is replaced by the steps before: in scripts, environments and entries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import kernel_args
from converter.inspection.grub2 import KIND, default_roots
from converter.model import Finding, Severity
from converter.steps.devices import is_unstable, root_of
from converter.steps.fstab import TAGS
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import BootEntry, Bootloader, Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Refuse a root= that does not lead to the system, or still depends on the machine."""
    bootloader = context.facts.linux.bootloader
    if bootloader is None or bootloader.default is None:
        return
    _check_place(context, bootloader, bootloader.default)
    if bootloader.kind == KIND:
        _check_name(context, bootloader)


def _check_place(context: Context, bootloader: Bootloader, default: BootEntry) -> None:
    """Refuse what the entry had before, if it leads nowhere or to another filesystem."""
    root = root_of(context.facts)
    for spec in kernel_args.values(default.arguments, "root")[-1:]:
        device = context.storage.resolve(spec)
        is_replaced = device is None and is_unstable(spec)
        if not spec.startswith(("/dev/", *TAGS)) or device == root.device or is_replaced:
            continue
        found = f"that is {device}" if device else "that is on none of the given disks"
        context.guest.note(
            Finding(
                Severity.ERROR,
                "root-device-wrong",
                f"{bootloader.config}: the default entry {default.title!r} gives the kernel"
                f" root={spec}; {found}, and the system was found on {root.device}",
                "give all disks of the machine; or let the entry name the root filesystem's UUID"
                " (update-grub, grub2-mkconfig), and export the machine again",
            )
        )


def _check_name(context: Context, bootloader: Bootloader) -> None:
    """Refuse what GRUB's entry will have, if it is made of pieces that could not be replaced."""
    mounts = tuple(dict.fromkeys([*context.facts.mounts, *context.facts.esps]))
    roots = default_roots(context.guest, context.storage, mounts, bootloader.config)
    for root in roots[-1:]:
        if is_unstable(root):
            context.guest.note(
                Finding(
                    Severity.ERROR,
                    "root-device-fixed",
                    f"{bootloader.config}: the default entry's root={root} depends on the machine,"
                    " and could not be replaced where it stands",
                    "let the entry name its root by UUID (update-grub, grub2-mkconfig), and export"
                    " the machine again",
                )
            )


def _applies(facts: Facts) -> bool:
    return facts.linux.bootloader is not None


STEP: Final = Step("boot-root", "check what the kernel takes for its root", _applies, run)
