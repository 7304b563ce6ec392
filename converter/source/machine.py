"""Whole machines: an OVA, or an OVF with its files beside it.

What is wrong with one disk, or with the manifest, does not keep the other disks from being opened:
it is kept in `Faults`, and the disk's place stays empty.

The disks are opened in the machine's order. What an OVF or its manifest names is looked for in the
archive, or in the OVF's own directory, and nowhere else. What the manifest says of whole files is
not verified here: that takes its time, and what is refused should be so at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from converter.errors import DamagedInputError, GuestRefusedError
from converter.model import Finding, Severity
from converter.source import manifest, ova, ovf
from converter.source.overlay import plain_data
from converter.source.probe import beside, detect, leads_away, open_disk
from converter.source.reader import Reader, damaged

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.errors import Faults
    from converter.model import ByteRange, ListedFile, SourceDisk
    from converter.source.ovf import DiskReference

    Find = Callable[[str], ByteRange]


@dataclass(frozen=True, slots=True)
class Opened:
    """A machine's disks, None for one that is no good; what to say of it, and what to verify."""

    disks: list[SourceDisk | None]
    findings: list[Finding]
    listed: tuple[ListedFile, ...]


def open_ova(reader: Reader, faults: Faults, *, work: Path) -> Opened:
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
                listed += manifest.parse(lines, find, faults)
    with Reader(members[descriptor], name=f"{reader.name}: {descriptor}") as text:
        disks, findings = _open_disks(text, find, faults, work=work, archive=reader.name)
    return Opened(disks, findings, tuple(listed))


def open_ovf(reader: Reader, faults: Faults, *, work: Path) -> Opened:
    """Open the disks that lie beside a bare .ovf."""
    path = reader.file.path

    def find(name: str) -> ByteRange:
        return beside(path, name.removeprefix("./"))

    beside_it = path.with_suffix(".mf")
    listed: tuple[ListedFile, ...] = ()
    if beside_it.exists():
        with faults.kept(), Reader(find(beside_it.name), name=str(beside_it)) as lines:
            listed = manifest.parse(lines, find, faults)
    disks, findings = _open_disks(reader, find, faults, work=work, archive="")
    return Opened(disks, findings, listed)


def _open_disks(
    reader: Reader, find: Find, faults: Faults, *, work: Path, archive: str
) -> tuple[list[SourceDisk | None], list[Finding]]:
    if reader.length > ovf.LIMIT:
        raise damaged("ovf-invalid", reader.name, f"an OVF of {reader.length} bytes")
    disks: list[SourceDisk | None] = []
    machine = ovf.parse(reader.name, reader.read(0, reader.length), faults)
    findings = [_unattached(reader.name, identifier) for identifier in machine.unattached]
    for reference in machine.disks:
        if reference is not None and not reference.href:
            findings.append(_blank(reader.name, reference.identifier))
            continue
        disks.append(None)
        with faults.kept():
            if reference is not None:
                disks[-1] = _open_disk(reference, find, work=work, archive=archive)
    if not disks:
        raise GuestRefusedError(
            "ovf-no-disk",
            f"{reader.name}: the machine has no disk with anything on it",
            hint="export it with its disks",
        )
    return disks, findings


def _open_disk(reference: DiskReference, find: Find, *, work: Path, archive: str) -> SourceDisk:
    href = reference.href
    file = _found(find, href)
    name = f"{archive}: {href}" if archive else str(file.path)
    with Reader(file, name=name) as member:
        ending = "" if reference.compression else Path(href).suffix.lower()
        form = detect(member, claimed=ending)
        disk = open_disk(member, form, work=work, find=find)
    if archive and disk.extents and plain_data(disk) is None:
        # QEMU has no way to be told of parts of a file in a VMDK's descriptor.
        raise GuestRefusedError(
            "ova-split-vmdk",
            f"{name}: is a VMDK in several extents inside an OVA",
            hint="unpack the OVA (tar -x) and give the VMDK's descriptor",
        )
    return disk


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


def _blank(name: str, identifier: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "ovf-blank-disk",
        f"{name}: the disk {identifier!r} is blank and has no file: it is left out",
        "attach an empty EBS volume of its size if the machine needs it",
    )
