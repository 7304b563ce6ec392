r"""The boot configuration store of Windows (BCD): what its boot manager starts, and from where.

The store is a registry hive: `Objects\{GUID}\Description` has the value Type, and for each of an
object's elements there is a key `Elements\TTTTTTTT`, named by its type in hexadecimal, with the
value Element. Bits 24 to 27 of the type say what it is: 1 a device (binary), 2 a string, 3 an
object (its GUID, a string), 4 objects (strings), 5 an integer and 6 a boolean (both binary).
Source: Microsoft Learn, "Boot Configuration Data (BCD)", and stores that Windows made.

What is damaged in a store counts as not there, as the boot manager has it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, bcd_device
from converter.model import BootMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from converter.formats.registry import Reader, Value

OBJECTS: Final = "Objects"
VALUE: Final = "Element"

BOOT_MANAGER: Final = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
FIRMWARE_BOOT_MANAGER: Final = "{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}"
MEMORY_TEST: Final = "{b2721d73-1db4-4c62-bf78-c548a880142d}"
EMS_SETTINGS: Final = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"

# Types of objects.
FIRMWARE_APPLICATION: Final = 0x101FFFFF
LOADER: Final = 0x10200003
RESUME: Final = 0x10200004

# Types of elements: of any application,
DEVICE: Final = 0x11000001
PATH: Final = 0x12000002
DESCRIPTION: Final = 0x12000004
RECOVERY_SEQUENCE: Final = 0x14000008
RECOVERY_ENABLED: Final = 0x16000009
BOOT_EMS: Final = 0x16000020
# of a loader,
OS_DEVICE: Final = 0x21000001
SYSTEM_ROOT: Final = 0x22000002
SAFE_BOOT: Final = 0x25000080
SAFE_BOOT_SHELL: Final = 0x26000081
EMS: Final = 0x260000B0
# of the boot manager.
DEFAULT: Final = 0x23000003
DISPLAY_ORDER: Final = 0x24000001
TIMEOUT: Final = 0x25000004
STORE_DEVICE: Final = 0x21000022
STORE_PATH: Final = 0x22000023

_FORMAT_DEVICE: Final = 1
_ELEMENT_NAME: Final = re.compile(r"[0-9A-Fa-f]{8}")


def object_path(identifier: str) -> str:
    """Give the key of an object."""
    return f"{OBJECTS}\\{identifier}"


def element_path(identifier: str, element: int) -> str:
    """Give the key of an element of an object."""
    return f"{object_path(identifier)}\\Elements\\{element:08x}"


def is_device(element: int) -> bool:
    """Tell whether elements of this type name a device."""
    return element >> 24 & 0xF == _FORMAT_DEVICE


@dataclass(frozen=True, slots=True)
class Object:
    """An object of the store: `identifier` is in braces, in lower case; 0 is no `type`."""

    identifier: str
    type: int
    elements: Mapping[int, Value]

    def text(self, element: int) -> str:
        """Give a string, or an object's identifier; "" where there is none."""
        value = self.elements.get(element)
        try:
            return "" if value is None else value.text
        except FormatError:
            return ""

    def identifiers(self, element: int) -> tuple[str, ...]:
        """Give the objects that an element lists."""
        value = self.elements.get(element)
        try:
            return () if value is None else tuple(text.lower() for text in value.texts)
        except FormatError:
            return ()

    def number(self, element: int) -> int | None:
        """Give an integer, if it is there."""
        value = self.elements.get(element)
        return None if value is None else int.from_bytes(value.data[:8], "little")

    def flag(self, element: int) -> bool | None:
        """Give a boolean, if it is there."""
        value = self.elements.get(element)
        return None if value is None else any(value.data)

    def device(self, element: int) -> bcd_device.Device:
        """Give a device; one that names nothing where there is none."""
        value = self.elements.get(element)
        return bcd_device.parse(b"" if value is None else value.data)

    @property
    def is_system(self) -> bool:
        """Whether it is a loader of an installed system, and not of one in a file."""
        return self.type == LOADER and not self.is_ram_disk

    @property
    def is_ram_disk(self) -> bool:
        """Whether a loader's system is in a file that is loaded as a whole (Windows RE)."""
        return bool(self.device(OS_DEVICE).path)

    @property
    def firmware(self) -> BootMode:
        """What a loader is made for: an EFI program, or one for the BIOS."""
        efi = self.text(PATH).lower().endswith(".efi")
        return BootMode.UEFI if efi else BootMode.LEGACY_BIOS


@dataclass(frozen=True, slots=True)
class Store:
    """A store, by the identifiers of its objects."""

    objects: Mapping[str, Object]

    @property
    def boot_manager(self) -> Object | None:
        """The boot manager's own object."""
        return self.objects.get(BOOT_MANAGER)

    @property
    def timeout(self) -> int | None:
        """How long the menu is shown, in seconds; None where the store does not say."""
        manager = self.boot_manager
        return None if manager is None else manager.number(TIMEOUT)

    @property
    def menu(self) -> tuple[Object, ...]:
        """What the boot manager offers, in its order."""
        manager = self.boot_manager
        names = () if manager is None else manager.identifiers(DISPLAY_ORDER)
        return tuple(self.objects[name] for name in names if name in self.objects)

    @property
    def default(self) -> Object | None:
        """What is started by default: what the boot manager names, or else the first it offers."""
        manager = self.boot_manager
        named = "" if manager is None else manager.text(DEFAULT).lower()
        return self.objects.get(named) or next(iter(self.menu), None)

    @property
    def loaders(self) -> tuple[Object, ...]:
        """All loaders of Windows, offered or not."""
        return tuple(found for found in self.objects.values() if found.type == LOADER)

    @property
    def systems(self) -> tuple[Object, ...]:
        """The installed systems that are offered: of the loaders on each partition one."""
        found: dict[object, Object] = {}
        offered = (*filter(None, [self.default]), *self.menu)
        for loader in offered:
            if loader.is_system:
                device = loader.device(OS_DEVICE)
                place = (device.partition or device.data, loader.text(SYSTEM_ROOT).lower())
                found.setdefault(place, loader)
        return tuple(found.values())

    @property
    def ems_enabled(self) -> bool:
        """Whether any loader, or the boot manager, has the Emergency Management Services on."""
        named = (self.objects.get(name) for name in (BOOT_MANAGER, EMS_SETTINGS))
        return any(found.flag(BOOT_EMS) for found in named if found is not None) or any(
            loader.flag(EMS) for loader in self.loaders
        )


def read(reader: Reader) -> Store:
    """Read a store from its hive. Raises `FormatError` for a hive that is damaged."""
    return Store({name.lower(): _object(reader, name) for name in reader.subkeys(OBJECTS)})


def _object(reader: Reader, name: str) -> Object:
    kind = reader.value(f"{object_path(name)}\\Description", "Type")
    try:
        number = 0 if kind is None else kind.number
    except FormatError:
        number = 0
    return Object(name.lower(), number, dict(_elements(reader, name)))


def _elements(reader: Reader, name: str) -> Iterator[tuple[int, Value]]:
    path = f"{object_path(name)}\\Elements"
    for key in reader.subkeys(path):
        value = reader.value(f"{path}\\{key}", VALUE)
        if value is not None and _ELEMENT_NAME.fullmatch(key):
            yield int(key, 16), value
