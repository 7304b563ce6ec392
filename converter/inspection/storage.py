"""Disks, partitions, volumes and filesystems, and which device a name in the guest means.

A guest names its devices as its own hypervisor showed them; the appliance shows the same disks
under other names. `Storage.resolve` is the one place that knows how the two belong together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from converter.disk.table import BackupOnlyError, read_table
from converter.errors import DamagedInputError, GuestError
from converter.formats import FormatError, mdadm, signatures, superblock
from converter.formats.signatures import LVM_MEMBER, RAID_MEMBER
from converter.inspection import names
from converter.model import Disk, TableType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from converter.guest.protocol import BlockDevices
    from converter.model import Array, Filesystem, Partition, Volume, VolumeGroup

_BY_TAG: Final = {
    "/dev/disk/by-uuid/": "UUID",
    "/dev/disk/by-label/": "LABEL",
    "/dev/disk/by-partuuid/": "PARTUUID",
    "/dev/disk/by-partlabel/": "PARTLABEL",
}
_LINK_ESCAPES: Final = re.compile(r"(?:\\x[0-9a-fA-F]{2})+")
_MAPPED: Final = ("/dev/disk/by-id/dm-name-", "/dev/mapper/")
# The UUIDs of the group and of the volume follow, 32 characters each; Ubuntu's installer writes it.
_VOLUME_LINK: Final = "/dev/disk/by-id/dm-uuid-LVM-"
_VG_UUID: Final = 32
_ARRAY: Final = re.compile(r"(/dev/md(?:_d)?[0-9]{1,3}|/dev/md/[^/]+?)(?:p([0-9]{1,3}))?")
_ARRAY_LINKS: Final = ("/dev/disk/by-id/md-name-", "/dev/disk/by-id/md-uuid-")
# What blkid(8) calls a part of something else ends so.
_MEMBER: Final = "_member"


@dataclass(frozen=True, slots=True)
class Storage:
    """What is on the guest's disks, boot disk first.

    `disk_names` are the guest's names of disks, `array_names` those of RAID arrays, each with the
    appliance's name: as far as they are known once the guest's own files are read. `labels` tell
    the files that disks were given as, as far as anybody asked.
    """

    disks: tuple[Disk, ...]
    filesystems: tuple[Filesystem, ...]
    volumes: tuple[Volume, ...]
    groups: tuple[VolumeGroup, ...] = ()
    arrays: tuple[Array, ...] = ()
    disk_names: Mapping[str, str] = field(default_factory=dict)
    array_names: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[tuple[str, str], ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def shown(self, device: str) -> str:
        """Give a disk, or what is on one, as a person knows it: by the file that was given."""
        label = self.labels.get(device.rstrip("0123456789"))
        return f"{label} ({device})" if label else device

    def resolve(self, spec: str) -> str | None:
        """Give the appliance's name for the device that `spec` means in the guest, if any does.

        `spec` is a name as in fstab(5) or on a kernel command line: /dev/sda1, /dev/mapper/vg-lv,
        /dev/vg/lv, /dev/md0, UUID=, LABEL=, PARTUUID=, PARTLABEL= or a link in /dev/disk.
        """
        for prefix, tag in _BY_TAG.items():
            if spec.startswith(prefix):
                return self._tagged(tag, link_name(spec.removeprefix(prefix)))
        tag, equals, value = spec.partition("=")
        if equals and tag.upper() in _BY_TAG.values():
            return self._tagged(tag.upper(), value.strip("\"'"))
        return self._volume(spec) or self._array(spec) or self._on_disk(spec)

    def filesystem(self, device: str) -> Filesystem | None:
        """Give what is on `device` (an appliance name), if anything is known to be there."""
        return next((fs for fs in self.filesystems if fs.device == device), None)

    def _tagged(self, tag: str, value: str) -> str | None:
        for name, device in self._tags(tag):
            same = name.casefold() == value.casefold() if tag.endswith("UUID") else name == value
            if name and same:
                return device
        return None

    def _tags(self, tag: str) -> Iterator[tuple[str, str]]:
        match tag:
            case "UUID":
                yield from ((fs.uuid, fs.device) for fs in self.whole_filesystems())
            case "LABEL":
                yield from ((fs.label, fs.device) for fs in self.whole_filesystems())
            case "PARTUUID":
                yield from ((part.uuid, device) for device, part in self.partitions())
            case "PARTLABEL":
                yield from ((part.name, device) for device, part in self.partitions())

    def whole_filesystems(self) -> Iterator[Filesystem]:
        """Give what is no part of something else, such as an array or a volume group.

        Of a filesystem on several devices the first stands for it.
        """
        seen: dict[tuple[str, str], str] = {}
        for found in self.filesystems:
            key = (found.type, found.uuid)
            if found.type.endswith(_MEMBER) or (
                found.member and seen.get(key, found.member) != found.member
            ):
                continue
            seen.setdefault(key, found.member)
            yield found

    def partitions(self) -> Iterator[tuple[str, Partition]]:
        """Give every partition with the appliance's name for it."""
        for disk in self.disks:
            for partition in disk.partitions:
                yield f"{disk.device}{partition.number}", partition

    def _volume(self, spec: str) -> str | None:
        found = next((volume for volume in self.volumes if names_volume(spec, volume)), None)
        return found.device if found is not None and found.is_active else None

    def _array(self, spec: str) -> str | None:
        for prefix in _ARRAY_LINKS:
            if spec.startswith(prefix):
                return self._linked_array(spec.removeprefix(prefix))
        return self._named_array(spec) or self._array_partition(spec)

    def _linked_array(self, name: str) -> str | None:
        """Give the array of that name or UUID, or its partition."""
        wanted, _, part = name.rpartition("-part")
        for array in self.arrays:
            if _is(array, name):
                return array.device
            device = f"{array.device}p{part}"
            if wanted and _is(array, wanted) and self.filesystem(device) is not None:
                return device
        return None

    def _array_partition(self, spec: str) -> str | None:
        found = _ARRAY.fullmatch(spec)
        if found is None or not found[2]:
            return None
        array = self._named_array(found[1])
        device = f"{array}p{found[2]}"
        return device if array and self.filesystem(device) is not None else None

    def _named_array(self, spec: str) -> str | None:
        """Give the array `spec`: by mdadm.conf, by its own name, or as the only one there is."""
        known = self.array_names
        if spec in known:
            return known[spec]
        found = _ARRAY.fullmatch(spec)
        if found is None:
            return None
        wanted = spec.removeprefix("/dev/md").removeprefix("_d").removeprefix("/")
        free = [array for array in self.arrays if array.device not in known.values()]
        for array in free:
            if array.name.rpartition(":")[2] == wanted:
                return array.device
        numbered = wanted.isdecimal()
        return free[0].device if len(free) == 1 and numbered else None

    def _on_disk(self, spec: str) -> str | None:
        name = names.parse(spec)
        disk = None if name is None else self._disk(name)
        if name is None or disk is None:
            return None
        if not name.partition:
            return disk.device
        there = any(part.number == name.partition for part in disk.partitions)
        return f"{disk.device}{name.partition}" if there else None

    def _disk(self, name: names.DiskName) -> Disk | None:
        known = self.disk_names
        if name.disk in known:
            return next(disk for disk in self.disks if disk.device == known[name.disk])
        if name.place is None:
            return self.disks[0] if len(self.disks) == 1 else None
        disk = self.disks[name.place] if name.place < len(self.disks) else None
        parsed = ((names.parse(other), device) for other, device in known.items())
        taken = {device for other, device in parsed if other and other.family == name.family}
        return disk if disk is not None and disk.device not in taken else None

    def naming(self, uses: Sequence[names.Use], known: Mapping[str, str]) -> Storage:
        """Give the storage with the disks' names that follow from how the guest uses them.

        `known` are devices by a name in the guest that is certain to mean them.
        """
        named = [use for use in uses if names.parse(use.spec)]
        others = ((self.resolve(use.spec), use) for use in uses if not names.parse(use.spec))
        # A Btrfs filesystem is mounted in several places, each a subvolume of it.
        pools = {fs.device for fs in self.filesystems if fs.type == "btrfs"}
        claimed = {device: use.path for device, use in others if device and device not in pools}
        certain = self._certain(known)
        found = names.assign(self.disks, self.filesystems, named, certain, claimed)
        return replace(self, disk_names=found)

    def knowing(self, known: Mapping[str, str]) -> Storage:
        """Give the storage with further names that are certain, and are not known otherwise."""
        found = {**self._certain(known), **self.disk_names}
        return replace(self, disk_names=found)

    def _certain(self, known: Mapping[str, str]) -> dict[str, str]:
        """Give the disks that follow from devices whose names are known."""
        certain = {}
        for spec, device in known.items():
            name = names.parse(spec)
            disk = None if name is None else self._disk_of(device, name.partition)
            if name is not None and disk is not None:
                certain[name.disk] = disk.device
        return certain

    def _disk_of(self, device: str, partition: int) -> Disk | None:
        """Give the disk that `device` is the partition of that number on (0: all of it)."""
        wanted = (f"{disk.device}{partition or ''}" for disk in self.disks)
        return next((d for d, name in zip(self.disks, wanted, strict=True) if name == device), None)

    def naming_arrays(self, configuration: str) -> Storage:
        """Give the storage with the arrays' names that the guest's mdadm.conf gives them."""
        by_uuid = {mdadm.uuid_digits(array.uuid): array.device for array in self.arrays}
        found = [
            (name, by_uuid[uuid]) for name, uuid in mdadm.arrays(configuration) if uuid in by_uuid
        ]
        return replace(self, array_names=dict(found))


