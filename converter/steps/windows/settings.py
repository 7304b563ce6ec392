r"""Settings that EC2 asks for: clock, logon, shutdown, and further disks (WIN-4).

EC2's clock is in UTC (Amazon EC2 User Guide, "Set the time for a Windows instance"). Fast startup
(`HiberbootEnabled`) leaves a system on the disk that a snapshot of it must not have. The value of
the password of an automatic logon goes with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats.registry import dword, sz
from converter.inspection.windows import NT
from converter.inspection.windows_values import number, text
from converter.steps.step import Step
from converter.steps.windows.registry import Editing

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

_TIME_ZONE: Final = r"Control\TimeZoneInformation"
_POWER: Final = r"Control\Session Manager\Power"
_PARTITIONS: Final = r"Services\partmgr\Parameters"
_ONLINE_ALL: Final = 1
_WINLOGON: Final = rf"{NT}\Winlogon"


def run(context: Context) -> None:
    """Plan the settings."""
    clock = Editing(context, "clock-utc", "the clock of EC2 is in UTC")
    clock.set_control(_TIME_ZONE, "RealTimeIsUniversal", dword(1))
    _fast_startup(context)
    _automatic_logon(context)
    _further_disks(context)


def _further_disks(context: Context) -> None:
    """Have disks brought online: Enterprise and Datacenter servers leave all but the first off.

    They are behind another controller on EC2, and so new to Windows ("Disk SAN policy").
    """
    if len(context.facts.disks) > 1:
        editing = Editing(context, "disks-online", "disks behind another controller are new to it")
        editing.set_control(_PARTITIONS, "SanPolicy", dword(_ONLINE_ALL))


def _fast_startup(context: Context) -> None:
    editing = Editing(
        context, "fast-startup-off", "a system that is saved at shutdown is no use in a snapshot"
    )
    for key in editing.keys(_POWER):
        if number(editing.registry.system.value(key, "HiberbootEnabled")):
            editing.set_system(key, "HiberbootEnabled", dword(0))


def _automatic_logon(context: Context) -> None:
    editing = Editing(
        context, "automatic-logon-off", "a machine in a network of others logs nobody on by itself"
    )
    if text(editing.registry.software.value(_WINLOGON, "AutoAdminLogon")) not in ("", "0"):
        editing.set_software(_WINLOGON, "AutoAdminLogon", sz("0"))
        editing.delete_software_value(_WINLOGON, "DefaultPassword")
        editing.delete_software_value(_WINLOGON, "AutoLogonCount")


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-settings", "clock, logon and shutdown as EC2 asks", _applies, run)
