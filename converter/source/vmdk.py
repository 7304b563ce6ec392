"""VMDK: which kind a file is, and opening it as one disk.

A sparse extent that holds its own descriptor is a disk by itself (`vmdk_sparse`); a descriptor file
(`vmdk_descriptor`) names extents, which are opened only in its own directory. Children of other
disks, raw device mappings and the formats of ESX's snapshots are refused.
"""

from __future__ import annotations

import posixpath
import sys
from typing import TYPE_CHECKING, Final

from converter.errors import Faults, GuestRefusedError
from converter.model import ByteRange, DiskFormat, Extent, SourceDisk
from converter.source import vmdk_descriptor as descriptors
from converter.source import vmdk_sparse as sparse
from converter.source.reader import Reader, damaged, size_zero, truncated
from converter.source.vmdk_sparse import SECTOR

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.source.vmdk_descriptor import Descriptor, ExtentLine
    from converter.source.vmdk_sparse import SparseHeader

UNSUPPORTED: Final = "Disk validation failed [Unsupported VMDK File Format]"
_COWD: Final = b"COWD"
_SESPARSE: Final = 0xCAFEBABE.to_bytes(8, "little")
_NO_PARENT: Final = "ffffffff"
_MAPPINGS: Final = ("vmfsrawdevicemap", "vmfspassthroughrawdevicemap", "vmfsrdm", "vmfsrdmp",
                    "vmfsraw", "fulldevice", "partitioneddevice")  # fmt: skip
# What QEMU looks for, anywhere in a descriptor.
_PARENT_HINT: Final = "parentfilenamehint"
_ENCRYPTING_FILTER: Final = "vmwarevmcrypt"
_DESCRIPTOR: Final = "give the descriptor, the small .vmdk file, with all its extents beside it"


def is_vmdk(head: bytes) -> bool:
    """Tell whether a file that begins with `head` is a VMDK of any kind."""
    return head.startswith((sparse.MAGIC, _COWD, _SESPARSE)) or descriptors.is_descriptor(head)


def open_vmdk(reader: Reader, find: Callable[[str], ByteRange]) -> SourceDisk:
    """Read a VMDK and check it; `find` gives the file of a name beside it, or raises."""
    head = reader.head(SECTOR)
    if head.startswith(_SESPARSE):
        raise _sesparse(reader.name)
    if head.startswith(_COWD):
        raise GuestRefusedError(
            "vmdk-child",
            f"{reader.name}: is a vmfsSparse VMDK, a snapshot of ESX",
            hint="consolidate the machine's snapshots and export it again",
            service_message=UNSUPPORTED,
        )
    if head.startswith(sparse.MAGIC):
        return _open_sparse(reader)
    return _open_descriptor(reader, find)


def _open_sparse(reader: Reader) -> SourceDisk:
    """Read a sparse extent that is a whole disk by itself."""
    header = sparse.read_header(reader)
    text = sparse.embedded_descriptor(reader, header)
    if not text:
        raise damaged(
            "vmdk-extent",
            reader.name,
            "is an extent without a descriptor",
            hint=_DESCRIPTOR,
        )
    descriptor = descriptors.parse(reader.name, text)
    _refuse_unsupported(reader.name, text + sparse.searched_by_qemu(reader), descriptor)
    if len(descriptor.extents) > 1:
        raise damaged("vmdk-extent", reader.name, "is one extent of several", hint=_DESCRIPTOR)
    header = sparse.with_footer(reader, header)
    sectors = _sectors(reader, header, descriptor)
    sparse.check_tables(reader, header)
    return SourceDisk(
        reader.label, DiskFormat.VMDK, _subformat(header, descriptor), sectors * SECTOR, reader.file
    )


def _subformat(header: SparseHeader, descriptor: Descriptor) -> str:
    """Give what it is, by the header: a descriptor may say streamOptimized of any."""
    if header.is_compressed:
        return "streamOptimized"
    said = descriptor.create_type
    return said if said and said != "streamOptimized" else "monolithicSparse"


def _sectors(reader: Reader, header: SparseHeader, descriptor: Descriptor) -> int:
    """Give the size of the disk: the header's may be rounded up to grains (VirtualBox does)."""
    said = descriptor.extents[0].sectors if descriptor.extents else header.capacity
    if header.capacity == 0 or said == 0:
        raise size_zero(reader.name)
    if not header.capacity - header.grain < said <= header.capacity:
        raise damaged(
            "vmdk-extent",
            reader.name,
            f"has {header.capacity} sectors by its header, and {said} by its descriptor",
        )
    return said


def _open_descriptor(reader: Reader, find: Callable[[str], ByteRange]) -> SourceDisk:
    """Read a descriptor file and check every extent it names."""
    if reader.length > descriptors.LIMIT:
        raise damaged("vmdk-descriptor", reader.name, f"a descriptor of {reader.length} bytes")
    text = reader.read(0, reader.length)
    descriptor = descriptors.parse(reader.name, text)
    _refuse_unsupported(reader.name, text, descriptor)
    descriptors.check_complete(reader.name, descriptor)
    _refuse_doubles(reader.name, descriptor)
    last = len(descriptor.extents) - 1
    extents: list[Extent] = []
    faults = Faults()
    for number, line in enumerate(descriptor.extents):
        with faults.kept():
            extents.append(_extent(reader.name, line, find, is_last=number == last))
    faults.raise_all()
    size = sum(extent.sectors for extent in extents) * SECTOR
    if size == 0:
        raise size_zero(reader.name)
    said = descriptor.create_type
    # A stream is one file, which has its descriptor within.
    kind = said if said and said.lower() != "streamoptimized" else "custom"
    return SourceDisk(reader.label, DiskFormat.VMDK, kind, size, reader.file, tuple(extents))


