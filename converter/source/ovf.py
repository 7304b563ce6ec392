"""OVF descriptors (DMTF DSP0243): which disks a machine has, and in which order.

Text in, references out. The XML is parsed without entities or external references, and bounded in
size. Elements and attributes are those of the envelope's own namespace, whichever that is, or of
none: writers and the versions of the standard differ in it. Vendors' extensions have others.
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
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from xml.etree.ElementTree import Element

    from converter.errors import Faults

LIMIT: Final = 2 << 20
# More than any hypervisor attaches; how many are converted is for the policy to say.
_MOST_DISKS: Final = 256
# CIM_ResourceAllocationSettingData.ResourceType: disk drive, storage extent (XenCenter), logical
# disk, storage volume.
_DISK_TYPES: Final = ("17", "19", "31", "32")
# Floppy, CD and DVD drive.
_REMOVABLE_TYPES: Final = ("14", "15", "16")
# DSP0243 1.x and 2.x, and VMware's before there was a standard.
_NAMESPACES: Final = (
    "http://schemas.dmtf.org/ovf/envelope/1",
    "http://schemas.dmtf.org/ovf/envelope/2",
    "http://www.vmware.com/schema/ovf/1/envelope",
    "",
)
_DISKS: Final = ("Disk", "SharedDisk")

# What a drive holds: a "disk" or a "file", and its identifier.
_Resource = tuple[str, str]


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
    ``ovf-delta-disk``, ``ovf-compression``. Raises the first for what is no OVF, and
    ``too-many-disks``.
    """
    if len(data) > LIMIT:
        raise damaged("ovf-invalid", name, f"an OVF of {len(data)} bytes")
    try:
        root = fromstring(data, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise damaged("ovf-invalid", name, f"the OVF cannot be read: {error}") from error
    element = _split(root.tag)[1]
    if element != "Envelope":
        raise damaged("ovf-invalid", name, f"is no OVF: its root element is {element[:80]!r}")
    return _Envelope(name, root, faults).machine()


class _Envelope:
    def __init__(self, name: str, root: Element, faults: Faults) -> None:
        self._name = name
        self._root = root
        self._faults = faults
        self._namespaces = tuple(dict.fromkeys((_split(root.tag)[0], *_NAMESPACES)))
        self._files = self._by_identifier(["File"], "id")
        self._disks = self._by_identifier(_DISKS, "diskId")

    def _by_identifier(self, names: Sequence[str], attribute: str) -> dict[str, Element]:
        found: dict[str, Element] = {}
        for item in self._all(*names):
            identifier = self._attribute(item, attribute)
            with self._faults.kept():
                if identifier in found:
                    what = f"it has two elements {names[0]} with the {attribute} {identifier!r}"
                    raise damaged("ovf-invalid", self._name, what)
            found[identifier] = item
        return found

    def machine(self) -> Machine:
        with self._faults.kept():
            self._refuse_several_machines()
        removable = {*self._held(_REMOVABLE_TYPES)}
        attached = self._held(_DISK_TYPES)
        if not attached:  # no hardware section, or one that tells nothing of disks
            attached = [("disk", identifier) for identifier in self._disks]
        drives = [drive for drive in dict.fromkeys(attached) if drive not in removable]
        if len(drives) > _MOST_DISKS:
            raise GuestRefusedError(
                "too-many-disks",
                f"{self._name}: the machine has {len(drives)} disks",
                hint="export it with fewer disks",
            )
        unattached = tuple(self._unattached({*drives, *removable}))
        return Machine(tuple(self._references(drives)), unattached)

    def _references(self, drives: Iterable[_Resource]) -> Iterator[DiskReference | None]:
        for kind, identifier in drives:
            found = None
            with self._faults.kept():
                found = self._reference(kind, identifier)
            yield found

    def _unattached(self, held: Collection[_Resource]) -> Iterator[str]:
        for identifier, disk in self._disks.items():
            by_file = ("file", self._attribute(disk, "fileRef"))
            if ("disk", identifier) not in held and by_file not in held:
                yield identifier

    def _refuse_several_machines(self) -> None:
        systems = [self._attribute(item, "id") for item in self._all("VirtualSystem")]
        if len(systems) > 1:
            raise GuestRefusedError(
                "ovf-several-machines",
                f"{self._name}: describes {len(systems)} machines: {', '.join(systems[:10])}",
                hint="export each machine by itself",
            )

    def _held(self, types: Collection[str]) -> list[_Resource]:
        """Give what the drives of some types hold, in the machine's order.

        Controllers are numbered by instance, and drives by their place on one.
        """
        places: list[tuple[int, int, int, _Resource]] = []
        for item in self._all("Item", "StorageItem"):
            fields = {_split(child.tag)[1]: (child.text or "").strip() for child in item}
            resource = fields.get("HostResource", "")
            if fields.get("ResourceType") in types and resource:
                parent = _number(fields.get("Parent", ""))
                place = _number(fields.get("AddressOnParent", ""))
                places.append((parent, place, len(places), _resource(resource)))
        return [place[3] for place in sorted(places)]

    def _reference(self, kind: str, identifier: str) -> DiskReference:
        if identifier not in (self._files if kind == "file" else self._disks):
            what = f"a drive holds the {kind} {identifier!r}, which is not described"
            raise damaged("ovf-invalid", self._name, what)
        key = identifier
        if kind == "disk":
            disk = self._disks[identifier]
            if self._attribute(disk, "parentRef"):
                raise GuestRefusedError(
                    "ovf-delta-disk",
                    f"{self._name}: the disk {identifier!r} holds only what differs from another",
                    hint="consolidate the machine's snapshots and export it again",
                )
            key = self._attribute(disk, "fileRef")
            if not key:
                return DiskReference(identifier, "", "")
        # oVirt has a disk's group before it.
        file = self._files.get(key, self._files.get(key.rpartition("/")[2]))
        if file is None or not self._attribute(file, "href"):
            raise damaged(
                "ovf-invalid", self._name, f"the disk {identifier!r} is in a file that is not named"
            )
        return self._in_file(identifier, file)

    def _in_file(self, identifier: str, file: Element) -> DiskReference:
        href = self._attribute(file, "href")
        compression = self._attribute(file, "compression").lower()
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
            chunk_size=self._chunk_size(file),
            size=_number(self._attribute(file, "size")),
        )

    def _chunk_size(self, file: Element) -> int:
        text = self._attribute(file, "chunkSize")
        size = _number(text)
        if text and not size:
            what = f"a file is cut into chunks of {text[:40]!r} bytes"
            raise damaged("ovf-invalid", self._name, what)
        return size

    def _all(self, *names: str) -> Iterator[Element]:
        for element in self._root.iter():
            namespace, name = _split(element.tag)
            if name in names and namespace in self._namespaces:
                yield element

    def _attribute(self, element: Element, name: str) -> str:
        """Give an attribute of the envelope's namespace, "" if it is not there."""
        for namespace in self._namespaces:
            value = element.get(f"{{{namespace}}}{name}" if namespace else name)
            if value is not None:
                return value.strip()
        return ""


def _resource(text: str) -> _Resource:
    """Read `ovf:/disk/ID` or `ovf:/file/ID`, which some write without its beginning."""
    path, _, identifier = text.rpartition("/")
    return "file" if path.rpartition("/")[2] == "file" else "disk", identifier


def _number(text: str) -> int:
    """Read a number, 0 for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else 0


def _split(tag: object) -> tuple[str, str]:
    """Take apart a tag as ElementTree has it: its namespace and its name."""
    if not isinstance(tag, str):
        return "", ""
    namespace, brace, name = tag.rpartition("}")
    return (namespace.removeprefix("{"), name) if brace else ("", tag)
