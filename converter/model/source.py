"""What was given."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.model.finding import Finding

# URLs begin so, as a path of the file system is written.
URLS: Final = ("s3:/", "http:/", "https:/")


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
    """A stretch of a host file: a whole file, or a member of an OVA where it lies.

    Or several stretches, `chunks`, that follow each other, of a file that was cut: then `path` is
    that of the first, and `offset` 0.
    """

    path: Path
    offset: int
    length: int
    chunks: tuple[ByteRange, ...] = ()

    @property
    def parts(self) -> tuple[ByteRange, ...]:
        """The stretches that it is made of, which have no chunks themselves."""
        return self.chunks or (self,)

    def part(self, offset: int, length: int) -> ByteRange:
        """Give the `length` bytes at `offset` of it."""
        if not self.chunks:
            return ByteRange(self.path, self.offset + offset, length)
        found: list[ByteRange] = []
        for chunk in self.chunks:
            first, end = max(offset, 0), min(offset + length, chunk.length)
            if first < end:
                found.append(chunk.part(first, end - first))
            offset -= chunk.length
        return joined(found)


def joined(chunks: Sequence[ByteRange]) -> ByteRange:
    """Give the file that was cut into `chunks`, at least one."""
    if len(chunks) == 1:
        return chunks[0]
    return ByteRange(chunks[0].path, 0, sum(chunk.length for chunk in chunks), tuple(chunks))


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

    `listed` are the files whose digests are still to be verified, `chunked` the names of disks that
    are cut into several files.
    """

    paths: tuple[Path, ...]
    format: ContainerFormat
    disks: tuple[SourceDisk, ...]
    findings: tuple[Finding, ...] = ()
    listed: tuple[ListedFile, ...] = ()
    chunked: tuple[str, ...] = ()

    @property
    def virtual_size(self) -> int:
        """The sum of the disks' sizes as the guest sees them."""
        return sum(disk.virtual_size for disk in self.disks)