def _is(array: Array, wanted: str) -> bool:
    return wanted == array.name or mdadm.uuid_digits(wanted) == mdadm.uuid_digits(array.uuid)


def link_name(name: str) -> str:
    """Give what a link in /dev/disk is named for: udev writes unusual bytes in hexadecimal."""

    def decode(match: re.Match[str]) -> str:
        return bytes.fromhex(match[0].replace("\\x", "")).decode("utf-8", "surrogateescape")

    return _LINK_ESCAPES.sub(decode, name)


def read_storage(machine: BlockDevices) -> Storage:
    """Read what is on the disks of `machine`; nothing is mounted for it.

    Raises `DamagedInputError` when the first disk's partition table makes no sense; such a table
    on another disk is left alone, as Linux does.
    """
    disks, unreadable = _read_disks(machine)
    found = [machine.probe(device) for device in _devices(machine, disks)]
    arrays = machine.arrays() if any(fs.type == RAID_MEMBER for fs in found) else ()
    found += _on_arrays(machine, arrays)
    has_lvm = any(fs.type == LVM_MEMBER for fs in found)
    groups = machine.groups() if has_lvm else ()
    volumes = machine.volumes() if has_lvm else ()
    active = [volume for volume in volumes if volume.is_active]
    found += [
        machine.probe(volume.device) for volume in sorted(active, key=lambda lv: lv.is_snapshot)
    ]
    return Storage(
        disks=disks,
        filesystems=tuple(_with_state(machine, filesystem) for filesystem in found),
        volumes=volumes,
        groups=groups,
        arrays=arrays,
        unreadable=unreadable,
    )


