"""Machines in memory whose disks hold what a test says, to find and mount systems on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from converter.errors import GuestError
from converter.guest.memory import MemoryGuest, Node
from converter.guest.protocol import Code
from converter.model import Array, FileKind, Filesystem, VolumeGroup
from tests.guests.disks import MIB, Part, make_disk
from tests.guests.machine import Device, Machine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converter.model import Volume
    from tests.guests.disks import SparseDisk

Files = dict[str, bytes | str | Node]
LINK = FileKind.SYMLINK
_PART = 16 * MIB


class Lab(Machine):
    """A machine with arrays and groups too, and with filesystems that cannot be mounted."""

    arrays_there: Sequence[Array] = ()
    groups_there: Sequence[VolumeGroup] | None = None
    broken: Sequence[str] = ()

    def __init__(
        self,
        disks: Mapping[str, SparseDisk],
        devices: Sequence[Device],
        volumes: Sequence[Volume],
    ) -> None:
        super().__init__(disks, devices, volumes)
        self.mounted: list[tuple[str, str, str]] = []

    def arrays(self) -> tuple[Array, ...]:
        return tuple(self.arrays_there)

    def groups(self) -> tuple[VolumeGroup, ...]:
        return super().groups() if self.groups_there is None else tuple(self.groups_there)

    def mount(self, device: str, path: str, *, options: str) -> None:
        if device in self.broken:
            raise GuestError(Code.FAILED, f"{device}: wrong fs type, bad superblock")
        super().mount(device, path, options=options)
        self.mounted.append((device, path, options))


def link(target: str) -> Node:
    return Node(LINK, target.encode())


def system(fstab: str | bytes | Node | None, extra: Mapping[str, bytes | str | Node] = {}) -> Files:
    """Give the files of a small system with that fstab."""
    files: Files = {
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "/bin": link("usr/bin"),
        "/usr/bin/sh": "",
        **extra,
    }
    return files if fstab is None else {"/etc/fstab": fstab, **files}


def empty(*directories: str) -> Files:
    return {path: Node(FileKind.DIRECTORY, mode=0o755) for path in directories}


def holds(
    kind: str,
    uuid: str = "",
    files: Mapping[str, bytes | str | Node] = {},
    label: str = "",
    **more: object,
) -> Device:
    """Give a filesystem (of a device that is named later) with files."""
    subvolumes = more.pop("subvolumes", {})
    default = more.pop("default", "")
    found = replace(Filesystem("", kind, uuid, label), **more)  # type: ignore[arg-type]
    return Device(found, MemoryGuest(files)._nodes, subvolumes, default)  # type: ignore[arg-type]


def lab(
    *disks: Sequence[Device] | Device,
    on: Mapping[str, Device] = {},
    volumes: Sequence[Volume] = (),
    arrays: Sequence[Array] = (),
    groups: Sequence[VolumeGroup] | None = None,
    broken: Sequence[str] = (),
) -> Lab:
    """Give a machine: of each disk its partitions, or what is on all of it; `on` is what volumes
    and arrays hold, by device."""
    made, devices = {}, []
    for number, content in enumerate(disks):
        name = f"/dev/sd{chr(ord('a') + number)}"
        parts = [content] if isinstance(content, Device) else list(content)
        has_table = not isinstance(content, Device)
        made[name] = make_disk(
            table="mbr" if has_table else "",
            size=_PART * (len(parts) + 2),
            signature=0x1000 + number,
            parts=[Part(n, _PART * n, _PART, "83", "") for n in range(1, len(parts) + 1)]
            if has_table
            else [],
            boot="",
        )
        for n, part in enumerate(parts, start=1):
            device = f"{name}{n}" if has_table else name
            devices.append(replace(part, found=replace(part.found, device=device)))
    for device, part in on.items():
        devices.append(replace(part, found=replace(part.found, device=device)))
    machine = Lab(made, devices, volumes)
    machine.arrays_there, machine.groups_there, machine.broken = arrays, groups, broken
    return machine
