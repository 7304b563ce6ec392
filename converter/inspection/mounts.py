"""Finding the root filesystem and mounting the guest as its own fstab says.

Everything is mounted in the appliance, on the working overlay. Options of the guest's fstab are not
taken over, but for those that choose what is mounted (Btrfs' `subvol`, `subvolid`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError, GuestRefusedError
from converter.formats import fstab
from converter.guest import paths
from converter.model import Mount

if TYPE_CHECKING:
    from converter.guest.protocol import BlockDevices, Guest
    from converter.inspection.storage import Storage
    from converter.model import Filesystem

ROOT_TYPES: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "jfs"})
_MOUNTABLE: Final = ROOT_TYPES | {"vfat", "auto"}
# Any one of the first and one of the second make a directory tree a Linux root.
_SYSTEM_FILES: Final = ("/etc/fstab", "/etc/os-release", "/etc/passwd")
_SYSTEM_DIRECTORIES: Final = ("/bin", "/usr/bin", "/sbin")


def mount_guest(machine: BlockDevices, guest: Guest, storage: Storage) -> tuple[Mount, ...]:
    """Find the guest's root, mount it and what its fstab mounts, and say what is where.

    Raises `GuestRefusedError` ``unknown-os`` when no filesystem holds a system, ``several-roots``
    when more than one does, ``mount-failed`` when a part of the system cannot be mounted.
    """
    root = _find_root(machine, guest, storage)
    machine.mount(root.device, "/", options="rw")
    mounts = [Mount("/", root.device, root.type, root.uuid)]
    table = fstab.parse(paths.text(guest, "/etc/fstab") or "")
    for entry in sorted(table.entries, key=lambda entry: entry.path.count("/")):
        mount = _mount_entry(machine, storage, entry)
        if mount is not None:
            mounts.append(mount)
    return tuple(mounts)


def _find_root(machine: BlockDevices, guest: Guest, storage: Storage) -> Filesystem:
    roots: list[Filesystem] = []
    failures: list[str] = []
    for filesystem in storage.filesystems:
        if filesystem.type not in ROOT_TYPES:
            continue
        try:
            machine.mount(filesystem.device, "/", options="ro")
        except GuestError as error:
            failures.append(error.message)
            continue
        if _is_system(guest):
            roots.append(filesystem)
        machine.unmount()
    if len(roots) == 1:
        return roots[0]
    if roots:
        raise GuestRefusedError(
            "several-roots",
            "more than one filesystem holds a system: "
            + ", ".join(f"{root.device} ({root.type} {root.uuid})" for root in roots),
            hint="export the machine with only the disk of the system that is to be converted",
        )
    seen = ", ".join(f"{fs.device}: {fs.type or 'unknown'}" for fs in storage.filesystems)
    raise GuestRefusedError(
        "unknown-os",
        f"no operating system was found (filesystems: {seen or 'none'})"
        + "".join(f"; {failure}" for failure in failures),
        hint="give the boot disk first; a disk with data only cannot be converted by itself",
    )


def _is_system(guest: Guest) -> bool:
    return any(paths.is_file(guest, path) for path in _SYSTEM_FILES) and any(
        paths.is_directory(guest, path) for path in _SYSTEM_DIRECTORIES
    )


def _mount_entry(machine: BlockDevices, storage: Storage, entry: fstab.Entry) -> Mount | None:
    if entry.type not in _MOUNTABLE or entry.path in ("/", "none") or "noauto" in entry.options:
        return None
    device = storage.resolve(entry.spec)
    if device is None:
        return None
    chosen = [option for option in entry.options if option.startswith(("subvol=", "subvolid="))]
    try:
        machine.mount(device, entry.path, options=",".join(["rw", *chosen]))
    except GuestError as error:
        if "nofail" in entry.options:
            return None
        raise GuestRefusedError(
            "mount-failed",
            f"{entry.path} ({entry.spec}) of the guest cannot be mounted: {error.message}",
            hint="start the machine once more, check that filesystem, export it again",
        ) from error
    found = next((fs for fs in storage.filesystems if fs.device == device), None)
    kind, uuid = (found.type, found.uuid) if found else (entry.type, "")
    return Mount(entry.path, device, kind, uuid)
