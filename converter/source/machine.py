"""Whole machines: an OVA, or an OVF with its files beside it.

What is wrong with one disk, or with the manifest, does not keep the other disks from being opened:
it is kept in `Faults`, and the disk's place stays empty.

The disks are opened in the machine's order. What an OVF or its manifest names is looked for in the
archive, or in the OVF's own directory, and nowhere else. What the manifest says of whole files is
not verified here: that takes its time, and what is refused should be so at once.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from converter.errors import DamagedInputError, GuestRefusedError
from converter.model import DiskFormat, Finding, Severity, joined
from converter.source import manifest, ova, ovf, vmdk
from converter.source.overlay import SECTOR
from converter.source.probe import beside, detect, leads_away, open_disk
from converter.source.reader import Reader, damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.errors import Faults
    from converter.model import ByteRange, ListedFile, SourceDisk
    from converter.source.ovf import DiskReference

    Find = Callable[[str], ByteRange]

CHUNKED: Final = (
    "Disk validation failed [OVF file parsing error: OVA with chunked disk files is not supported]"
)
"""What the service says of disks that are cut into several files."""
# Beside an OVF each is a file of its own that is kept open, by QEMU as well.
_MOST_CHUNKS: Final = 500


@dataclass(frozen=True, slots=True)
class Opened:
    """A machine's disks, None for one that is no good; what to say of it, and what to verify.

    `chunked` are the names of files that are cut.
    """

    disks: list[SourceDisk | None]
    findings: list[Finding]
    chunked: tuple[str, ...]
    listed: tuple[ListedFile, ...] = ()


def open_ova(reader: Reader, faults: Faults, *, work: Path | None) -> Opened:
    """Open the disks of an OVA."""
    if ova.first_name(reader) == "ova.xml":
        raise GuestRefusedError(
            "container-xva",
            f"{reader.name}: is an XVA, XenServer's own format",
            hint="export the machine as OVF/OVA, with its disks as VHD",
        )
    members = ova.members(reader)
    descriptors = [name for name in members if name.lower().endswith(".ovf")]
    if len(descriptors) != 1:
        raise DamagedInputError(
            "ova-no-ovf",
            f"{reader.name}: holds {len(descriptors)} OVF descriptors, not one",
            hint="an OVA has one; from any other archive, unpack the disks and give them",
        )
    [descriptor] = descriptors

    def find(name: str) -> ByteRange:
        plain = name.removeprefix("./")
        if "/" in plain or plain in ("", ".", ".."):
            raise leads_away(reader.name, name)
        if plain not in members:
            raise DamagedInputError(
                "member-missing",
                f"{reader.name}: has no member {name!r}, which its OVF or manifest names",
                hint="the archive is incomplete: export the machine again",
            )
        return members[plain]

    listed: list[ListedFile] = []
    for name in members:
        if name.lower().endswith(".mf"):
            with faults.kept(), Reader(members[name], name=f"{reader.name}: {name}") as lines:
                listed += manifest.parse(lines, partial(_found, find), faults)
    with Reader(members[descriptor], name=f"{reader.name}: {descriptor}") as text:
        opened = _open_disks(text, find, faults, work=work, archive=reader.name)
    return replace(opened, listed=tuple(listed))


def open_ovf(reader: Reader, faults: Faults, *, work: Path | None) -> Opened:
    """Open the disks that lie beside a bare .ovf."""
    path = reader.file.path

    def find(name: str) -> ByteRange:
        return beside(path, name.removeprefix("./"))

    listed: tuple[ListedFile, ...] = ()
    beside_it = path.with_suffix(".mf")
    if os.path.isfile(beside_it):  # noqa: PTH113 - for a name that is too long, Path raises
        with faults.kept(), Reader(find(beside_it.name), name=str(beside_it)) as lines:
            listed = manifest.parse(lines, partial(_found, find), faults)
    return replace(_open_disks(reader, find, faults, work=work, archive=""), listed=listed)


def _open_disks(
    reader: Reader, find: Find, faults: Faults, *, work: Path | None, archive: str
) -> Opened:
    if reader.length > ovf.LIMIT:
        raise damaged("ovf-invalid", reader.name, f"an OVF of {reader.length} bytes")
    machine = ovf.parse(reader.name, reader.read(0, reader.length), faults)
    findings = [_unattached(reader.name, identifier) for identifier in machine.unattached]
    references = []
    for reference in machine.disks:
        if reference is not None and not reference.href:
            findings.append(_blank(reader.name, reference.identifier))
        else:
            references.append(reference)
    disks: list[SourceDisk | None] = [None] * len(references)
    # What has to be unpacked comes last.
    packed = [reference is not None and bool(reference.compression) for reference in references]
    for number in sorted(range(len(references)), key=packed.__getitem__):
        reference = references[number]
        with faults.kept():
            if reference is not None and not (packed[number] and faults.errors):
                disks[number] = _open_disk(reference, find, reader.name, work=work, archive=archive)
    if not disks:
        raise GuestRefusedError(
            "ovf-no-disk",
            f"{reader.name}: the machine has no disk with anything on it",
            hint="export it with its disks",
        )
    cut = (item for item in machine.disks if item is not None and item.chunk_size)
    return Opened(disks, findings, tuple(item.href for item in cut))


def _open_disk(
    reference: DiskReference, find: Find, descriptor: str, *, work: Path | None, archive: str
) -> SourceDisk:
    href = reference.href
    file = _file(reference, descriptor, find)
    name = f"{archive}: {href}" if archive else str(file.path)
    with Reader(file, name=name) as member:
        ending = "" if reference.compression else Path(href).suffix.lower()
        form = detect(member, claimed=ending)
        disk = open_disk(member, form, work=work, find=find)
    if disk.format is DiskFormat.RAW and not disk.was_compressed and file.length < reference.size:
        # All others tell by themselves that they were cut off.
        what = f"has {file.length} bytes, and {reference.size} by the OVF"
        raise damaged("truncated", name, what, hint="the file was cut off: copy or export it again")
    if any(chunk.length % SECTOR for chunk in disk.file.chunks[:-1]):
        what = f"is cut into files that are no whole sectors of {SECTOR} bytes"
        raise _unreadable_chunks(f"{descriptor}: the disk {href!r} {what}")
    if archive and any(extent.kind == "SPARSE" for extent in disk.extents):
        # QEMU has no way to be told of parts of a file for those in a VMDK's descriptor.
        raise GuestRefusedError(
            "ova-split-vmdk",
            f"{name}: is a VMDK in several extents inside an OVA",
            hint="unpack the OVA (tar -x) and give the VMDK's descriptor; under --policy aws make"
            " the OVA anew: ovftool NAME.vmx NAME.ova",
            service_message=vmdk.UNSUPPORTED,
        )
    return disk


def _file(reference: DiskReference, name: str, find: Find) -> ByteRange:
    """Give the file of a disk, put together if it is in chunks; `name` is the OVF's.

    Raises `DamagedInputError` ``ova-chunk-size``, `GuestRefusedError` ``ova-chunks`` for more
    chunks than can be open at once.
    """
    if not reference.chunk_size:
        return _found(find, reference.href)
    chunks = list(islice(_chunks(reference, find), _MOST_CHUNKS + 1))
    if len(chunks) > _MOST_CHUNKS:
        what = f"is cut into more than {_MOST_CHUNKS} files"
        raise _unreadable_chunks(f"{name}: the disk {reference.href!r} {what}")
    size = reference.size or sum(chunk.length for chunk in chunks)
    for number, chunk in enumerate(chunks):
        expected = min(reference.chunk_size, size - number * reference.chunk_size)
        if chunk.length != expected:
            what = f"has {chunk.length} bytes instead of {expected}"
            raise damaged(
                "ova-chunk-size", name, f"chunk {number} of the disk {reference.href!r} {what}"
            )
    return joined(chunks)


def _chunks(reference: DiskReference, find: Find) -> Iterator[ByteRange]:
    """Find the chunks of a file: they have its name and a number (DMTF DSP0243, chunkSize).

    How many there are follows from its size; where that is not told, all that there are.
    """
    count = -(-reference.size // reference.chunk_size)
    number = 0
    while not count or number < count:
        try:
            chunk = _found(find, f"{reference.href}.{number:09}")
        except DamagedInputError:
            if count or not number:
                raise
            return
        yield chunk
        number += 1


def _found(find: Find, href: str) -> ByteRange:
    """Find a file by its reference, a URI: what is escaped in it may be so in the name, or not."""
    plain = unquote(href, errors="surrogateescape")
    if plain == href:
        return find(href)
    try:
        return find(href)
    except DamagedInputError:
        return find(plain)


def _unattached(name: str, identifier: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "ovf-unattached-disk",
        f"{name}: describes the disk {identifier!r}, which no drive holds: it is left out",
        "attach it to the machine and export that again, or give its file as a disk, if it is"
        " needed",
    )


def _unreadable_chunks(message: str) -> GuestRefusedError:
    """Make the refusal of a disk that cannot be read from the files that it is cut into."""
    return GuestRefusedError(
        "ova-chunks",
        message,
        hint="export it with ovftool without --chunkSize; or unpack the archive, put the chunks"
        " together (cat DISK.0* > DISK), and give that disk",
        service_message=CHUNKED,
    )


def _blank(name: str, identifier: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "ovf-blank-disk",
        f"{name}: the disk {identifier!r} is blank and has no file: it is left out",
        "attach an empty EBS volume of its size if the machine needs it",
    )
