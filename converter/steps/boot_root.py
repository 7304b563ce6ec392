"""The root that the default entry gives the kernel: it must be the system that was found (LNX-4).

A name that depends on the machine is replaced by other steps. What is left must lead to the root
filesystem: the kernel would stop without it, or start another system than the one prepared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import kernel_args
from converter.model import Finding, Severity
from converter.steps.devices import is_unstable, root_of
from converter.steps.fstab import TAGS
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Refuse a root= that leads nowhere or to another filesystem; plan nothing."""
    bootloader = context.facts.os.bootloader
    if bootloader is None or bootloader.default is None:
        return
    root = root_of(context.facts)
    for spec in kernel_args.values(bootloader.default.arguments, "root")[-1:]:
        device = context.storage.resolve(spec)
        is_replaced = device is None and is_unstable(spec)
        if not spec.startswith(("/dev/", *TAGS)) or device == root.device or is_replaced:
            continue
        found = f"that is {device}" if device else "that is on none of the given disks"
        context.guest.note(
            Finding(
                Severity.ERROR,
                "root-device-wrong",
                f"{bootloader.config}: the default entry {bootloader.default.title!r} gives the"
                f" kernel root={spec}; {found}, and the system was found on {root.device}",
                "give all disks of the machine; or let the entry name the root filesystem's UUID"
                " (update-grub, grub2-mkconfig), and export the machine again",
            )
        )


def _applies(facts: Facts) -> bool:
    return facts.os.bootloader is not None


STEP: Final = Step("boot-root", "check what the kernel takes for its root", _applies, run)
