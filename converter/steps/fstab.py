"""/etc/fstab: names that hold on EC2, and nothing that would stop the boot (LNX-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import fstab
from converter.guest import paths
from converter.model import Finding, Severity
from converter.steps.devices import is_unstable, stable_name
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context

PATH: Final = "/etc/fstab"


def run(context: Context) -> None:
    """Plan one change for each kind of fault, so that each has its own reason and diff."""
    _comment_out_invalid(context)
    _comment_out_foreign(context)
    _rename_devices(context)
    _tolerate_missing(context)


def _table(context: Context) -> fstab.Fstab:
    return fstab.parse(paths.text(context.guest, PATH) or "")


def _write(context: Context, table: fstab.Fstab, code: str, reason: str) -> None:
    context.guest.write(PATH, paths.encode(str(table)), code=code, reason=reason)


def _comment_out_invalid(context: Context) -> None:
    table = _table(context)
    for line in table.invalid:
        table = table.commented_out(line, "not a valid fstab line")
    _write(context, table, "fstab-invalid", "lines that mount(8) cannot read")


def _comment_out_foreign(context: Context) -> None:
    foreign = frozenset(load("linux")["fstab"]["foreign_types"])
    table = _table(context)
    for entry in table.entries:
        if entry.type in foreign:
            table = table.commented_out(entry, f"{entry.type} is not available on EC2")
    _write(context, table, "fstab-foreign", "shares of the old host or site do not answer on EC2")


def _rename_devices(context: Context) -> None:
    table = _table(context)
    for entry in table.entries:
        name = stable_name(context.storage, entry.spec) if is_unstable(entry.spec) else None
        if name is not None:
            table = table.with_spec(entry, name)
    _write(
        context,
        table,
        "fstab-device-name",
        "disks have other names on EC2 (/dev/nvme0n1 or /dev/xvda): the UUID holds everywhere",
    )


def _tolerate_missing(context: Context) -> None:
    table = _table(context)
    for entry in table.entries:
        if not _is_missing(context, entry):
            continue
        if entry.path == "/":
            table = table.with_spec(entry, _root_name(context))
            continue
        context.guest.note(
            Finding(
                Severity.WARNING,
                "fstab-device-missing",
                f"{PATH}: {entry.spec} for {entry.path} is on none of the given disks",
                "give all disks of the machine if it is needed; it is mounted only if present",
            )
        )
        if "nofail" not in entry.options:
            table = table.with_options(entry, (*entry.options, "nofail"))
    _write(
        context,
        table,
        "fstab-nofail",
        "the device is on none of the given disks; the boot must not wait for it",
    )


def _is_missing(context: Context, entry: fstab.Entry) -> bool:
    data = load("linux")["fstab"]
    free = {*data["virtual_types"], *data["network_types"]}
    if entry.type in free or {"noauto", "bind", "rbind"} & set(entry.options):
        return False
    named = entry.spec.startswith("/dev/") or "=" in entry.spec
    return named and context.storage.resolve(entry.spec) is None


def _root_name(context: Context) -> str:
    root = next(mount for mount in context.facts.mounts if mount.path == "/")
    return f"UUID={root.uuid}" if root.uuid else root.device


def _applies(facts: Facts) -> bool:
    return bool(facts.mounts)


STEP: Final = Step("fstab", "mount by names that hold on EC2", _applies, run)