def _read_disks(
    machine: BlockDevices,
) -> tuple[tuple[Disk, ...], tuple[tuple[str, str], ...]]:
    disks: list[Disk] = []
    unreadable: list[tuple[str, str]] = []
    for device, size in machine.devices():
        try:
            disks.append(_read_disk(machine, device, size))
        except FormatError as error:
            if not disks:
                raise first_table_damaged(error) from error
            unreadable.append((device, str(error)))
            disks.append(without_table(device, size))
    return tuple(disks), tuple(unreadable)


def first_table_damaged(error: FormatError) -> DamagedInputError:
    """Make the error for a boot disk whose table makes no sense."""
    repair = (
        "write it anew from the one at the end, in a copy of the disk: gdisk DISK, then r, b and w"
        if isinstance(error, BackupOnlyError)
        else "export the machine again; give the boot disk first; if the machine itself has it so,"
        " put it right there (sfdisk --list --verify DISK)"
    )
    return DamagedInputError(
        "partition-table-damaged",
        f"the partition table of the first disk makes no sense: {error}",
        hint=repair,
    )


def without_table(device: str, size: int) -> Disk:
    """Make a disk of which no partition is known."""
    return Disk(device, size, TableType.NONE, "", boot_code=False, partitions=())


def _read_disk(machine: BlockDevices, device: str, size: int) -> Disk:
    def read(offset: int, length: int) -> bytes:
        return machine.read_device(device, offset=offset, length=length)

    return read_table(read, device=device, size=size)


def _devices(machine: BlockDevices, disks: Iterable[Disk]) -> Iterator[str]:
    """Give the partitions, and the disks without any, by disk."""
    partitions = machine.partitions()
    for disk in disks:
        own = [name for name in partitions if re.fullmatch(r"\d+", name.removeprefix(disk.device))]
        yield from own or [disk.device]


def _on_arrays(machine: BlockDevices, arrays: Iterable[Array]) -> Iterator[Filesystem]:
    for array in arrays:
        own = [name for name in machine.partitions() if name.startswith(f"{array.device}p")]
        yield from (machine.probe(device) for device in own or [array.device])


def _with_state(machine: BlockDevices, filesystem: Filesystem) -> Filesystem:
    """Give `filesystem` with what its own superblock says about its last use."""

    def read(offset: int, length: int) -> bytes:
        return machine.read_device(filesystem.device, offset=offset, length=length)

    try:
        # blkid(8) asks for the metadata of BitLocker as well, elsewhere, and knows no FileVault.
        if filesystem.type in ("", "apfs") and (kind := signatures.encryption(read)):
            return replace(filesystem, type=kind)
        state = superblock.read_state(filesystem.type, read)
    except GuestError:
        return filesystem  # too short for what it claims to be: mounting will tell
    return replace(
        filesystem,
        is_dirty=state.is_dirty,
        has_errors=state.has_errors,
        last_mounted=state.last_mounted,
        devices=state.devices,
    )


def is_kernel_name(spec: str) -> bool:
    """Tell whether `spec` names a disk by the order the kernel found it in (/dev/sda1)."""
    name = names.parse(spec)
    return name is not None and name.place is not None


def names_volume(spec: str, volume: Volume) -> bool:
    """Tell whether `spec` is a name that device mapper or LVM give `volume`."""
    if spec.startswith(_VOLUME_LINK):
        return spec.removeprefix(_VOLUME_LINK)[_VG_UUID:] == volume.uuid != ""
    mapped = next((spec.removeprefix(at) for at in _MAPPED if spec.startswith(at)), None)
    return mapped == volume.mapped or spec == f"/dev/{volume.group}/{volume.name}"


def is_array_name(spec: str) -> bool:
    """Tell whether `spec` names an array by what mdadm(8) calls it on this machine (/dev/md0)."""
    return _ARRAY.fullmatch(spec) is not None
