"""OVF descriptors (DMTF DSP0243): which disks a machine has, and in which order.

The XML is parsed without entities or external references, and bounded in size. Files are named
relative to the descriptor; names that lead anywhere else are refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from converter.errors import GuestRefusedError
from converter.source.reader import Reader, damaged, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.model import ByteRange, SourceDisk

LIMIT: Final = 8 << 20
# CIM resource types of a disk drive (CIM_ResourceAllocationSettingData.ResourceType).
_DISK_TYPES: Final = ("17", "31")


@dataclass(frozen=True, slots=True)
class DiskReference:
    """A disk of the machine: the file it is in and how that is compressed ("" or "gzip")."""

    href: str
    compression: str


def open_ovf(reader: Reader, *, work: Path) -> list[SourceDisk]:
    """Open the disks that lie beside a bare .ovf."""
    from converter.source import probe  # noqa: PLC0415 - probe opens containers, and this one disks

    path = reader.file.path
    if reader.length > LIMIT:
        raise damaged("ovf-invalid", reader.name, f"an OVF of {reader.length} bytes")
    data = reader.read(0, reader.length)
    manifest = path.with_suffix(".mf")
    if manifest.is_file():
        from converter.source import manifest as manifests  # noqa: PLC0415 - likewise

        with Reader(whole(manifest)) as listed:
            manifests.verify(listed, lambda name: probe.beside(path, name))
    return open_disks(reader.name, data, lambda name: probe.beside(path, name), work=work)


def open_disks(
    name: str, data: bytes, find: Callable[[str], ByteRange], *, work: Path
) -> list[SourceDisk]:
    """Open the disks of the OVF `data`, in its order; `find` gives a file by its name."""
    from converter.source import probe  # noqa: PLC0415 - likewise

    disks = []
    for reference in parse(name, data):
        with Reader(find(reference.href)) as member:
            ending = "" if reference.compression else Path(reference.href).suffix.lower()
            form = probe.detect(member, claimed=ending)
            disks.append(probe.open_disk(member, form, work=work, find=find))
    if not disks:
        raise GuestRefusedError(
            "ovf-no-disk", f"{name}: the machine has no disk", hint="export it with its disks"
        )
    return disks


def parse(name: str, data: bytes) -> list[DiskReference]:
    """Give the disks of an OVF in the order in which the machine has them.

    Raises `DamagedInputError` ``ovf-invalid``, `GuestRefusedError` ``ova-chunked-disk``.
    """
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise damaged("ovf-invalid", name, f"the OVF cannot be read: {error}") from error
    files = {_attribute(item, "id"): item for item in _all(root, "File")}
    disks = {_attribute(item, "diskId"): item for item in _all(root, "Disk")}
    ordered = _in_machine_order(root, disks) or list(disks.values())
    references = []
    for disk in ordered:
        file = files.get(_attribute(disk, "fileRef"))
        if file is not None:  # a disk without a file is blank and made on deployment
            references.append(_reference(name, file))
    return references


def _reference(name: str, file: Element) -> DiskReference:
    if _attribute(file, "chunkSize"):
        raise GuestRefusedError(
            "ova-chunked-disk",
            f"{name}: the disk {_attribute(file, 'href')!r} is split over several files",
            hint="export it with ovftool without --chunkSize",
        )
    return DiskReference(_attribute(file, "href"), _attribute(file, "compression"))


def _in_machine_order(root: Element, disks: dict[str, Element]) -> list[Element]:
    """Order the disks by controller and place on it, as the virtual hardware section has them."""
    places: list[tuple[int, int, int, Element]] = []
    for item in (*_all(root, "Item"), *_all(root, "StorageItem")):
        fields = {_name(child): (child.text or "").strip() for child in item}
        disk = disks.get(fields.get("HostResource", "").rpartition("/")[2])
        if fields.get("ResourceType") in _DISK_TYPES and disk is not None:
            address = fields.get("AddressOnParent", "")
            # Controllers are numbered by instance; the boot controller is the first.
            parent = fields.get("Parent", "")
            places.append((_number(parent), _number(address), len(places), disk))
    return [place[3] for place in sorted(places, key=lambda place: place[:3])]


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 10 else 0


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _all(root: Element, name: str) -> list[Element]:
    return [element for element in root.iter() if _name(element) == name]


def _attribute(element: Element, name: str) -> str:
    """Give an attribute whatever its namespace is; "" if it is not there."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return ""
