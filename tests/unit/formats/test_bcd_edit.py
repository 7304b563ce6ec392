"""Edits of boot configuration stores: everything else is as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.formats import FormatError, bcd, bcd_device
from converter.formats.bcd_edit import Places, ems_off, for_bios, safe_mode_off
from converter.formats.mounted_devices import MbrPlace
from converter.formats.registry import Hive, Value, binary, sz
from tests.unit.formats.bcd_samples import (
    BOOT,
    DISK,
    ESP,
    FIRMWARE,
    LOADER,
    MBR_C,
    RAM_DISK,
    RECOVERY,
    RESUME,
    WINRE,
    C,
    contents,
    partition,
    ram_disk,
    store,
    uefi_objects,
)

if TYPE_CHECKING:
    from tests.unit.formats.bcd_samples import Objects

SIGNATURE = 0xA1B2C3D4
ON_C = MbrPlace(SIGNATURE, 1 << 20)
ON_RECOVERY = MbrPlace(SIGNATURE, 9 << 30)
PLACES = Places(disk=DISK, partitions={C: ON_C, RECOVERY: ON_RECOVERY}, system=ON_C, windows=ON_C)
ELSEWHERE = Places(DISK, PLACES.partitions, system=ON_RECOVERY, windows=ON_C)


def mbr(place: MbrPlace) -> bytes:
    return bcd_device.parse(b"").at(place)


def elements(data: bytes) -> dict[str, Value]:
    """Give all elements: keys are the object's identifier, and the type."""
    return {
        f"{path.split(chr(92))[1]} {path[-8:]}".lower(): values["Element"]
        for path, values in contents(data).items()
        if "\\Elements\\" in path
    }


def changes(objects: Objects, places: Places = PLACES) -> dict[str, Value | None]:
    """Give the elements that are otherwise after a conversion; None for what is gone."""
    before, after = elements(store(objects)), elements(for_bios(store(objects), places))
    names = before.keys() | after.keys()
    return {name: after.get(name) for name in names if before.get(name) != after.get(name)}


EXPECTED: dict[str, Value | None] = {
    f"{bcd.FIRMWARE_BOOT_MANAGER} 24000001": None,
    f"{FIRMWARE} 11000001": None,
    f"{FIRMWARE} 12000002": None,
    f"{bcd.BOOT_MANAGER} 11000001": binary(MBR_C),
    f"{bcd.BOOT_MANAGER} 12000002": None,
    f"{LOADER} 11000001": binary(MBR_C),
    f"{LOADER} 12000002": sz(r"\Windows\system32\winload.exe"),
    f"{LOADER} 14000008": None,
    f"{LOADER} 16000009": binary(b"\0"),
    f"{LOADER} 21000001": binary(MBR_C),
    f"{RESUME} 11000001": binary(MBR_C),
    f"{RESUME} 12000002": sz(r"\Windows\system32\winresume.exe"),
    f"{RESUME} 21000001": binary(MBR_C),
    f"{WINRE} 11000001": binary(ram_disk(mbr(ON_RECOVERY))),
    f"{WINRE} 12000002": sz(r"\windows\system32\winload.exe"),
    f"{WINRE} 21000001": binary(ram_disk(mbr(ON_RECOVERY))),
    f"{RAM_DISK} 31000003": binary(mbr(ON_RECOVERY)),
    f"{bcd.MEMORY_TEST} 11000001": binary(MBR_C),
    f"{bcd.MEMORY_TEST} 12000002": sz(r"\boot\memtest.exe"),
}


def test_a_store_for_bios_differs_in_this_alone() -> None:
    assert changes(uefi_objects()) == EXPECTED


def test_what_mirrors_the_firmware_is_gone() -> None:
    hive = Hive(store(uefi_objects()))
    manager = f"{bcd.object_path(bcd.BOOT_MANAGER)}\\Description"
    hive.set_value(manager, "FirmwareVariable", binary(b"\1"))
    after = Hive(for_bios(hive.tobytes(), PLACES))
    after.check()
    assert not after.exists(bcd.object_path(FIRMWARE))
    assert not after.exists(bcd.object_path(bcd.FIRMWARE_BOOT_MANAGER))
    assert after.values("Description").keys() == {"KeyName"}
    assert after.values(manager).keys() == {"Type"}


def test_a_second_time_changes_nothing() -> None:
    once = for_bios(store(uefi_objects()), PLACES)
    assert for_bios(once, PLACES) == once


def test_the_boot_manager_may_be_on_another_partition() -> None:
    found = changes(uefi_objects(), ELSEWHERE)
    assert found[f"{bcd.BOOT_MANAGER} 11000001"] == binary(mbr(ON_RECOVERY))
    assert found[f"{bcd.MEMORY_TEST} 11000001"] == binary(mbr(ON_RECOVERY))
    assert found[f"{LOADER} 21000001"] == binary(MBR_C)


@pytest.mark.parametrize("device", [partition(C, disk=ESP), partition(ESP), BOOT, MBR_C, None])
def test_the_default_always_has_its_partition(device: bytes | None) -> None:
    """A store that was copied with its disk may still have the identifiers of the original."""
    objects = uefi_objects()
    for element in (0x11000001, 0x21000001):
        del objects[LOADER][1][element]
        if device is not None:
            objects[LOADER][1][element] = binary(device)
    after = elements(for_bios(store(objects), PLACES))
    assert after[f"{LOADER} 11000001"] == after[f"{LOADER} 21000001"] == binary(MBR_C)


