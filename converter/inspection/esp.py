"""EFI system partitions: which they are, and where their files can be reached.

An ESP is told by its partition's type, on GPT and on MBR (UEFI 2.10, 5.2.2 and 5.3.3), or by being
the FAT filesystem that the guest mounts at /boot/efi or /efi: then its type did not matter to the
firmware it came from. One that the guest does not mount is mounted while the guest is worked on,
where systemd-gpt-auto-generator(8) would, or in another empty directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import fstab
from converter.guest import paths
from converter.model import Mount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.protocol import BlockDevices, ReadableGuest
    from converter.inspection.storage import Storage

TYPES: Final = frozenset({"c12a7328-f81f-11d2-ba4b-00a0c93ec93b", "ef"})
_PLACES: Final = ("/boot/efi", "/efi")
# Directories that are in every Linux tree and hold nothing that counts while it is off.
_EMPTY_PLACES: Final = ("/boot/efi", "/efi", "/boot", "/mnt", "/media", "/run", "/srv")


def find_esps(storage: Storage, mounts: Sequence[Mount]) -> tuple[str, ...]:
    """Give the devices of the ESPs, in the order of the disks."""
    typed = [
        device
        for device, partition in storage.partitions()
        if partition.type.lower() in TYPES and _is_fat(storage, device)
    ]
    used = [mount.device for mount in mounts if mount.path in _PLACES and mount.type == "vfat"]
    return tuple(dict.fromkeys([*typed, *used]))


def _is_fat(storage: Storage, device: str) -> bool:
    return any(fs.device == device and fs.type == "vfat" for fs in storage.filesystems)


def mount_esps(
    machine: BlockDevices, guest: ReadableGuest, storage: Storage, mounts: Sequence[Mount]
) -> tuple[Mount, ...]:
    """Give every ESP that can be mounted with the place where it is; the guest is mounted already.

    One that cannot be mounted is left out: firmware may not be able to read it either.
    """
    found: list[Mount] = []
    for device in find_esps(storage, mounts):
        there = next((mount for mount in mounts if mount.device == device), None)
        mount = there or _mounted(machine, guest, storage, device)
        if mount is not None:
            found.append(mount)
    return tuple(found)


def _mounted(
    machine: BlockDevices, guest: ReadableGuest, storage: Storage, device: str
) -> Mount | None:
    path = next(_free_places(guest, storage, device), None)
    if path is None:
        return None
    try:
        machine.mount(device, path, options="rw")
        space = machine.space(path)
    except GuestError:
        return None
    found = storage.filesystem(device)
    return Mount(path, device, "vfat", found.uuid if found else "", space=space)


def _free_places(guest: ReadableGuest, storage: Storage, device: str) -> Iterator[str]:
    """Give where it can be mounted: where fstab says (a `noauto` line), then empty directories."""
    for entry in fstab.parse(paths.text(guest, "/etc/fstab") or "").entries:
        here = entry.path.startswith("/") and storage.resolve(entry.spec) == device
        if here and paths.is_directory(guest, entry.path):
            yield paths.resolve(guest, entry.path)
    for path in _EMPTY_PLACES:
        real = paths.resolve(guest, path) == path and paths.is_directory(guest, path)
        if real and not guest.list(path):
            yield path
