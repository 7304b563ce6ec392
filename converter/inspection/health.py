"""What is wrong with a guest's disks, as far as it can be told before anything is written.

A dirty journal is normal for a machine that was exported while it ran: mounting replays it, on the
working overlay. What cannot be put right that way is refused (SPEC, FS-1, FS-3, FS-5).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import mdadm, signatures
from converter.formats.signatures import (
    BITLOCKER,
    FAT,
    FILEVAULT,
    HIBERNATED,
    LUKS,
    LVM_MEMBER,
    RAID_MEMBER,
)
from converter.guest import paths
from converter.inspection.roots import TYPES
from converter.inspection.storage import names_volume
from converter.model import Finding, Severity, TableType

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from converter.formats.fstab import Fstab
    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Mount, VolumeGroup

GROUP_MESSAGE: Final = "Unsupported configuration - Logical volume group activation failed"
_ENCRYPTED: Final = {LUKS: "LUKS", BITLOCKER: "BitLocker", FILEVAULT: "FileVault"}
# More than any guest has.
_MOST_SWAP_FILES: Final = 16
# Partitions of the Logical Disk Manager: an MBR's type, GPT's for metadata and data.
_DYNAMIC: Final = frozenset(
    {"42", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad"}
)


def judge_layout(storage: Storage) -> tuple[Finding, ...]:
    """Give what the tables and the first blocks of disks show, whatever else is on them.

    That needs no appliance; what lies in volumes and arrays, only one shows (`judge_disks`).
    """
    return (*_encrypted(storage), *_dynamic(storage), *_unreadable_tables(storage))


def judge_start(storage: Storage) -> tuple[Finding, ...]:
    """Give why a machine of these disks certainly does not start, by their first blocks alone.

    `storage` must have all disks of the machine; its filesystems are as `signatures` names them.
    """
    return tuple(_nothing(storage)) or tuple(_bootless(storage))


def _nothing(storage: Storage) -> Iterator[Finding]:
    """Tell of disks without partitions, on which nothing lies that a system could be in."""
    is_there = any(disk.partitions for disk in storage.disks) or storage.unreadable
    if not is_there and not any(found.type for found in storage.filesystems):
        yield Finding(
            Severity.ERROR,
            "no-partitions",
            f"there are no partitions and no filesystem on"
            f" {', '.join(storage.shown(disk.device) for disk in storage.disks)}",
            "give all disks of the machine, the boot disk first; if these are all, the export is"
            " empty or damaged: export it again",
            "No valid partitions. Not a valid volume.",
        )


def _bootless(storage: Storage) -> Iterator[Finding]:
    """BOOT-7: neither does a BIOS come to a loader, nor is there a FAT for firmware to look at."""
    first = storage.disks[0]
    starts = first.boot_code and first.table is not TableType.NONE
    loaders = load("partitions")["foreign"]["loaders"]
    may_start = any(found.type == FAT for found in storage.filesystems) or any(
        partition.type.lower() in loaders for partition in first.partitions
    )
    if starts or may_start:
        return
    whole = storage.filesystem(first.device)
    if first.table is TableType.NONE and whole is not None and whole.type in TYPES:
        yield Finding(
            Severity.ERROR,
            "no-partitions",
            f"{storage.shown(first.device)} has no partition table, but a filesystem"
            f" ({whole.type}) all over it: it is a partition of a disk, or a data disk",
            "give the whole disk, the boot disk first; a root filesystem by itself (of a container,"
            " or of a Xen guest without a boot loader) has to be put on a disk with one first",
            "No valid partitions. Not a valid volume.",
        )
    else:
        yield no_bootable_partition()


def no_bootable_partition() -> Finding:
    """Give the refusal of a machine in which firmware finds nothing to start (BOOT-7)."""
    return Finding(
        Severity.ERROR,
        "no-bootable-partition",
        "the first sector of the boot disk leads to no boot loader, and there is none on an EFI"
        " system partition",
        "give the boot disk first; reinstall the boot loader in the machine (Linux: grub-install;"
        " Windows: bcdboot C:\\Windows), export again",
        "Client.Unsupported: No bootable partition found",
    )


def judge_disks(storage: Storage) -> tuple[Finding, ...]:
    """Give what is to be said of the disks whatever system is on them."""
    return (
        *judge_layout(storage),
        *_hibernated(storage),
        *_arrays(storage),
        *_incomplete(storage, Severity.WARNING),
        *_twins(storage),
    )


def judge_system(storage: Storage, mounts: Collection[Mount], table: Fstab) -> tuple[Finding, ...]:
    """Give what is to be said of the disks that the system on them needs."""
    wanted = [
        entry.spec for entry in table.entries if not {"noauto", "nofail"} & set(entry.options)
    ]
    # One of these may be in a volume that is not active.
    lost = any("=" in spec and storage.resolve(spec) is None for spec in wanted)
    used = {mount.device for mount in mounts}
    named = {
        volume.group
        for volume in storage.volumes
        if volume.device in used or any(names_volume(spec, volume) for spec in wanted)
    }
    return (
        *_journals(storage, mounts),
        *dict.fromkeys(_groups(storage, lambda group: lost or group.name in named)),
    )


def judge_rootless(storage: Storage) -> tuple[Finding, ...]:
    """Give what may be the reason that no system was found."""
    groups = dict.fromkeys(_groups(storage, lambda _group: True))
    return (
        *_encrypted(storage),
        *_dynamic(storage),
        *_hibernated(storage),
        *groups,
        *_incomplete(storage, Severity.ERROR),
        *_stopped(storage),
    )


def _encrypted(storage: Storage) -> Iterator[Finding]:
    for found in storage.filesystems:
        if found.type in _ENCRYPTED:
            yield Finding(
                Severity.ERROR,
                "encrypted-volume",
                f"{storage.shown(found.device)} is encrypted with {_ENCRYPTED[found.type]}",
                "decrypt it in the machine (manage-bde -off C:), or move what is on it to a volume"
                " without encryption, and export it again; EBS encrypts volumes by itself"
                if found.type == BITLOCKER
                else "move what is on it to a volume without encryption, and export it again; EBS"
                " encrypts volumes by itself",
            )


def _dynamic(storage: Storage) -> Iterator[Finding]:
    """FS-3, WIN-6: disks of Windows' Logical Disk Manager, whose volumes only Windows knows."""
    for disk in storage.disks:
        if any(partition.type.lower() in _DYNAMIC for partition in disk.partitions):
            yield Finding(
                Severity.ERROR,
                "dynamic-disk",
                f"{storage.shown(disk.device)} is a dynamic disk",
                "move what is on it to a basic disk, and export it again",
            )


