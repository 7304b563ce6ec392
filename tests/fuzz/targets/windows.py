"""The registry, boot configuration stores, descriptors, and files of Windows and of drivers."""

from __future__ import annotations

import codecs
import struct
from typing import TYPE_CHECKING

from converter.formats import bcd as bcd_codec
from converter.formats import (
    bcd_device,
    bcd_edit,
    installer,
    mounted_devices,
    reg_file,
    registry_new,
)
from converter.formats import inf as inf_codec
from converter.formats import security_descriptor as descriptor_codec
from converter.formats import windows_ini as ini_codec
from converter.formats.registry import Hive, Value, binary, dword, is_dirty, recover, sz
from converter.inspection import windows_values
from converter.inspection.windows_accounts import blank_passwords
from converter.model import BootMode
from tests.fuzz import repairs
from tests.fuzz.target import of_bytes
from tests.unit import registry_samples, windows_samples
from tests.unit.formats import (
    bcd_samples,
    test_bcd_edit,
    test_inf,
    test_installer,
    test_mounted_devices,
    test_registry_log,
    test_windows_ini,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.formats.registry import Reader


def _keys(hive: Reader, path: str = "", depth: int = 0) -> Iterator[str]:
    yield path
    for name in hive.subkeys(path)[:50] if depth < 6 else ():
        yield from _keys(hive, f"{path}\\{name}".lstrip("\\"), depth + 1)


def _hives() -> Iterable[bytes]:
    yield registry_samples.sample()
    yield registry_samples.sample(minor=3)
    yield registry_new.empty()
    yield test_registry_log.STATES[0]
    yield bcd_samples.store(bcd_samples.uefi_objects())


@of_bytes(_hives, repair=repairs.hive)
def hive(data: bytes) -> None:
    found = Hive(data)
    for number, path in enumerate(_keys(found)):
        if number > 200:
            break
        for name, value in found.values(path).items():
            reg_file.reg_lines(path, name, value)
            found.value(path, name)


@of_bytes(_hives, repair=repairs.hive)
def hive_check(data: bytes) -> None:
    """What is found to be whole can be edited, and is whole afterwards."""
    found = Hive(data)
    found.check()
    top = found.subkeys("")
    found.set_value("New\\Key", "v", dword(1))
    found.set_value("New", "long", binary(bytes(9000)))
    found.delete_value("New", "long")
    if top:
        found.set_value(top[0], "Start", sz("x" * 300))
        found.delete_key(top[-1])
    again = Hive(found.tobytes())
    again.check()
    assert again.exists("New\\Key") or (top and top[-1].casefold() == "new")


def _dirty() -> Iterable[bytes]:
    yield test_registry_log.DIRTY + test_registry_log.WHOLE
    yield test_registry_log.OLD + test_registry_log.vector_log()
    yield b"".join(windows_samples.interrupted(*test_registry_log.STATES[3:5]))


@of_bytes(_dirty, repair=repairs.hive)
def hive_log(data: bytes) -> None:
    """A hive and its log, one behind the other."""
    length = 4096 + int.from_bytes(data[40:44], "little")
    found, log = data[:length], data[length:]
    if is_dirty(found):
        recovered = recover(found, [log, b""])
        assert not is_dirty(recovered)
        assert recover(recovered, [log]) == recovered


@of_bytes(lambda: [windows_samples.server().sam.tobytes()], repair=repairs.hive)  # type: ignore[union-attr]
def sam(data: bytes) -> None:
    list(blank_passwords(Hive(data)))


def _stores() -> Iterable[bytes]:
    yield bcd_samples.store(bcd_samples.uefi_objects())
    yield windows_samples.bcd(uefi=False)


def _edited(data: bytes) -> None:
    made = bcd_edit.for_bios(data, test_bcd_edit.PLACES)
    Hive(made).check()
    edited = Hive(data)
    edited.check()
    bcd_edit.ems_off(edited)


@of_bytes(_stores, repair=repairs.hive, then=_edited)
def bcd(data: bytes) -> bytes:
    store = bcd_codec.read(Hive(data))
    assert store.timeout is None or store.timeout >= 0
    for item in (*store.menu, *store.loaders, *store.systems):
        assert not (item.is_system and item.is_ram_disk)
        assert item.firmware in BootMode
        item.device(0x11000001)
        item.text(0x12000002)
        item.flag(0x16000020)
    assert store.boot_manager is None or store.boot_manager.text(0x12000002) is not None
    assert store.default is None or store.ems_enabled in (True, False)
    return data


@of_bytes(
    lambda: [
        bcd_samples.GPT_C,
        bcd_samples.MBR_C,
        bcd_samples.BOOT,
        bcd_samples.ram_disk(bcd_samples.partition(bcd_samples.RECOVERY)),
    ]
)
def bcd_element(data: bytes) -> None:
    device = bcd_device.parse(data)
    assert device.data == data
    moved = bcd_device.parse(device.at(test_bcd_edit.ON_C))
    assert moved.partition == test_bcd_edit.ON_C
    assert moved.path == device.path


@of_bytes(lambda: [test_mounted_devices.IN_GPT, test_mounted_devices.IN_MBR, b"DMIO:ID:"])
def mounted_device(data: bytes) -> None:
    value = binary(data)
    places = test_mounted_devices.PLACES
    new = mounted_devices.changed({"\\DosDevices\\C:": value}, places=places)
    assert mounted_devices.changed(new, places=places) == {}


@of_bytes(
    lambda: [
        struct.pack("<I", kind) + content
        for kind, content in (
            (1, 'C:\\a "b"\0'.encode("utf-16-le")), (4, b"\1\0\0\0"), (7, b"a\0\0\0\0\0"),
            (3, b"\xff\0"), (0xFFFF0012, b""),
        )
    ]
)  # fmt: skip
def registry_value(data: bytes) -> None:
    value = Value(int.from_bytes(data[:4], "little"), data[4:])
    reg_file.shown("x", value)
    windows_values.text(value), windows_values.number(value), windows_values.texts(value)


def _descriptors() -> Iterable[bytes]:
    codec = descriptor_codec
    aces = tuple(
        codec.Ace("S-1-5-32-544", 0x1F01FF, codec.AceFlags(3), kind) for kind in codec.AceType
    )
    yield bytes(codec.SecurityDescriptor("S-1-5-18", "S-1-5-18", aces, is_protected=True))
    yield bytes(codec.SecurityDescriptor("S-1-5-80-1-2-3-4-5", "S-1-1-0", (), is_protected=False))


@of_bytes(_descriptors)
def security_descriptor(data: bytes) -> None:
    found = descriptor_codec.parse(data)
    assert descriptor_codec.parse(bytes(found)) == found


@of_bytes(
    lambda: [
        test_inf.TEXT.encode(),
        codecs.BOM_UTF16_LE + test_inf.TEXT.encode("utf-16-le"),
        codecs.BOM_UTF8 + test_inf.TEXT.replace("\n", "\r\n").encode(),
    ],
    large=True,
)
def inf(data: bytes) -> None:
    found = inf_codec.parse(inf_codec.decode(data))
    found.version, found.value("Version", "Class")
    for architecture in ("x86_64", "arm64"):
        found.files(architecture)
    found.lines("Models.NTamd64.10.0")


@of_bytes(
    lambda: [
        test_windows_ini.TEXT.encode(encoding) for encoding in ("ascii", "utf-16", "utf-8-sig")
    ],
    large=True,
)
def windows_ini(data: bytes) -> None:
    found = ini_codec.parse(data)
    assert bytes(found) == data
    found.items("One")
    written = ini_codec.parse(bytes(found.with_value("One", "new", "value")))
    assert written.get("one", "NEW") == "value"
    assert ini_codec.parse(bytes(written.without("One", "new"))).get("one", "new") is None


@of_bytes(
    lambda: [test_installer.FILE, test_installer.COMPONENT, test_installer.DIRECTORY,
             b"DiskId\tCabinet\r\ni2\tS255\r\nMedia\tDiskId\r\n1\t#drv.cab\r\n",
             b"Property\tValue\r\ns72\tl0\r\nProperty\tProperty\r\nProductVersion\t1.2.3\r\n"],
    large=True,
)  # fmt: skip
def installer_table(data: bytes) -> None:
    rows = installer.read_table(data)
    tables = [
        installer.read_table(item) for item in (test_installer.FILE, test_installer.COMPONENT)
    ]
    for files, components, folders in ((rows, tables[1], ()), (tables[0], tables[1], rows)):
        installer.names(files, components, folders)
    installer.cabinets(rows)
    installer.product_version(rows)
