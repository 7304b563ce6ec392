"""Mounting the guest as its own fstab says.

Everything is mounted in the appliance, on the working overlay. Options of the guest's fstab are not
taken over, but for those that choose what is mounted (Btrfs' `subvol`, `subvolid`). Mount points
are resolved inside the guest first: a link there leads nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import Faults, GuestError
from converter.formats import crypttab, fstab
from converter.guest import paths
from converter.guest.recording import kept_as
from converter.inspection import names
from converter.inspection.roots import FSTAB, FSTAB_MESSAGE, TYPES, find_root, refusal
from converter.model import Finding, Mount, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.errors import GuestRefusedError, InputError
    from converter.guest.protocol import BlockDevices, Guest, ReadableGuest
    from converter.inspection.roots import Root
    from converter.inspection.storage import Storage

CRYPTTAB: Final = "/etc/crypttab"
MDADM_CONFIGS: Final = ("/etc/mdadm/mdadm.conf", "/etc/mdadm.conf")
_MOUNTABLE: Final = TYPES | {"vfat"}
# More than any guest mounts: a limit for one that wants to keep us busy.
_MOUNT_LIMIT: Final = 256
_AUTOMOUNT: Final = "x-systemd.automount"


@dataclass(frozen=True, slots=True)
class Mounted:
    """What is mounted where, by which table, and systems left aside.

    `storage` knows the guest's own names of its disks; `findings` are what could not be mounted,
    and need not be.
    """

    mounts: tuple[Mount, ...]
    storage: Storage
    table: fstab.Fstab
    others: tuple[Root, ...] = ()
    findings: tuple[Finding, ...] = ()


def mount_guest(machine: BlockDevices, guest: Guest, storage: Storage) -> Mounted:
    """Find the guest's root, mount it and what its fstab mounts, and say what is where.

    Raises `GuestRefusedError` as `find_root` does, ``mount-failed`` when a part of the system
    cannot be mounted, ``fstab-unreadable`` when nothing tells what its parts are.
    """
    found = find_root(machine, guest, storage)
    root = found.root
    if root.table is None:
        raise refusal(
            "fstab-unreadable",
            f"{FSTAB} of {root} cannot be read: {root.problem}",
            "make it a text file that fstab(5) describes, and export the machine again",
            FSTAB_MESSAGE,
        )
    mounts = [_mount_root(machine, root)]
    named = _named(guest, storage, root, root.table)
    wanted = sorted(filter(_is_mounted, root.table.entries), key=lambda item: _depth(item.path))
    faults, spared = Faults(), Faults()
    for entry in wanted[:_MOUNT_LIMIT]:
        with (spared if "nofail" in entry.options else faults).kept():
            mount = _mount_entry(machine, guest, named, entry, mounts)
            if mount is not None:
                mounts.append(mount)
    faults.raise_all()
    findings = (_not_mounted(error) for error in spared.errors)
    return Mounted(tuple(mounts), named, root.table, found.others, tuple(findings))


def _not_mounted(error: InputError) -> Finding:
    """Tell of a filesystem that the guest starts without."""
    return Finding(
        Severity.WARNING,
        "mount-failed",
        f"{error.message}; the guest starts without it (nofail), it is handed off as it is",
        error.hint,
    )


def _depth(path: str) -> int:
    return sum(bool(part) for part in path.split("/"))


def _mount_root(machine: BlockDevices, root: Root) -> Mount:
    chosen = f",subvolid={root.subvolume.number}" if root.subvolume else ""
    found = root.filesystem
    try:
        machine.mount(found.device, "/", options=f"rw{chosen}")
    except GuestError as error:
        why = (
            "; Linux writes to a JFS only after it was unmounted cleanly"
            if found.type == "jfs" and found.is_dirty
            else ""
        )
        raise _failed(f"the root filesystem {found.device}", f"{error.message}{why}") from error
    return Mount(
        "/",
        found.device,
        found.type,
        found.uuid,
        subvolume=root.subvolume.path if root.subvolume else "",
        space=machine.space("/"),
    )


def _failed(what: str, why: str) -> GuestRefusedError:
    return refusal(
        "mount-failed",
        f"{what} of the guest cannot be mounted: {why}",
        "start the machine once more, check that filesystem, shut it down, export it again",
    )


def _named(guest: ReadableGuest, storage: Storage, root: Root, table: fstab.Fstab) -> Storage:
    """Give the storage with the names of disks and arrays that the guest's files explain."""
    known = _renamed(guest, storage, table) | {
        entry.spec: root.filesystem.device for entry in table.entries if not _depth(entry.path)
    }
    configurations = (paths.text(guest, path) for path in MDADM_CONFIGS)
    text = next((text for text in configurations if text), "")
    return storage.naming([*_uses(guest, table)], known).naming_arrays(text)


def _renamed(guest: ReadableGuest, storage: Storage, table: fstab.Fstab) -> dict[str, str]:
    """Give what the names meant that an earlier conversion replaced, by the original it kept.

    Otherwise a disk that they took would be free for names that meant none.
    """
    original = fstab.parse(paths.text(guest, kept_as(FSTAB)) or "")
    now = {entry.path: entry.spec for entry in table.entries if not entry.is_swap}
    devices = {
        entry.spec: storage.resolve(now[entry.path])
        for entry in original.entries
        if names.parse(entry.spec) and not names.parse(now.get(entry.path, entry.spec))
    }
    return {spec: device for spec, device in devices.items() if device}


def _uses(guest: ReadableGuest, table: fstab.Fstab) -> Iterator[names.Use]:
    for entry in table.entries:
        yield names.Use(entry.spec, entry.type, "swap" if entry.is_swap else entry.path)
    for line in crypttab.parse(paths.text(guest, CRYPTTAB) or "").entries:
        yield names.Use(line.device, "", f"/dev/mapper/{line.name}")


def _is_mounted(entry: fstab.Entry) -> bool:
    """Tell whether the guest mounts `entry`, at boot or when it is needed."""
    if not entry.path.startswith("/") or entry.type not in _MOUNTABLE | {"auto"}:
        return False
    wanted = "noauto" not in entry.options or _AUTOMOUNT in entry.options
    return wanted or entry.path.rstrip("/") == "/boot"


def _mount_entry(
    machine: BlockDevices,
    guest: ReadableGuest,
    storage: Storage,
    entry: fstab.Entry,
    mounts: list[Mount],
) -> Mount | None:
    """Mount `entry` on top of `mounts`; None if it is nothing to be mounted here."""
    device = storage.resolve(entry.spec)
    found = None if device is None else storage.filesystem(device)
    if found is None or found.type not in _MOUNTABLE:
        return None
    if entry.type != "auto" and names.kind_of(entry.type) != names.kind_of(found.type):
        return None
    chosen = [option for option in entry.options if option.startswith(("subvol=", "subvolid="))]
    try:
        place = paths.resolve(guest, entry.path)
        if any(mount.path == place for mount in mounts) or not paths.is_directory(guest, place):
            return None
        machine.mount(found.device, place, options=",".join(["rw", *chosen]))
        space = machine.space(place)
    except GuestError as error:
        raise _failed(f"{entry.path} ({entry.spec})", error.message) from error
    within = next((option.partition("=")[2] for option in chosen if "subvol=" in option), "")
    return Mount(
        place, found.device, found.type, found.uuid, subvolume=within.strip("/"), space=space
    )
