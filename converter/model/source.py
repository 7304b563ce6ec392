"""What was given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model.finding import Finding


class ContainerFormat(StrEnum):
    """What the given file is, by its own bytes."""

    OVA = "ova"
    OVF = "ovf"
    RAW = "raw"
    COMPRESSED_RAW = "compressed-raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"
    VDI = "vdi"


class DiskFormat(StrEnum):
    """The format of one disk; the values are the names users know, not qemu's."""

    RAW = "raw"
    VMDK = "vmdk"
    VHD = "vhd"
    VHDX = "vhdx"
    QCOW2 = "qcow2"
    VDI = "vdi"


@dataclass(frozen=True, slots=True)
class ByteRange:
    """A stretch of a host file: a whole file, or a member of an OVA where it lies."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Extent:
    """One piece of a disk that is stored in several files (VMDK); sizes in 512-byte sectors.

    `kind` is the VMDK extent type: FLAT, VMFS, SPARSE or ZERO (no file).
    """

    kind: str
    sectors: int
    file: ByteRange | None = None
    file_offset: int = 0


@dataclass(frozen=True, slots=True)
class SourceDisk:
    """One disk of the source, its headers read and found sound.

    `subformat` is the format's own word (streamOptimized, fixed, dynamic, …), "" if it has none.
    `extents` is empty unless the disk's data is in other files than `file`. `was_compressed` tells
    whether it was given compressed as a whole, and `file` is what came of it.
    """

    label: str
    format: DiskFormat
    subformat: str
    virtual_size: int
    file: ByteRange
    extents: tuple[Extent, ...] = ()
    was_compressed: bool = False


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file as the manifest (`.mf`) `manifest` lists it: with a digest, in hexadecimal."""

    manifest: str
    name: str
    file: ByteRange
    algorithm: str
    digest: str


@dataclass(frozen=True, slots=True)
class Source:
    """The virtual machine as it was given: its container and its disks, boot disk first.

    `listed` are the files whose digests are still to be verified.
    """

    paths: tuple[Path, ...]
    format: ContainerFormat
    disks: tuple[SourceDisk, ...]
    findings: tuple[Finding, ...] = ()
    listed: tuple[ListedFile, ...] = ()

    @property
    def virtual_size(self) -> int:
        """The sum of the disks' sizes as the guest sees them."""
        return sum(disk.virtual_size for disk in self.disks)
