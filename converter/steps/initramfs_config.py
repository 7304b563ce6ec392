"""What the guest's own tool puts into the next initramfs: drivers for EC2's disks too (LNX-1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from converter.data import load
from converter.formats import initramfs_config
from converter.guest import paths
from converter.model import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest


def keep(guest: RecordingGuest, generator: str, modules: Sequence[str]) -> None:
    """Plan that what `generator` makes from now on has `modules` in it."""
    row: Mapping[str, Any] | None = load("linux")["initramfs"].get(generator)
    if not modules:
        return
    if row is None or not any(paths.kind(guest, path) for path in row["installed"]):
        _report(guest, generator, modules)
        return
    place = _place(guest, row)
    text = paths.text(guest, place)
    if text is None and not row.get("new"):
        _report(guest, generator, modules)
        return
    guest.write(
        place,
        paths.encode(initramfs_config.with_modules(text or "", modules, edit=row["edit"])),
        code="initramfs-configuration",
        reason=f"the next initramfs that {generator} makes must have EC2's drivers as well",
    )


def _place(guest: ReadableGuest, row: Mapping[str, Any]) -> str:
    """Give the file whose setting counts: of those that replace it, the last."""
    place: str = row["file"]
    for path in paths.glob(guest, row["overrides"]) if "overrides" in row else ():
        text = paths.text(guest, path) or ""
        if re.search(rf"^[ \t]*{row['variable']}\+?=", text, re.MULTILINE):
            place = path
    return place


def _report(guest: RecordingGuest, generator: str, modules: Sequence[str]) -> None:
    guest.note(
        Finding(
            Severity.INFO,
            "initramfs-configuration-unknown",
            "the drivers were put into the initramfs, but what makes the next one"
            f" ({generator or 'an unknown program'}) could not be told to keep them",
            f"make sure of {', '.join(modules)} before the initramfs is made anew",
        )
    )
