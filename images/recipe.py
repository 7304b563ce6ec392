"""Recipes: what a guest is made of (`recipes/*.toml`).

Disks are attached as /dev/sda, /dev/sdb, …; everything else refers to their partitions, and to the
arrays and volumes on them, by the names the guest's kernel gives them there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

import msgspec

_HERE: Final = Path(__file__).parent / "recipes"
# Partition types by sfdisk(8)'s names for them, which are the same for both tables.
_TYPES: Final = {
    "linux": "L", "swap": "S", "esp": "U", "lvm": "V", "raid": "R", "extended": "E",
    "bios-boot": "21686148-6449-6E6F-744E-656564454649",
}  # fmt: skip


class Loader(StrEnum):
    """What starts the kernel, and from which files it knows the kernels."""

    GRUB = "grub"
    GRUB_BLS = "grub-bls"
    GRUB_LEGACY = "grub-legacy"
    SYSTEMD_BOOT = "systemd-boot"


class Generator(StrEnum):
    """What makes the initramfs."""

    INITRAMFS_TOOLS = "initramfs-tools"
    DRACUT = "dracut"


@dataclass(frozen=True)
class Partition:
    """A partition: of a kind in `_TYPES`; without `size` it takes the rest of its container.

    `number` is needed for a logical one (5, …): the others are counted.
    """

    kind: str = "linux"
    number: int = 0
    size: str = ""
    active: bool = False
    name: str = ""

    @property
    def type(self) -> str:
        """The partition's type as sfdisk(8) takes it."""
        return _TYPES[self.kind]


@dataclass(frozen=True)
class Disk:
    """A disk of the machine; `table` is "mbr", "gpt", or "" for a disk without partitions."""

    size: str
    table: str
    partitions: list[Partition] = field(default_factory=list)


@dataclass(frozen=True)
class Array:
    """An md RAID 1."""

    device: str
    members: list[str]
    uuid: str
    name: str
    metadata: str = "1.2"


@dataclass(frozen=True)
class Group:
    """An LVM volume group: its physical volumes, and the sizes of its logical ones."""

    name: str
    members: list[str]
    volumes: dict[str, str]


@dataclass(frozen=True)
class Filesystem:
    """What is on a device, and where the guest has it mounted ("" for swap).

    `subvolumes` are those of a Btrfs, by where they are mounted; `options` are mkfs'.
    """

    device: str
    type: str
    uuid: str = ""
    mount: str = ""
    options: list[str] = field(default_factory=list)
    subvolumes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Initramfs:
    """The modules that the initramfs is built with, and nothing else."""

    modules: list[str]
    generator: Generator = Generator.INITRAMFS_TOOLS
    compress: str = "zstd"


@dataclass(frozen=True)
class Boot:
    """How the guest is started: BIOS from `disks`, UEFI; `fallback` is a copy in EFI/BOOT.

    `arguments` are the kernel's, for a loader that does not find them out for itself.
    """

    firmware: list[str]
    loader: Loader = Loader.GRUB
    disks: list[str] = field(default_factory=lambda: ["/dev/sda"])
    arguments: str = ""
    fallback: bool = False
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A guest. `controller` is the disk controller (ide, ahci) that it does boot from.

    `packages` are those it has besides its suite's base; `private_files` only root may read. With
    "rpm" as its `package_manager` it knows nothing of dpkg, and has an empty rpm database.
    """

    suite: str
    controller: str
    boot: Boot
    packages: list[str]
    disks: list[Disk]
    filesystems: list[Filesystem]
    initramfs: Initramfs
    arrays: list[Array] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    enable: list[str] = field(default_factory=list)
    package_manager: str = "dpkg"
    data_files: int = 0
    files: dict[str, str] = field(default_factory=dict)
    private_files: dict[str, str] = field(default_factory=dict)


def names() -> list[str]:
    """Give the names of all recipes."""
    return sorted(path.stem for path in _HERE.glob("*.toml"))


def path(name: str) -> Path:
    """Give the file of the recipe `name`."""
    return _HERE / f"{name}.toml"


def load(name: str) -> Recipe:
    """Read the recipe `name`."""
    return msgspec.toml.decode(path(name).read_bytes(), type=Recipe)


def bytes_of(size: str) -> int:
    """Give a size like 256M in bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(size[:-1]) * units[size[-1]]
