"""The steps, in the order they run, and planning itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest.recording import RecordingGuest
from converter.steps import (
    access,
    cloud_init,
    drivers,
    fstab,
    generalize,
    grub2,
    guest_tools,
    network,
    resume,
    selinux,
    uefi,
)
from converter.steps.step import Context, Options

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Facts, Plan

ORDER: Final = (
    fstab.STEP,
    resume.STEP,
    # Reads initramfs-tools' configuration for what goes into the image: after `resume` wrote it.
    drivers.STEP,
    grub2.STEP,
    uefi.STEP,
    network.STEP,
    guest_tools.STEP,
    cloud_init.STEP,
    access.STEP,
    generalize.STEP,
    # Asks which of the new paths of all others have no label.
    selinux.STEP,
)


def make_plan(
    guest: ReadableGuest, facts: Facts, storage: Storage, options: Options | None = None
) -> Plan:
    """Run every step that applies on a recording of `guest`, and give what they would do."""
    recording = RecordingGuest(guest)
    context = Context(recording, facts, storage, options or Options())
    for step in ORDER:
        if step.applies(facts):
            step.run(context)
    return recording.plan
