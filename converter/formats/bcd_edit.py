r"""What is changed in a boot configuration store: EMS turned off, and the store of UEFI for BIOS.

Windows keeps the store of UEFI on the EFI system partition, that of BIOS at `\Boot\BCD` of the
active partition. They differ in what the firmware starts (nothing, by BIOS), in the names of the
programs (`winload.exe` instead of `winload.efi`), and, as the disk has an MBR then, in how they
name partitions. Everything else is the user's, and stays: entries, options, debuggers, time-outs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, bcd, bcd_device
from converter.formats.bcd_device import GptPartition
from converter.formats.registry import Hive, binary, sz

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping

    from converter.formats.mounted_devices import MbrPlace
    from converter.formats.registry import Editor

_FALSE: Final = b"\0"
_FIRMWARE_VARIABLE: Final = "FirmwareVariable"
_MEMORY_TEST: Final = r"\boot\memtest.exe"
# The programs that Windows has for both firmwares, side by side.
_PROGRAM: Final = re.compile(r"(?P<name>.*\\win(?:load|resume))\.efi", re.IGNORECASE)


def ems_off(editor: Editor) -> None:
    """Turn the Emergency Management Services off: they hold the serial line, and a log-on on it.

    Raises `FormatError` for a damaged hive.
    """
    store = bcd.read(editor)
    for name in (bcd.EMS_SETTINGS, bcd.BOOT_MANAGER):
        if name in store.objects:
            _set(editor, name, bcd.BOOT_EMS, _FALSE)
    for loader in store.loaders:
        _set(editor, loader.identifier, bcd.EMS, _FALSE)


def safe_mode_off(editor: Editor) -> None:
    """Let no loader start Windows in safe mode. Raises `FormatError` for a damaged hive."""
    for loader in bcd.read(editor).loaders:
        for element in (bcd.SAFE_BOOT, bcd.SAFE_BOOT_SHELL):
            if element in loader.elements:
                editor.delete_key(bcd.element_path(loader.identifier, element))


def _set(editor: Editor, identifier: str, element: int, data: bytes) -> None:
    editor.set_value(bcd.element_path(identifier, element), bcd.VALUE, binary(data))


@dataclass(frozen=True, slots=True)
class Places:
    """Where partitions are once their disk has an MBR.

    `disk` is the identifier that its GPT had, `partitions` are by theirs, as far as they stay.
    `system` has the boot manager, `windows` the system that is started by default.
    """

    disk: uuid.UUID
    partitions: Mapping[uuid.UUID, MbrPlace]
    system: MbrPlace
    windows: MbrPlace


def for_bios(data: bytes, places: Places) -> bytes:
    r"""Give `\Boot\BCD`, made of the store that UEFI uses.

    Raises `FormatError` where it is damaged, or starts no Windows.
    """
    hive = Hive(data)
    hive.check()
    to_bios(hive, places)
    return hive.tobytes()


def to_bios(editor: Editor, places: Places) -> None:
    """Make the store of UEFI one for BIOS. Raises `FormatError` where it starts no Windows."""
    store = bcd.read(editor)
    default = store.default
    if store.boot_manager is None or default is None or not default.is_system:
        raise FormatError("the boot configuration names no Windows to be started by default")
    _forget_firmware(editor, store)
    for found in store.objects.values():
        if not _is_firmware(found):
            _Conversion(editor, found, places, is_default=found is default).run()


def _is_firmware(found: bcd.Object) -> bool:
    return found.identifier == bcd.FIRMWARE_BOOT_MANAGER or found.type == bcd.FIRMWARE_APPLICATION


def _forget_firmware(editor: Editor, store: bcd.Store) -> None:
    """Delete what mirrors the firmware's own entries."""
    editor.delete_value("Description", _FIRMWARE_VARIABLE)
    for found in store.objects.values():
        path = bcd.object_path(found.identifier)
        if _is_firmware(found):
            editor.delete_key(path)
        else:
            editor.delete_value(f"{path}\\Description", _FIRMWARE_VARIABLE)


@dataclass(frozen=True, slots=True)
class _Conversion:
    """One object of a store that is made one for BIOS."""

    editor: Editor
    found: bcd.Object
    places: Places
    is_default: bool

    def run(self) -> None:
        for element, value in self.found.elements.items():
            if bcd.is_device(element):
                self._move(element, bcd_device.parse(value.data))
        match self.found:
            case bcd.Object(identifier=bcd.BOOT_MANAGER):
                self._boot_manager()
            case bcd.Object(identifier=bcd.MEMORY_TEST):
                self._set_path(_MEMORY_TEST)
            case bcd.Object(type=bcd.LOADER):
                self._loader()
            case bcd.Object(type=bcd.RESUME):
                self._program()

    # --- what each kind of object needs -----------------------------------------------------------

    def _boot_manager(self) -> None:
        # The boot sector finds it by its name, and it finds its store beside itself.
        for element in (bcd.PATH, bcd.STORE_DEVICE, bcd.STORE_PATH):
            self._delete(element)
        self._set(bcd.DEVICE, self.found.device(bcd.DEVICE).at(self.places.system))

    def _loader(self) -> None:
        self._program()
        if self.found.is_ram_disk:
            return
        # There is no console to repair it from: that would wait for a key for ever.
        self._delete(bcd.RECOVERY_SEQUENCE)
        self._set(bcd.RECOVERY_ENABLED, _FALSE)
        for element in (bcd.DEVICE, bcd.OS_DEVICE) if self.is_default else ():
            device = self.found.device(element)
            if self._in_gpt(device) is None:  # of another disk, as a copy's may be, or unknown
                self._set(element, device.at(self.places.windows))

    def _program(self) -> None:
        match = _PROGRAM.fullmatch(self.found.text(bcd.PATH))
        if match:
            self._set_path(f"{match['name']}.exe")

    # --- devices ----------------------------------------------------------------------------------

    def _move(self, element: int, device: bcd_device.Device) -> None:
        """Name a partition by its new place; one that is gone leaves no element behind."""
        identifier = self._in_gpt(device)
        if identifier is None:
            return
        place = self.places.partitions.get(identifier)
        if place is None and not device.path:
            place = self._in_its_stead()
        if place is None:
            self._delete(element)
        else:
            self._set(element, device.at(place))

    def _in_gpt(self, device: bcd_device.Device) -> uuid.UUID | None:
        """Give the partition that is named, if it is one in the GPT that the disk had."""
        found = device.partition
        if isinstance(found, GptPartition) and found.disk == self.places.disk:
            return found.partition
        return None

    def _in_its_stead(self) -> MbrPlace | None:
        """Give where what was on a partition that is gone is then, as far as it has a place."""
        if self.found.identifier == bcd.MEMORY_TEST:
            return self.places.system
        if self.found.type in {bcd.LOADER, bcd.RESUME}:
            return self.places.windows
        return None

    # --- elements ---------------------------------------------------------------------------------

    def _set(self, element: int, data: bytes) -> None:
        _set(self.editor, self.found.identifier, element, data)

    def _set_path(self, path: str) -> None:
        where = bcd.element_path(self.found.identifier, bcd.PATH)
        self.editor.set_value(where, bcd.VALUE, sz(path))

    def _delete(self, element: int) -> None:
        self.editor.delete_key(bcd.element_path(self.found.identifier, element))
