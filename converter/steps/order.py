"""The steps, in the order they run, and planning itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError, GuestRefusedError
from converter.formats import FormatError
from converter.guest.protocol import Code
from converter.guest.recording import RecordingGuest
from converter.model import Finding, Severity, WindowsFacts
from converter.steps import (
    access,
    agents,
    boot_entries,
    boot_root,
    cloud_init,
    crypttab,
    drivers,
    fstab,
    generalize,
    grub2,
    grub_defaults,
    grub_legacy,
    guest_tools,
    mount_units,
    network,
    partition_table,
    resume,
    selinux,
    systemd_boot,
    uefi,
    volumes,
)
from converter.steps.step import Context, Options
from converter.steps.windows import (
    boot_driver,
    boot_services,
    first_boot,
    system_security,
    unattend,
)
from converter.steps.windows import boot_settings as windows_boot_settings
from converter.steps.windows import guest_tools as windows_guest_tools
from converter.steps.windows import network as windows_network
from converter.steps.windows import partition_table as windows_partition_table
from converter.steps.windows import settings as windows_settings
from converter.steps.windows import uefi as windows_uefi

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.inspection import Inspection
    from converter.model import Plan
    from converter.steps.step import Step

LINUX: Final = (
    crypttab.STEP,
    # Asks what crypttab opens.
    fstab.STEP,
    mount_units.STEP,
    resume.STEP,
    # What an initramfs copies of these configurations follows them.
    volumes.STEP,
    # Reads initramfs-tools' configuration for what goes into the image: after `resume` wrote it.
    drivers.STEP,
    grub2.STEP,
    # Asks the scripts what the generator of them knows.
    grub_defaults.STEP,
    grub_legacy.STEP,
    systemd_boot.STEP,
    boot_entries.STEP,
    # Asks what the default entry has come to.
    boot_root.STEP,
    uefi.STEP,
    network.STEP,
    guest_tools.STEP,
    cloud_init.STEP,
    access.STEP,
    # Rewrites names of partitions, those that the steps before gave too.
    partition_table.STEP,
    generalize.STEP,
    # Its package is installed when all files are written.
    agents.STEP,
    # Asks which of the new paths of all others have no label.
    selinux.STEP,
)


WINDOWS: Final = (
    boot_services.STEP,
    # Asks whether one of Windows' own will do, once it starts.
    boot_driver.STEP,
    windows_settings.STEP,
    windows_network.STEP,
    windows_guest_tools.STEP,
    # Asks what `boot_driver` put in, to take it away again.
    first_boot.STEP,
    unattend.STEP,
    windows_boot_settings.STEP,
    windows_uefi.STEP,
    windows_partition_table.STEP,
)


def make_plan(guest: ReadableGuest, inspection: Inspection, options: Options | None = None) -> Plan:
    """Run every step that applies on a recording of `guest`, and give what they would do.

    What is wrong with files of the guest is among the plan's findings.
    """
    facts = inspection.facts
    is_windows = isinstance(facts.os, WindowsFacts)
    security = system_security(facts) if is_windows else None
    recording = RecordingGuest(guest, inspection.hives, security)
    context = Context(recording, facts, inspection.storage, options or Options())
    for step in WINDOWS if is_windows else LINUX:
        if step.applies(facts):
            _run(step, context)
    return recording.plan


def _run(step: Step, context: Context) -> None:
    """Run `step`; a file that is not what it must be ends it, and refuses the guest.

    A hive is read as far as it is needed: that the rest makes no sense may show only here.
    """
    try:
        step.run(context)
    except GuestError as error:
        if error.code not in Code.CURES:
            raise
        message = f"{step.name}: {error.message}"
        context.guest.note(Finding(Severity.ERROR, error.code, message, Code.CURES[error.code]))
    except FormatError as error:
        message = f"{step.name}: {error}"
        context.guest.note(Finding(Severity.ERROR, Code.INVALID, message, Code.CURES[Code.INVALID]))
    except GuestRefusedError as error:
        for finding in error.findings:
            context.guest.note(finding)
