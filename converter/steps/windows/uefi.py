r"""The program that firmware starts when it remembers nothing (BOOT-5).

Windows' boot manager is entered in the firmware's variables, which do not come along: on EC2 only
`\EFI\Boot\bootx64.efi` is started, a copy of it (UEFI 2.10, 3.5.1.1). One of another maker there is
replaced: it would start another system.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest import caseless, paths
from converter.inspection.windows_boot import EFI_BOOT_MANAGER, fallback
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Plan the copy on every EFI system partition that Windows starts from."""
    if context.options.windows_conversion is not None:
        return
    for esp in context.facts.esps:
        source = caseless.find(context.guest, esp.path, EFI_BOOT_MANAGER)
        target = caseless.find(
            context.guest, esp.path, fallback(context.facts.windows.architecture)
        )
        if paths.is_file(context.guest, source):
            context.guest.copy(
                source,
                target,
                code="uefi-fallback",
                reason="firmware that knows no boot entry starts this name only",
            )


def _applies(facts: Facts) -> bool:
    return bool(facts.esps)


STEP: Final = Step("windows-uefi", "start by UEFI without boot entries", _applies, run)
