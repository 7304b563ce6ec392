r"""Windows' own drivers of disks, so that they start with the machine (WIN-1).

A Windows starts only the drivers of the disks that it was installed on: others have another start,
or a key `StartOverride` that turns them off where their start still says 0. Without one for EC2's
disks the first start ends in INACCESSIBLE_BOOT_DEVICE (0x7B). What counts is what is there: a
service without its file stays as it is.

Source: Microsoft Learn, "HKLM\SYSTEM\CurrentControlSet\Services Registry Tree", and "StorNVMe".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats.registry import dword
from converter.guest import caseless
from converter.inspection.windows import image_path
from converter.inspection.windows_values import number
from converter.model import ServiceStart
from converter.steps.step import Step
from converter.steps.windows.registry import Editing

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Plan that each starts with the machine."""
    editing = Editing(context, "boot-driver", "the disks of EC2 are found with it")
    root = context.facts.windows.root
    for service in load("windows")["boot_services"]["names"]:
        for key in editing.keys(rf"Services\{service}"):
            path = image_path(editing.registry.system.value(key, "ImagePath"), service)
            if caseless.has_file(context.guest, root, path):
                editing.set_system(key, "Start", dword(ServiceStart.BOOT))
                editing.delete_system_key(rf"{key}\StartOverride")
    _allow_new_disks(context)


def _allow_new_disks(context: Context) -> None:
    """Plan that no policy keeps disks from being started that the machine did not have."""
    reason = "a policy keeps Windows from starting disks that are new to it"
    editing = Editing(context, "boot-driver", reason)
    for key in editing.keys(r"Control\PnP"):
        for name in load("windows")["boot_services"]["policies"]:
            if number(editing.registry.system.value(key, name)):
                editing.set_system(key, name, dword(0))


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-boot-services", "start with EC2's disks", _applies, run)