def _refuse_doubles(name: str, descriptor: Descriptor) -> None:
    """Raise `DamagedInputError` when two extents are the same file, or the same part of it.

    A sparse one has tables for one extent, and a small file is no large disk.
    """
    ends: dict[str, int] = {}
    for line in sorted(descriptor.extents, key=lambda line: line.offset):
        kind, file = line.kind.upper(), posixpath.normpath(line.file)
        if kind == "ZERO":
            continue
        if line.offset < ends.get(file, 0):
            raise damaged("vmdk-extent", name, f"names the extent {line.file!r} more than once")
        ends[file] = sys.maxsize if kind == "SPARSE" else line.offset + line.sectors


def _extent(
    name: str, line: ExtentLine, find: Callable[[str], ByteRange], *, is_last: bool
) -> Extent:
    kind = line.kind.upper()
    if kind == "ZERO":
        return Extent(kind, line.sectors)
    if kind not in ("FLAT", "VMFS", "SPARSE") or line.access == "NOACCESS":
        raise damaged("vmdk-extent", name, f"an extent of the unknown type {line.access} {kind}")
    file = find(line.file)
    if kind == "SPARSE":
        _check_sparse_extent(Reader(file, name=f"{name}: {line.file}"), line, is_last=is_last)
    elif (line.offset + line.sectors) * SECTOR > file.length:
        raise truncated(f"{name}: {line.file}", (line.offset + line.sectors) * SECTOR, file.length)
    return Extent(kind, line.sectors, file, line.offset * SECTOR)


def _check_sparse_extent(opened: Reader, line: ExtentLine, *, is_last: bool) -> None:
    with opened as reader:
        header = sparse.read_header(reader)
        text = sparse.embedded_descriptor(reader, header)
        if text:
            _refuse_unsupported(reader.name, text, descriptors.parse(reader.name, text))
        # QEMU takes the footer's place from the size of the descriptor's file.
        if header.directory == sparse.GD_AT_END:
            raise damaged("vmdk-extent", reader.name, "is a stream, and so a whole disk by itself")
        if header.capacity == 0:
            raise size_zero(reader.name)
        # QEMU goes by the header: a rounded capacity would move the extents that follow.
        rounded = line.sectors < header.capacity < line.sectors + header.grain
        if header.capacity != line.sectors and not (rounded and is_last):
            raise damaged(
                "vmdk-extent",
                reader.name,
                f"has {header.capacity} sectors, and {line.sectors} by the descriptor",
            )
        # QEMU reads on in the last grain, where the extent that follows begins.
        if not is_last and header.capacity % header.grain:
            raise damaged(
                "vmdk-extent",
                reader.name,
                f"ends within a grain: it has {header.capacity} sectors, and others follow",
            )
        sparse.check_tables(reader, header)


def _refuse_unsupported(name: str, text: bytes, descriptor: Descriptor) -> None:
    """Raise `GuestRefusedError` with every reason why a disk is not complete in itself."""
    kinds = {descriptor.create_type.lower(), *(line.kind.lower() for line in descriptor.extents)}
    faults = Faults()
    mapping = next((word for word in _MAPPINGS if word in kinds), None)
    if mapping is not None:
        faults.add(
            GuestRefusedError(
                "vmdk-rdm",
                f"{name}: is a raw device mapping ({mapping}); the data is on a device of the old"
                " host",
                hint="copy the data there: vmkfstools -i (ESXi), vmware-vdiskmanager -r, or"
                " VBoxManage clonemedium",
                service_message=UNSUPPORTED,
            )
        )
    if "sesparse" in kinds:
        faults.add(_sesparse(name))
    if _is_encrypted(descriptor):
        faults.add(
            GuestRefusedError(
                "encrypted-disk",
                f"{name}: is encrypted by VMware",
                hint="decrypt it there (vSphere: VM Policies, Edit VM Storage Policies;"
                " Workstation: VM Settings, Options, Access Control) and export the machine again",
            )
        )
    parent = descriptor.settings.get("parentcid", _NO_PARENT).lower()
    hinted = _PARENT_HINT.encode() in text.lower()
    if parent != _NO_PARENT or hinted or "vmfssparse" in kinds:
        faults.add(
            GuestRefusedError(
                "vmdk-child",
                f"{name}: is a snapshot of another disk"
                f" ({descriptor.settings.get(_PARENT_HINT, 'parent not named')})",
                hint="consolidate the machine's snapshots and export it again",
                service_message=UNSUPPORTED,
            )
        )
    faults.raise_all()


def _is_encrypted(descriptor: Descriptor) -> bool:
    """Tell whether a descriptor has the keys of encrypted data, or ESX's filter that encrypts."""
    settings = descriptor.settings
    is_filtered = _ENCRYPTING_FILTER in settings.get("ddb.iofilters", "").lower()
    return is_filtered or any(key.startswith("encryption") for key in settings)


def _sesparse(name: str) -> GuestRefusedError:
    return GuestRefusedError(
        "vmdk-sesparse",
        f"{name}: is a seSparse VMDK, a snapshot of ESX",
        hint="consolidate the machine's snapshots and export it again",
        service_message=UNSUPPORTED,
    )
