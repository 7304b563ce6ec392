"""Running the step that puts drivers into initramfs images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.formats import initramfs
from converter.guest.replay import replay
from converter.steps import drivers
from tests.unit import initramfs_samples as made
from tests.unit.initramfs_samples import RELEASE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.memory import MemoryGuest
    from converter.model import BootEntry, Plan, Severity

INITRD = f"/boot/initrd.img-{RELEASE}"
MODULES = f"usr/lib/modules/{RELEASE}"


def plan(guest: MemoryGuest, entries: Sequence[BootEntry] = (made.entry(),)) -> Plan:
    context = made.context(guest, entries)
    drivers.run(context)
    return context.guest.plan


def apply(guest: MemoryGuest, entries: Sequence[BootEntry] = (made.entry(),)) -> Plan:
    """Convert `guest`; planning once more must find nothing to do."""
    done = plan(guest, entries)
    replay(done, guest, progress=lambda _: None)
    assert plan(guest, entries).changes == ()
    return done


def codes(found: Plan, severity: Severity | None = None) -> list[str]:
    return [f.code for f in found.findings if severity in (None, f.severity)]


def image_of(guest: MemoryGuest) -> initramfs.Image:
    return initramfs.read(guest.read(INITRD, limit=1 << 30))
