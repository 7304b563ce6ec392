"""Services of the old hypervisor's tools, which would look for devices that are not there (WIN-8).

They are disabled, not removed: the tools' own uninstaller is run at the first start, and is not
always successful on a machine that is another. Drivers that Windows could need to start are left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats.registry import dword
from converter.inspection.windows_values import number
from converter.model import ServiceStart
from converter.steps.step import Step
from converter.steps.windows.registry import Editing

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Plan that none of them starts."""
    editing = Editing(context, "guest-tools-off", "it drives devices of the old hypervisor")
    for service in load("windows")["quiet"]["services"]:
        for key in editing.keys(rf"Services\{service}"):
            start = number(editing.registry.system.value(key, "Start"))
            if start is not None and start != ServiceStart.DISABLED:
                editing.set_system(key, "Start", dword(ServiceStart.DISABLED))


def _applies(facts: Facts) -> bool:
    return bool(facts.windows.guest_tools)


STEP: Final = Step("windows-guest-tools", "start nothing of the old hypervisor's", _applies, run)
