"""BOOT-1 for Windows: what each firmware needs, and what it does without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.inspection import inspect_machine
from converter.inspection.windows_boot import fallback
from converter.model import BootMode
from tests.unit.formats import ntfs_volumes
from tests.unit.windows_samples import server

if TYPE_CHECKING:
    from tests.unit.windows_samples import Files, Windows

BIOS, UEFI = BootMode.LEGACY_BIOS, BootMode.UEFI
EFI = "/EFI/Microsoft/Boot"


def modes(made: Windows) -> set[BootMode]:
    return set(made.inspect().facts.boot_modes)


def without(files: Files, path: str) -> None:
    """Put a directory in place of a file."""
    del files[path]
    files[f"{path}/x"] = ""


@pytest.mark.parametrize("spell", [str, str.upper, str.lower])
@pytest.mark.parametrize(("uefi", "mode"), [(True, UEFI), (False, BIOS)])
def test_each_starts_by_its_own(*, uefi: bool, mode: BootMode, spell: type[str]) -> None:
    made = server(uefi=uefi)
    made.spell = spell
    assert modes(made) == {mode}


@pytest.mark.parametrize("path", ["/bootmgr", "/Boot/BCD"])
def test_bios_needs_each_of_its_files(path: str) -> None:
    made = server(uefi=False)
    without(made.reserved, path)
    assert modes(made) == set()


def test_bios_needs_them_on_the_active_partition() -> None:
    made = server(uefi=False)
    made.files |= made.reserved
    made.reserved = {"/Boot/BCD": ""}
    assert modes(made) == set()


def test_bios_needs_the_boot_sector_of_windows() -> None:
    made = server(uefi=False)
    made.volume = ntfs_volumes.volume(windows=False)
    assert modes(made) == set()


@pytest.mark.parametrize("path", [f"{EFI}/bootmgfw.efi", f"{EFI}/BCD"])
def test_uefi_needs_each_of_its_files(path: str) -> None:
    made = server()
    without(made.esp, path)
    assert modes(made) == set()


def test_uefi_starts_the_fallback_as_well() -> None:
    made = server()
    made.esp["/EFI/BOOT/BOOTX64.EFI"] = made.esp.pop(f"{EFI}/bootmgfw.efi")
    assert modes(made) == {UEFI}


def test_uefi_needs_an_efi_system_partition() -> None:
    made = server()
    made.types["esp"] = "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"
    assert modes(made) == set()


def test_an_esp_that_cannot_be_mounted_starts_nothing() -> None:
    machine = server().machine()
    machine.broken = ("/dev/sda1",)
    found = inspect_machine(machine).facts
    assert (found.boot_modes, found.esps) == (frozenset(), ())


@pytest.mark.parametrize(
    ("architecture", "name"), [("x86_64", "bootx64"), ("aarch64", "bootaa64"), ("", "bootx64")]
)
def test_the_fallback(architecture: str, name: str) -> None:
    assert fallback(architecture) == f"EFI/Boot/{name}.efi"
