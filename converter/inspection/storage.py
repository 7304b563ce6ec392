"""Disks, partitions, volumes and filesystems, and which device a name in the guest means.

A guest names its devices as its own hypervisor showed them; the appliance shows the same disks
under other names. `Storage.resolve` is the one place that knows how the two belong together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.disk.table import read_table
from converter.model import TableType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import BlockDevices
    from converter.model import Disk, Filesystem, Partition, Volume

# Kernel names of disks by the bus they were on: SCSI/SATA, IDE, virtio, Xen; then NVMe.
_LETTERED: Final = re.compile(r"/dev/(?:sd|hd|vd|xvd)([a-z]{1,3})(\d*)")
_NVME: Final = re.compile(r"/dev/nvme(\d+)n1(?:p(\d+))?")
_BY_TAG: Final = {
    "/dev/disk/by-uuid/": "UUID",
    "/dev/disk/by-label/": "LABEL",
    "/dev/disk/by-partuuid/": "PARTUUID",
    "/dev/disk/by-partlabel/": "PARTLABEL",
}


@dataclass(frozen=True, slots=True)
class Storage:
    """What is on the guest's disks, boot disk first."""

    disks: tuple[Disk, ...]
    filesystems: tuple[Filesystem, ...]
    volumes: tuple[Volume, ...]

    def resolve(self, spec: str) -> str | None:
        """Give the appliance's name for the device that `spec` means in the guest, if any does.

        `spec` is a name as in fstab(5) or on a kernel command line: /dev/sda1, /dev/mapper/vg-lv,
        /dev/vg/lv, UUID=, LABEL=, PARTUUID=, PARTLABEL= or a link in /dev/disk.
        """
        for prefix, tag in _BY_TAG.items():
            if spec.startswith(prefix):
                return self._tagged(tag, spec.removeprefix(prefix))
        tag, equals, value = spec.partition("=")
        if equals:
            return self._tagged(tag.upper(), value.strip("\"'"))
        return self._volume(spec) or self._numbered(spec)

    def _tagged(self, tag: str, value: str) -> str | None:
        for name, device in self._tags(tag):
            same = name.casefold() == value.casefold() if tag.endswith("UUID") else name == value
            if name and same:
                return device
        return None

    def _tags(self, tag: str) -> Iterator[tuple[str, str]]:
        match tag:
            case "UUID":
                yield from ((fs.uuid, fs.device) for fs in self.filesystems)
            case "LABEL":
                yield from ((fs.label, fs.device) for fs in self.filesystems)
            case "PARTUUID":
                yield from ((part.uuid, device) for device, part in self.partitions())
            case "PARTLABEL":
                yield from ((part.name, device) for device, part in self.partitions())

    def partitions(self) -> Iterator[tuple[str, Partition]]:
        """Give every partition with the appliance's name for it."""
        for disk in self.disks:
            for partition in disk.partitions:
                yield f"{disk.device}{partition.number}", partition

    def _volume(self, spec: str) -> str | None:
        for volume in self.volumes:
            mapped = "-".join(part.replace("-", "--") for part in (volume.group, volume.name))
            if spec in (f"/dev/{volume.group}/{volume.name}", f"/dev/mapper/{mapped}"):
                return volume.device
        return None

    def _numbered(self, spec: str) -> str | None:
        if lettered := _LETTERED.fullmatch(spec):
            index, number = _letters(lettered[1]), lettered[2]
        elif nvme := _NVME.fullmatch(spec):
            index, number = int(nvme[1]), nvme[2] or ""
        else:
            return None
        if index >= len(self.disks):
            return None
        disk = self.disks[index]
        if not number:
            return disk.device
        there = any(part.number == int(number) for part in disk.partitions)
        return f"{disk.device}{number}" if there else None


def _letters(text: str) -> int:
    """Give the index a disk's letters stand for: a = 0, z = 25, aa = 26."""
    index = 0
    for letter in text:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def read_storage(machine: BlockDevices) -> Storage:
    """Read what is on the disks of `machine`; nothing is mounted for it."""
    return Storage(
        disks=tuple(_read_disk(machine, device, size) for device, size in machine.devices()),
        filesystems=machine.filesystems(),
        volumes=machine.volumes(),
    )


def _read_disk(machine: BlockDevices, device: str, size: int) -> Disk:
    def read(offset: int, length: int) -> bytes:
        return machine.read_device(device, offset=offset, length=length)

    return read_table(read, device=device, size=size)


def is_kernel_name(spec: str) -> bool:
    """Tell whether `spec` names a disk by the order the kernel found it in (/dev/sda1)."""
    return bool(_LETTERED.fullmatch(spec) or _NVME.fullmatch(spec))


def has_table(disk: Disk) -> bool:
    """Tell whether `disk` is partitioned."""
    return disk.table is not TableType.NONE
