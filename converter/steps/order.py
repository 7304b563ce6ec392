"""The steps, in the order they run, and planning itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest.recording import RecordingGuest
from converter.steps import drivers, fstab, grub2, guest_tools, network, resume, uefi
from converter.steps.step import Context

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
)


def make_plan(guest: ReadableGuest, facts: Facts, storage: Storage) -> Plan:
    """Run every step that applies on a recording of `guest`, and give what they would do."""
    recording = RecordingGuest(guest)
    context = Context(recording, facts, storage)
    for step in ORDER:
        if step.applies(facts):
            step.run(context)
    return recording.plan
