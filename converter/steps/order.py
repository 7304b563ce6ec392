"""The steps, in the order they run, and planning itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.guest.protocol import Code
from converter.guest.recording import RecordingGuest
from converter.model import Finding, Severity
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

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Facts, Plan
    from converter.steps.step import Step

ORDER: Final = (
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


def make_plan(
    guest: ReadableGuest, facts: Facts, storage: Storage, options: Options | None = None
) -> Plan:
    """Run every step that applies on a recording of `guest`, and give what they would do.

    What is wrong with files of the guest is among the plan's findings.
    """
    recording = RecordingGuest(guest)
    context = Context(recording, facts, storage, options or Options())
    for step in ORDER:
        if step.applies(facts):
            _run(step, context)
    return recording.plan


def _run(step: Step, context: Context) -> None:
    """Run `step`; a file that is not what it must be ends it, and refuses the guest."""
    try:
        step.run(context)
    except GuestError as error:
        if error.code not in Code.ODD:
            raise
        message = f"{step.name}: {error.message}"
        context.guest.note(Finding(Severity.ERROR, error.code, message, Code.ODD_HINT))