def judge_windows(storage: Storage, mounts: Collection[Mount]) -> tuple[Finding, ...]:
    """Give what the last shutdown of a Windows left on its volumes (FS-5)."""
    places = {mount.device: mount.path for mount in reversed([*mounts])}
    found: list[Finding] = []
    for filesystem in storage.filesystems:
        place = places.get(filesystem.device)
        if place is None or filesystem.type != "ntfs":
            continue
        what = f"{place} (NTFS on {filesystem.device})"
        if filesystem.is_dirty:
            found.append(
                Finding(
                    Severity.ERROR,
                    "filesystem-dirty",
                    f"{what} was in use when it was exported, and only Windows can finish what"
                    " its journal holds",
                    "start the machine, shut it down (shutdown /s /t 0), and export it again",
                )
            )
        elif filesystem.has_errors:
            found.append(
                Finding(
                    Severity.WARNING,
                    "filesystem-errors",
                    f"{what} is marked for a check",
                    "let Windows check it (chkdsk /f) and export the machine again, to be sure",
                )
            )
    return tuple(found)


def _hibernated(storage: Storage) -> Iterator[Finding]:
    for found in storage.filesystems:
        if found.type == HIBERNATED:
            yield _holds_system(f"area {found.device}")


def judge_swap_files(guest: ReadableGuest, table: Fstab) -> tuple[Finding, ...]:
    """Give the swap files that hold a hibernated system."""
    files = [entry.spec for entry in table.entries if entry.is_swap and entry.spec.startswith("/")]
    return tuple(
        _holds_system(f"file {path}")
        for path in files[:_MOST_SWAP_FILES]
        if paths.is_file(guest, path) and signatures.is_hibernated(_reader(guest, path))
    )


def _reader(guest: ReadableGuest, path: str) -> Callable[[int, int], bytes]:
    return lambda offset, length: guest.head(path, length=offset + length)[offset:]


def _holds_system(swap: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "guest-hibernated",
        f"the swap {swap} holds a hibernated system: its filesystems are in use",
        "resume the machine, shut it down, and export it again",
    )


