"""Recipes: what a guest is made of (`recipes/*.toml`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec


@dataclass(frozen=True)
class Partition:
    """A partition: its type (an MBR byte or a GPT GUID), what is on it, where it is mounted."""

    type: str
    size: str
    filesystem: str = ""
    uuid: str = ""
    mount: str = ""
    active: bool = False
    name: str = ""


@dataclass(frozen=True)
class Initramfs:
    """The modules that the initramfs is built with, and nothing else."""

    modules: list[str]
    compress: str = "zstd"


@dataclass(frozen=True)
class GrubProbe:
    """What grub-probe would say on the machine that the guest comes from."""

    device: str
    fs: str
    fs_uuid: str
    partuuid: str
    partmap: str
    drive: str
    hints_string: str


@dataclass(frozen=True)
class Recipe:
    """A guest. `controller` is the disk controller (ide, ahci) that it does boot from."""

    suite: str
    size: str
    table: str
    firmware: list[str]
    controller: str
    packages: list[str]
    partitions: list[Partition]
    initramfs: Initramfs
    grub_probe: GrubProbe
    data_files: int = 0
    enable: list[str] = field(default_factory=list)
    grub_environment: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


def path(name: str) -> Path:
    """Give the file of the recipe `name`."""
    return Path(__file__).parent / "recipes" / f"{name}.toml"


def load(name: str) -> Recipe:
    """Read the recipe `name`."""
    return msgspec.toml.decode(path(name).read_bytes(), type=Recipe)


def bytes_of(size: str) -> int:
    """Give a size like 256M in bytes."""
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(size[:-1]) * units[size[-1]]
