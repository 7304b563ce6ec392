"""OVF descriptors (DMTF DSP0243): which disks a machine has, and in which order.

Text in, references out. The XML is parsed without entities or external references, and bounded in
size. Elements and attributes are told by their local names: VirtualBox, VMware and the two versions
of the standard differ in namespaces alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from converter.errors import GuestRefusedError
from converter.source.reader import damaged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from xml.etree.ElementTree import Element

    from converter.errors import Faults

LIMIT: Final = 2 << 20
# More than any hypervisor attaches; how many are converted is for the policy to say.
_MOST_DISKS: Final = 256
# CIM resource types of a disk drive (CIM_ResourceAllocationSettingData.ResourceType).
_DISK_TYPES: Final = ("17", "31")


@dataclass(frozen=True, slots=True)
class DiskReference:
    """A disk of the machine: the file it is in and how that is compressed ("" or "gzip").

    `href` is "" for a blank disk, which is made when the machine is deployed. A file that is cut is
    in files of `chunk_size` bytes each, the last of what is left; 0 for one that is whole. `size`
    is that of all, 0 where it is not told.
    """

    identifier: str
    href: str
    compression: str
    chunk_size: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """The disks of a machine in the order in which it has them, None for one that is no good.

    `unattached` are the identifiers of disks that are described, and that no drive holds.
    """

    disks: tuple[DiskReference | None, ...]
    unattached: tuple[str, ...]


def parse(name: str, data: bytes, faults: Faults) -> Machine:
    """Read an OVF; what is wrong with one of its disks is kept in `faults`.

    That is `DamagedInputError` ``ovf-invalid``, `GuestRefusedError` ``ovf-several-machines``,
    ``ovf-delta-disk``, ``ovf-compression``. Raises the first for what is
    no OVF, and ``too-many-disks``.
    """
    if len(data) > LIMIT:
        raise damaged("ovf-invalid", name, f"an OVF of {len(data)} bytes")
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise damaged("ovf-invalid", name, f"the OVF cannot be read: {error}") from error
    if _name(root) != "Envelope":
        raise damaged("ovf-invalid", name, f"is no OVF: its root element is {_name(root)!r}")
    return _Envelope(name, root, faults).machine()


class _Envelope:
    def __init__(self, name: str, root: Element, faults: Faults) -> None:
        self._name = name
        self._root = root
        self._faults = faults
        self._files = {_attribute(item, "id"): item for item in _all(root, "File")}
        self._disks = {_attribute(item, "diskId"): item for item in _all(root, "Disk")}

    def machine(self) -> Machine:
        with self._faults.kept():
            self._refuse_several_machines()
        attached = self._attached()
        if not attached:  # no hardware section, or one that tells nothing of disks
            attached = [("disk", identifier) for identifier in self._disks]
        drives = list(dict.fromkeys(attached))
        if len(drives) > _MOST_DISKS:
            raise GuestRefusedError(
                "too-many-disks",
                f"{self._name}: the machine has {len(drives)} disks",
                hint="export it with fewer disks",
            )
        return Machine(tuple(self._references(drives)), tuple(self._unattached(drives)))

    def _references(self, drives: Iterable[tuple[str, str]]) -> Iterator[DiskReference | None]:
        for kind, key in drives:
            found = None
            with self._faults.kept():
                found = self._reference(kind, key)
            yield found

    def _unattached(self, drives: Collection[tuple[str, str]]) -> Iterator[str]:
        for identifier, disk in self._disks.items():
            by_file = ("file", _attribute(disk, "fileRef"))
            if ("disk", identifier) not in drives and by_file not in drives:
                yield identifier

    def _refuse_several_machines(self) -> None:
        systems = [_attribute(item, "id") for item in _all(self._root, "VirtualSystem")]
        if len(systems) > 1:
            raise GuestRefusedError(
                "ovf-several-machines",
                f"{self._name}: describes {len(systems)} machines: {', '.join(systems[:10])}",
                hint="export each machine by itself",
            )

    def _attached(self) -> list[tuple[str, str]]:
        """Give what the drives hold, ("disk" or "file", identifier), in the machine's order.

        Controllers are numbered by instance, and drives by their place on one.
        """
        places: list[tuple[int, int, int, tuple[str, str]]] = []
        for item in (*_all(self._root, "Item"), *_all(self._root, "StorageItem")):
            fields = {_name(child): (child.text or "").strip() for child in item}
            resource = fields.get("HostResource", "")
            if fields.get("ResourceType") in _DISK_TYPES and resource:
                parent = _number(fields.get("Parent", ""))
                place = _number(fields.get("AddressOnParent", ""))
                places.append((parent, place, len(places), self._resource(resource)))
        return [place[3] for place in sorted(places)]

    def _resource(self, resource: str) -> tuple[str, str]:
        """Read `ovf:/disk/ID` or `ovf:/file/ID`, which some write without its beginning."""
        path, _, identifier = resource.rpartition("/")
        kind = "file" if path.rpartition("/")[2] == "file" else "disk"
        if identifier not in (self._files if kind == "file" else self._disks):
            raise damaged(
                "ovf-invalid", self._name, f"a drive holds {resource!r}, which is not described"
            )
        return kind, identifier

    def _reference(self, kind: str, identifier: str) -> DiskReference:
        key = identifier
        if kind == "disk":
            disk = self._disks[identifier]
            if _attribute(disk, "parentRef"):
                raise GuestRefusedError(
                    "ovf-delta-disk",
                    f"{self._name}: the disk {identifier!r} holds only what differs from another",
                    hint="consolidate the machine's snapshots and export it again",
                )
            key = _attribute(disk, "fileRef")
            if not key:
                return DiskReference(identifier, "", "")
        file = self._files.get(key)
        if file is None or not _attribute(file, "href"):
            raise damaged(
                "ovf-invalid", self._name, f"the disk {identifier!r} is in a file that is not named"
            )
        return self._in_file(identifier, file)

    def _in_file(self, identifier: str, file: Element) -> DiskReference:
        href, compression = _attribute(file, "href"), _attribute(file, "compression").lower()
        if compression not in ("", "identity", "gzip"):
            raise GuestRefusedError(
                "ovf-compression",
                f"{self._name}: the disk {href!r} is compressed with {compression!r}",
                hint="export the machine without compression",
            )
        return DiskReference(
            identifier,
            href,
            compression.replace("identity", ""),
            chunk_size=self._size(file, "chunkSize"),
            size=self._size(file, "size"),
        )

    def _size(self, file: Element, name: str) -> int:
        """Give a number of bytes, 0 where there is none."""
        text = _attribute(file, name)
        if not text:
            return 0
        size = int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0
        if name == "chunkSize" and size == 0:
            what = f"a file is cut in chunks of {text!r} bytes"
            raise damaged("ovf-invalid", self._name, what)
        return size


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _all(root: Element, name: str) -> Iterator[Element]:
    return (element for element in root.iter() if _name(element) == name)


def _attribute(element: Element, name: str) -> str:
    """Give an attribute whatever its namespace is; "" if it is not there."""
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value.strip()
    return ""