def _incomplete(storage: Storage, severity: Severity) -> Iterator[Finding]:
    """FS-1: filesystems of several devices, of which some are on none of the disks."""
    present = Counter(found.uuid for found in storage.filesystems if found.devices > 1)
    for found in storage.whole_filesystems():
        if found.devices > max(present[found.uuid], 1):
            yield Finding(
                severity,
                "filesystem-incomplete",
                f"the {found.type} on {found.device} is on {found.devices} devices, of which"
                f" {present[found.uuid]} are there",
                "give all disks of the machine",
            )


def _groups(storage: Storage, is_needed: Callable[[VolumeGroup], bool]) -> Iterator[Finding]:
    """FS-1: groups that do not become active, or not reliably."""
    counts = Counter(group.name for group in storage.groups)
    for group in storage.groups:
        why = _group_problem(storage, group, count=counts[group.name])
        if why:
            yield Finding(
                Severity.ERROR if is_needed(group) else Severity.WARNING,
                "volume-group-inactive",
                f"the volume group {group.name} cannot be activated: {why}",
                "give all disks of the machine, and no copies of them",
                GROUP_MESSAGE,
            )


def _group_problem(storage: Storage, group: VolumeGroup, *, count: int) -> str:
    if not group.is_complete:
        return "a physical volume is on none of the given disks"
    if count > 1:
        return f"{count} groups have that name"
    pairs = Counter(fs.uuid for fs in storage.filesystems if fs.type == LVM_MEMBER)
    if any(number > 1 for number in pairs.values()):
        return "a physical volume is there twice"
    inactive = [
        volume.name
        for volume in storage.volumes
        if volume.group == group.name and not (volume.is_active or volume.is_snapshot)
    ]
    return f"{', '.join(inactive)} did not start" if inactive else ""


def _arrays(storage: Storage) -> Iterator[Finding]:
    for array in storage.arrays:
        if array.is_degraded:
            yield Finding(
                Severity.WARNING,
                "array-degraded",
                f"the {array.level} array {array.name or array.uuid} has {array.present} of"
                f" {array.size} members",
                "give all disks of the machine; or add a member to the array in the result",
            )
    yield from _stopped(storage)


def _stopped(storage: Storage) -> Iterator[Finding]:
    """Give the arrays that members were found of, and too few."""
    started = {mdadm.uuid_digits(array.uuid) for array in storage.arrays}
    found = {fs.uuid for fs in storage.filesystems if fs.type == RAID_MEMBER}
    for uuid in sorted(found):
        if mdadm.uuid_digits(uuid) not in started:
            yield Finding(
                Severity.WARNING,
                "array-inactive",
                f"the RAID array {uuid} does not start: members are missing",
                "give all disks of the machine",
            )


def _twins(storage: Storage) -> Iterator[Finding]:
    """Give the filesystems that a UUID does not tell apart."""
    snapshots = {volume.device for volume in storage.volumes if volume.is_snapshot}
    by_uuid: dict[str, list[str]] = {}
    for found in storage.whole_filesystems():
        if found.uuid and found.device not in snapshots:
            by_uuid.setdefault(found.uuid.casefold(), []).append(found.device)
    for uuid, devices in by_uuid.items():
        if len(devices) > 1:
            yield Finding(
                Severity.WARNING,
                "duplicate-uuid",
                f"{', '.join(devices)} have the same UUID {uuid}: which of them is mounted by it"
                " may change with every start",
                "leave out copies of disks, or give the copies other UUIDs",
            )


def _unreadable_tables(storage: Storage) -> Iterator[Finding]:
    for device, why in storage.unreadable:
        yield Finding(
            Severity.WARNING,
            "partition-table-unreadable",
            f"the partition table of {device} makes no sense: {why}",
            "if something on that disk is needed, export the machine again",
        )


def _journals(storage: Storage, mounts: Collection[Mount]) -> Iterator[Finding]:
    """FS-5: what the last shutdown left."""
    places = {mount.device: mount.path for mount in reversed([*mounts])}
    for found in storage.filesystems:
        place = places.get(found.device)
        if place is None:
            continue
        if found.is_dirty:
            yield Finding(
                Severity.WARNING,
                "filesystem-dirty",
                f"{place} ({found.type} on {found.device}) was not unmounted: the machine was"
                " running when it was exported. Its journal was replayed in the copy",
                "what programs had not written yet is lost; shut the machine down before you"
                " export it, to be sure",
            )
        if found.has_errors:
            yield Finding(
                Severity.WARNING,
                "filesystem-errors",
                f"{place} ({found.type} on {found.device}) is marked as damaged",
                "check it in the machine (fsck) and export it again",
            )
