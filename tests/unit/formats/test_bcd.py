"""What a boot configuration store says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.formats import bcd
from converter.formats.bcd_device import GptPartition
from converter.formats.registry import Hive, Value, binary, dword, multi_sz, sz
from converter.formats.registry_new import empty
from converter.model import BootMode
from tests.unit.formats.bcd_samples import (
    BOOT,
    DISK,
    LOADER,
    WINRE,
    C,
    partition,
    store,
    uefi_objects,
)

if TYPE_CHECKING:
    from tests.unit.formats.bcd_samples import Objects

OTHER = "{d0000000-1111-2222-3333-444444444444}"


def read(objects: Objects) -> bcd.Store:
    return bcd.read(Hive(store(objects)))


def with_elements(identifier: str, **elements: Value | None) -> Objects:
    """Give the sample with other elements (named x and their type) in one object."""
    objects = uefi_objects()
    _, found = objects[identifier]
    for name, value in elements.items():
        if value is None:
            del found[int(name[1:], 16)]
        else:
            found[int(name[1:], 16)] = value
    return objects


def with_second(device: bytes, *, root: str = r"\Windows", listed: bool = True) -> Objects:
    objects = uefi_objects()
    objects[OTHER] = (0x10200003, {0x21000001: binary(device), 0x22000002: sz(root)})
    order = (LOADER, OTHER, WINRE) if listed else (LOADER,)
    objects[bcd.BOOT_MANAGER][1][0x24000001] = multi_sz(*order)
    return objects


def test_what_is_started_by_default() -> None:
    found = read(uefi_objects())
    assert found.default is not None
    assert found.default.identifier == LOADER
    assert found.default.text(bcd.DESCRIPTION) == "Windows Server 2019"
    assert found.default.text(bcd.PATH) == r"\Windows\system32\winload.efi"
    assert found.default.text(bcd.SYSTEM_ROOT) == r"\Windows"
    partition = found.default.device(bcd.OS_DEVICE).partition
    assert partition == found.default.device(bcd.DEVICE).partition
    assert partition == GptPartition(DISK, C)
    assert found.timeout == 30
    assert found.default.firmware is BootMode.UEFI
    assert [loader.identifier for loader in found.menu] == [LOADER]


def test_identifiers_are_compared_in_any_case() -> None:
    changed = with_elements(bcd.BOOT_MANAGER, x23000003=sz(LOADER.upper()))
    found = read(changed).default
    assert found is not None
    assert found.identifier == LOADER


@pytest.mark.parametrize("named", [None, sz(OTHER), binary(b"\1"), sz("")])
def test_without_a_default_the_first_that_is_offered_is_it(named: Value | None) -> None:
    found = read(with_elements(bcd.BOOT_MANAGER, x23000003=named)).default
    assert found is not None
    assert found.identifier == LOADER


def test_a_loader_for_bios() -> None:
    found = read(with_elements(LOADER, x12000002=sz(r"\Windows\System32\WINLOAD.EXE"))).default
    assert found is not None
    assert found.firmware is BootMode.LEGACY_BIOS


def test_windows_re_is_a_loader_but_no_system() -> None:
    found = read(uefi_objects())
    assert {loader.identifier for loader in found.loaders} == {LOADER, WINRE}
    assert [system.identifier for system in found.systems] == [LOADER]


@pytest.mark.parametrize(
    ("objects", "count"),
    [
        (with_second(partition(DISK)), 2),
        (with_second(partition(C), root=r"\WINDOWS"), 1),
        (with_second(partition(C), root=r"\Windows.old"), 2),
        (with_second(BOOT), 2),
        (with_second(partition(DISK), listed=False), 1),
    ],
    ids=["elsewhere", "the same", "another directory", "the boot device", "not offered"],
)
def test_installed_systems(objects: Objects, count: int) -> None:
    assert len(read(objects).systems) == count


def test_whether_ems_is_on() -> None:
    objects = uefi_objects()
    assert read(objects).ems_enabled
    objects[bcd.EMS_SETTINGS][1][0x16000020] = binary(b"\0")
    assert read(objects).ems_enabled
    objects[LOADER][1][0x260000B0] = binary(b"\0")
    assert not read(objects).ems_enabled
    objects[bcd.BOOT_MANAGER][1][0x16000020] = binary(b"\0\0\1\0")
    assert read(objects).ems_enabled


def test_what_makes_no_sense_is_not_there() -> None:
    hive = Hive(store(uefi_objects()))
    path = bcd.object_path(LOADER)
    hive.set_value(f"{path}\\Description", "Type", sz("loader"))
    hive.set_value(f"{path}\\Elements\\no type", "Element", dword(1))
    hive.set_value(f"{path}\\Elements\\12000004", "Element", binary(b"\1"))
    hive.set_value(f"{path}\\Elements\\22000002", "Other", dword(1))
    hive.delete_value(f"{path}\\Elements\\22000002", "Element")
    hive.create_key("Objects\\{nothing}")
    found = bcd.read(hive)
    assert found.objects[LOADER].type == 0
    assert found.objects[LOADER].text(bcd.DESCRIPTION) == ""
    assert found.objects[LOADER].text(bcd.SYSTEM_ROOT) == ""
    assert found.objects["{nothing}"].elements == {}
    assert found.objects[LOADER].identifiers(bcd.PATH) == ()


def test_an_empty_store() -> None:
    found = bcd.read(Hive(empty()))
    assert (found.default, found.timeout, found.menu, found.systems) == (None, None, (), ())
    assert not found.ems_enabled
