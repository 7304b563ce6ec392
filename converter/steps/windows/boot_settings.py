r"""Windows' boot settings: no Emergency Management Services (WIN-4), and no safe mode.

The store that is used is that of the firmware: on the EFI system partition, or `\Boot\BCD`; a disk
may have both, and both are changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import bcd_edit
from converter.guest import caseless, paths
from converter.guest.hives import Recorder
from converter.inspection.windows_boot import BCD, EFI_BCD
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.model import Facts
    from converter.steps.step import Context

CODE: Final = "ems-off"
REASON: Final = "nobody is at the serial line, where EMS would wait for them"
_SAFE_MODE: Final = "in safe mode there is no network, and nothing that EC2 needs is installed"


def run(context: Context) -> None:
    """Plan that no loader has one on."""
    for path in _stores(context):
        bcd_edit.ems_off(Recorder(context.guest, path, code=CODE, reason=REASON))
        safe_mode = Recorder(context.guest, path, code="safe-mode-off", reason=_SAFE_MODE)
        bcd_edit.safe_mode_off(safe_mode)


def _stores(context: Context) -> Iterator[str]:
    facts = context.facts
    wanted = [*((mount, BCD) for mount in facts.mounts), *((esp, EFI_BCD) for esp in facts.esps)]
    if context.options.windows_conversion is not None:
        return  # new ones are made, and the old ones are not used any more
    for mount, path in wanted:
        found = caseless.find(context.guest, mount.path, path)
        if paths.is_file(context.guest, found):
            yield found


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-boot-settings", "no console on the serial line", _applies, run)
