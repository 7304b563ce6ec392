"""/etc/crypttab: devices by names that hold on EC2, and none that is not there (LNX-4).

A swap area with a random key is overwritten at every start: such a line is given a name only if
what it means now holds nothing, and never the name of what is on it, which does not last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import crypttab
from converter.guest import paths
from converter.inspection.mounts import CRYPTTAB as PATH
from converter.model import Finding, Severity
from converter.steps.devices import is_unstable, name_of
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.formats.crypttab import Entry, Line
    from converter.model import Facts
    from converter.steps.step import Context

_LINKS: Final = {"UUID": "/dev/disk/by-uuid/", "PARTUUID": "/dev/disk/by-partuuid/"}
# What a device may hold that is to be overwritten: nothing that is known, or swap space.
_EXPENDABLE: Final = frozenset({"", "swap"})
_SKIPPED: Final = ("noauto", "nofail")


def run(context: Context) -> None:
    """Plan names that hold first, and then that what has none is left out."""
    _edit(context, missing=False)
    _edit(context, missing=True)


def _edit(context: Context, *, missing: bool) -> None:
    text = paths.text(context.guest, PATH)
    if text is None:
        return
    edit = _tolerant if missing else _renamed
    table = crypttab.parse(text).edited(lambda entry: edit(context, entry))
    context.guest.write(
        PATH,
        paths.encode(str(table)),
        code="crypttab-device-missing" if missing else "crypttab-device-name",
        reason="what is not there must not hold up the boot"
        if missing
        else "disks have other names on EC2",
    )


def _target(context: Context, entry: Entry) -> str | None:
    """Give the device of `entry`; none that holds what it would destroy."""
    device = context.storage.resolve(entry.device)
    found = None if device is None else context.storage.filesystem(device)
    if entry.is_random and found is not None and found.type not in _EXPENDABLE:
        return None
    return device


def _name(context: Context, entry: Entry) -> str | None:
    device = _target(context, entry)
    if device is None:
        return None
    if entry.is_random:
        uuids = dict(context.storage.partitions())
        part = uuids.get(device)
        return f"{_LINKS['PARTUUID']}{part.uuid}" if part is not None and part.uuid else None
    tag, equals, value = (name_of(context.storage, device) or "").partition("=")
    return f"{_LINKS[tag]}{value}" if equals else tag or None


def _renamed(context: Context, entry: Entry) -> Line:
    name = _name(context, entry) if is_unstable(entry.device) else None
    return entry if name is None else entry.with_device(name)


def _tolerant(context: Context, entry: Entry) -> Line:
    named = entry.device.startswith("/dev/") or "=" in entry.device
    there = _target(context, entry) is not None and not is_unstable(entry.device)
    if there or not named or "noauto" in entry.options:
        return entry
    context.guest.note(
        Finding(
            Severity.WARNING,
            "crypttab-device-missing",
            f"{PATH}: {entry.device} for {entry.name} is on none of the given disks, or holds"
            " something else; it is not opened",
            "put the right device into the line in the result, and take `noauto` out",
        )
    )
    return entry.with_options((*entry.options, *(w for w in _SKIPPED if w not in entry.options)))


def _applies(facts: Facts) -> bool:
    return bool(facts.mounts)


STEP: Final = Step("crypttab", "open devices that are there", _applies, run)