OTHER = "{d0000000-1111-2222-3333-444444444444}"


def other(kind: int, device: bytes, *, path: str = r"\Windows\system32\winload.efi") -> Objects:
    return {
        **uefi_objects(),
        OTHER: (kind, {0x11000001: binary(device), 0x12000002: sz(path)}),
    }


@pytest.mark.parametrize(
    ("kind", "device", "expected"),
    [
        (0x10200003, partition(RECOVERY), mbr(ON_RECOVERY)),
        (0x10200003, partition(ESP), MBR_C),
        (0x10200004, partition(ESP), MBR_C),
        (0x10200003, partition(C, disk=ESP), partition(C, disk=ESP)),
        (0x10200003, BOOT, BOOT),
        (0x10200003, b"of another kind", b"of another kind"),
        (0x10200003, ram_disk(partition(ESP)), None),
        (0x30000000, partition(ESP), None),
        (0x30000000, partition(C), MBR_C),
        (0x10400008, partition(ESP), None),
    ],
)
def test_devices_of_other_objects(kind: int, device: bytes, expected: bytes | None) -> None:
    after = elements(for_bios(store(other(kind, device)), PLACES))
    value = after.get(f"{OTHER} 11000001")
    assert value == (None if expected is None else binary(expected))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (r"\Windows\System32\Boot\WINLOAD.EFI", r"\Windows\System32\Boot\WINLOAD.exe"),
        (r"\Windows\system32\winload.exe", r"\Windows\system32\winload.exe"),
        (r"\EFI\vendor\diagnose.efi", r"\EFI\vendor\diagnose.efi"),
        (r"\Windows\mywinload.efi", r"\Windows\mywinload.efi"),
    ],
)
def test_programs_that_windows_has_twice(path: str, expected: str) -> None:
    objects = other(0x10200003, partition(C), path=path)
    assert elements(for_bios(store(objects), PLACES))[f"{OTHER} 12000002"] == sz(expected)


def test_a_store_that_is_named_in_the_boot_manager() -> None:
    objects = uefi_objects()
    objects[bcd.BOOT_MANAGER][1][0x21000022] = binary(partition(ESP))
    objects[bcd.BOOT_MANAGER][1][0x22000023] = sz(r"\EFI\Microsoft\Boot\BCD")
    found = changes(objects)
    assert found[f"{bcd.BOOT_MANAGER} 21000022"] is None
    assert found[f"{bcd.BOOT_MANAGER} 22000023"] is None


def without(identifier: str) -> Objects:
    objects = uefi_objects()
    del objects[identifier]
    return objects


def naming(identifier: str) -> Objects:
    objects = uefi_objects()
    objects[bcd.BOOT_MANAGER][1][0x23000003] = sz(identifier)
    return objects


@pytest.mark.parametrize(
    "objects",
    [{}, without(bcd.BOOT_MANAGER), without(LOADER), naming(bcd.MEMORY_TEST), naming(WINRE)],
    ids=["empty", "no boot manager", "no loader", "memory test", "recovery"],
)
def test_a_store_that_starts_no_windows_is_refused(objects: Objects) -> None:
    with pytest.raises(FormatError, match="no Windows"):
        for_bios(store(objects), PLACES)


def test_what_is_no_hive_is_refused() -> None:
    with pytest.raises(FormatError):
        for_bios(b"regf".ljust(8192, b"\0"), PLACES)


def without_ems(objects: Objects) -> dict[str, Value]:
    hive = Hive(store(objects))
    ems_off(hive)
    hive.check()
    return elements(hive.tobytes())


def test_ems_is_off_everywhere() -> None:
    before, after = elements(store(uefi_objects())), without_ems(uefi_objects())
    expected = {
        f"{bcd.EMS_SETTINGS} 16000020",
        f"{bcd.BOOT_MANAGER} 16000020",
        f"{LOADER} 260000b0",
        f"{WINRE} 260000b0",
    }
    assert {name for name, value in after.items() if before.get(name) != value} == expected
    assert {after[name].data for name in expected} == {b"\0"}
    assert before.keys() <= after.keys()


def test_ems_settings_that_are_not_there_are_not_made() -> None:
    after = without_ems(without(bcd.EMS_SETTINGS))
    assert not any(name.startswith(bcd.EMS_SETTINGS) for name in after)


def test_ems_that_is_off_is_left() -> None:
    hive = Hive(store(uefi_objects()))
    ems_off(hive)
    once = hive.tobytes()
    again = Hive(once)
    ems_off(again)
    assert again.tobytes() == once


def test_no_loader_is_in_safe_mode() -> None:
    objects = uefi_objects()
    elements_of_loader = objects[LOADER][1]
    elements_of_loader[0x25000080] = binary(bytes(8))
    elements_of_loader[0x26000081] = binary(b"\1")
    hive = Hive(store(objects))
    safe_mode_off(hive)
    hive.check()
    assert elements(hive.tobytes()) == elements(store(uefi_objects()))
    once = hive.tobytes()
    safe_mode_off(hive)
    assert hive.tobytes() == once
