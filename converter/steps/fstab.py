"""/etc/fstab: names that hold on EC2, and nothing that would stop the boot (LNX-4)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import crypttab, fstab
from converter.guest import paths
from converter.inspection import names
from converter.inspection.mounts import CRYPTTAB
from converter.inspection.roots import FSTAB
from converter.model import Finding, Severity
from converter.steps.devices import (
    is_unstable,
    name_of,
    root_name,
    root_of,
    stable_options,
)
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from converter.formats.fstab import Entry, Line
    from converter.inspection.storage import Storage
    from converter.model import Facts
    from converter.steps.step import Context

# Waits for every device of fstab and knows `nobootwait` instead of `nofail` (Ubuntu's fstab(5)).
_MOUNTALL: Final = "/sbin/mountall"
# Without these no system works: a guest whose disk with them is missing is not whole.
_VITAL: Final = frozenset({"/usr", "/var"})
TAGS: Final = ("UUID=", "LABEL=", "PARTUUID=", "PARTLABEL=", "ID=")


def run(context: Context) -> None:
    """Plan one change for each kind of fault, so that each has its own reason and diff."""
    _comment_out_invalid(context)
    _edit(context, _without_foreign, "fstab-foreign", "old hosts' shares do not answer on EC2")
    _edit(context, _renamed, "fstab-device-name", "disks have other names on EC2: UUIDs hold")
    opened = _opened(context)
    _edit(
        context,
        partial(_tolerant, opened),
        "fstab-nofail",
        "what is not there must not hold up the boot",
    )


def _table(context: Context) -> fstab.Fstab:
    return fstab.parse(paths.text(context.guest, FSTAB) or "")


def _write(context: Context, table: fstab.Fstab, code: str, reason: str) -> None:
    if paths.is_file(context.guest, FSTAB):
        context.guest.write(FSTAB, paths.encode(str(table)), code=code, reason=reason)


def _edit(context: Context, edit: Callable[[Context, Entry], Line], code: str, reason: str) -> None:
    table = _table(context).edited(lambda entry: edit(context, entry))
    _write(context, table, code, reason)


def _comment_out_invalid(context: Context) -> None:
    table = _table(context).without_invalid("not a valid fstab line")
    _write(context, table, "fstab-invalid", "lines that mount(8) cannot read")


def _without_foreign(_context: Context, entry: Entry) -> Line:
    foreign = load("linux")["fstab"]["foreign_types"]
    # Old FUSE lines name the program before a `#` in the first field (mount.fuse(8)).
    program = entry.spec.partition("#")[0] if entry.type == "fuse" else entry.type
    if program not in foreign:
        return entry
    return entry.commented_out(f"{program} is not available on EC2")


def needs_device(entry: Entry) -> bool:
    """Tell whether `entry` is about a block device that a disk has."""
    data = load("linux")["fstab"]
    free = {*data["virtual_types"], *data["network_types"], "ignore"}
    if entry.type in free or {"bind", "rbind"} & set(entry.options):
        return False
    made_anew = entry.spec.startswith(tuple(data["virtual_devices"]))
    return entry.spec.startswith(("/dev/", *TAGS)) and not made_anew


def is_root(entry: Entry) -> bool:
    """Tell whether `entry` mounts the root."""
    return entry.path.startswith("/") and not entry.path.strip("/")


def is_optional(entry: Entry) -> bool:
    """Tell whether the boot does not wait for `entry`."""
    return bool({"nofail", "noauto"} & set(entry.options))


def _device(storage: Storage, entry: Entry) -> str | None:
    """Give the device of `entry`; none whose filesystem cannot be what the line says."""
    device = storage.resolve(entry.spec)
    found = None if device is None else storage.filesystem(device)
    if found is None or not found.type or not is_unstable(entry.spec):
        return device
    kinds = {names.kind_of(word) for word in entry.type.split(",")}
    return device if kinds & {"auto", "none", names.kind_of(found.type)} else None


def _stable_name(context: Context, entry: Entry) -> str | None:
    device = _device(context.storage, entry)
    return None if device is None else name_of(context.storage, device)


def _renamed(context: Context, entry: Entry) -> Line:
    if not needs_device(entry):
        return entry
    line = _with_stable_spec(context, entry)
    if not isinstance(line, fstab.Entry):
        return line
    options = stable_options(context.storage, line.options)
    return line if options == line.options else line.with_options(options)


def _with_stable_spec(context: Context, entry: Entry) -> Line:
    if is_root(entry):
        return _root(context, entry)
    name = _stable_name(context, entry) if is_unstable(entry.spec) else None
    return entry if name is None else entry.with_spec(name)


def _root(context: Context, entry: Entry) -> Line:
    storage, facts = context.storage, context.facts
    if not is_unstable(entry.spec) and storage.resolve(entry.spec) == root_of(facts).device:
        return entry
    name = root_name(storage, facts)
    if name is None:
        context.guest.note(
            Finding(
                Severity.ERROR,
                "root-without-name",
                f"the root filesystem on {root_of(facts).device} has no UUID, nor has its"
                " partition: nothing tells it from others on EC2",
                "give it one in the machine (tune2fs -U random, xfs_admin -U generate), and export"
                " it again",
            )
        )
        return entry
    return entry.with_spec(name)


def _opened(context: Context) -> dict[str, crypttab.Entry]:
    """Give the lines of crypttab by the device that each of them makes."""
    table = crypttab.parse(paths.text(context.guest, CRYPTTAB) or "")
    return {f"/dev/mapper/{line.name}": line for line in table.entries}


def _tolerant(opened: Mapping[str, crypttab.Entry], context: Context, entry: Entry) -> Line:
    if not needs_device(entry) or is_root(entry) or "noauto" in entry.options:
        return entry
    if entry.spec in opened:
        left_out = "noauto" in opened[entry.spec].options
        why = f"is not opened by {CRYPTTAB}" if left_out else ""
    else:
        why = _absence(context, entry)
    if not why:
        return entry
    _report(context, entry, why)
    extra = ["nofail"]
    if paths.kind(context.guest, _MOUNTALL) is not None:
        extra.append("nobootwait")
    options = (*entry.options, *(word for word in extra if word not in entry.options))
    line = entry if options == entry.options else entry.with_options(options)
    # Only systemd leaves a filesystem that is not there unchecked by itself.
    if (
        entry.passno
        and context.facts.linux.init_system != "systemd"
        and isinstance(line, fstab.Entry)
    ):
        line = line.with_passno(0)
    return line


def _absence(context: Context, entry: Entry) -> str:
    """Say why the device of `entry` will not be there; "" if it will."""
    if context.storage.resolve(entry.spec) is None:
        return "is on none of the given disks"
    if is_unstable(entry.spec):
        return "has no name that holds on EC2"
    return ""


def _report(context: Context, entry: Entry, why: str) -> None:
    vital = entry.path.rstrip("/") in _VITAL
    context.guest.note(
        Finding(
            Severity.ERROR if vital else Severity.WARNING,
            "fstab-device-missing",
            f"{FSTAB}: {entry.spec} for {'swap' if entry.is_swap else entry.path} {why}",
            "give all disks of the machine"
            if vital
            else "give all disks of the machine if it is needed; it is used only if present",
        )
    )


def _applies(facts: Facts) -> bool:
    return bool(facts.mounts)


STEP: Final = Step("fstab", "mount by names that hold on EC2", _applies, run)
