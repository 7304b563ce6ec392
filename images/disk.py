"""The disks of a guest, filled in libguestfs' appliance.

Partitions, arrays, volumes and filesystems are made there by the usual tools, whatever the host's
own kernel can do, and the guest's own boot loader installs itself onto disks that are its own
(`bootloader`).
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Final

from converter import process
from images import appliance, bootloader
from images.appliance import here
from images.cache import disk_name
from images.recipe import bytes_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from images.recipe import Array, Disk, Filesystem, Group, Recipe

_DISK_ID: Final = "0xc0ffee{:02x}"
_GPT_ID: Final = "C0FFEE12-5B5E-4B5C-9D5B-7D1C0FFE{:02X}{:02X}"
_TREE: Final = "/sysroot"


def make(recipe: Recipe, files: Path, directory: Path) -> None:
    """Make the disks of `recipe` in `directory`, with the guest's `files` (a tar) on them."""
    disks = []
    for number, disk in enumerate(recipe.disks):
        disks.append(directory / disk_name(number))
        _partition(disk, number, disks[-1])
    appliance.run("\n".join(_script(recipe)), [*disks, files])


def _partition(disk: Disk, number: int, image: Path) -> None:
    """Make a sparse image with a partition table; all that has an identifier has a known one."""
    with image.open("wb") as file:
        file.truncate(bytes_of(disk.size))
    if not disk.table:
        return
    gpt = disk.table == "gpt"
    identifier = _GPT_ID.format(number, 0) if gpt else _DISK_ID.format(0x12 + number)
    lines = [f"label: {'gpt' if gpt else 'dos'}", f"label-id: {identifier}"]
    for order, partition in enumerate(disk.partitions, start=1):
        fields = [f"type={partition.type}"]
        fields += [f"size={partition.size}iB"] if partition.size else []
        fields += ["bootable"] if partition.active else []
        if gpt:
            fields += [f'name="{partition.name}"', f"uuid={_GPT_ID.format(number, order)}"]
        # sfdisk takes the number from the end of the device's name.
        lines.append(f"p{partition.number or order}: {', '.join(fields)}")
    process.run(["sfdisk", "--quiet", str(image)], stdin="\n".join(lines).encode())


def _script(recipe: Recipe) -> Iterator[str]:
    yield "set -eu"
    yield from map(_array, recipe.arrays)
    for group in recipe.groups:
        yield from _group(group)
    for filesystem in recipe.filesystems:
        yield from _filesystem(filesystem)
    yield from _mounts(recipe.filesystems)
    yield f"tar -C {_TREE} -xpf {here(appliance.disk_device(len(recipe.disks)))}"
    yield f"for name in dev proc sys; do mount --bind /$name {_TREE}/$name; done"
    yield f"chroot {_TREE} sh -euc {shlex.quote(bootloader.script(recipe))}"
    yield f"umount -R {_TREE}"
    for group in recipe.groups:
        yield f"vgchange -an {group.name}"
    for array in recipe.arrays:
        yield f"mdadm --stop {array.device}"


def _array(array: Array) -> str:
    return (
        f"mdadm --create {array.device} --run --assume-clean --level=1 --homehost=any"
        f" --metadata={array.metadata} --name={array.name} --uuid={array.uuid}"
        f" --raid-devices={len(array.members)} {_all_here(array.members)}"
    )


def _group(group: Group) -> Iterator[str]:
    yield f"vgcreate {group.name} {_all_here(group.members)}"
    for name, size in group.volumes.items():
        amount = f"-L {size}" if size else "-l 100%FREE"
        yield f"lvcreate -y -an -Zn -Wn -n {name} {amount} {group.name}"
    yield f"vgchange -ay {group.name}"


def _all_here(devices: Sequence[str]) -> str:
    return " ".join(map(here, devices))


def _filesystem(filesystem: Filesystem) -> Iterator[str]:
    uuid, device = filesystem.uuid, here(filesystem.device)
    options = " ".join(filesystem.options)
    match filesystem.type:
        case "swap":
            yield f"mkswap -U {uuid} {options} {device}"
        case "vfat":
            yield f"mkfs.vfat -i {uuid.replace('-', '')} {options} {device}"
        case "xfs":
            yield f"mkfs.xfs -q -f -m uuid={uuid} {options} {device}"
        case "btrfs":
            yield f"mkfs.btrfs -q -f -U {uuid} {options} {device}"
            yield f"mount {device} {_TREE}"
            for name in filesystem.subvolumes.values():
                yield f"btrfs subvolume create {_TREE}/{name}"
            yield f"umount {_TREE}"
        case kind:
            yield f"mkfs.{kind} -q -F -U {uuid} {options} {device}"


def _mounts(filesystems: Sequence[Filesystem]) -> Iterator[str]:
    """Mount everything where the guest has it, the outermost first."""
    mounts = []
    for filesystem in filesystems:
        subvolumes = [(path, f"-o subvol={name} ") for path, name in filesystem.subvolumes.items()]
        plain = [(filesystem.mount, "")] if filesystem.mount else []
        device = here(filesystem.device)
        mounts += [(path, f"{options}{device}") for path, options in subvolumes or plain]
    for path, what in sorted(mounts):
        yield f"mkdir -p {_TREE}{path} && mount {what} {_TREE}{path}"
