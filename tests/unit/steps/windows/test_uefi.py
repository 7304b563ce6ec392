from __future__ import annotations

import pytest

from converter.model import CopyFile, FileKind
from converter.steps.step import Options
from converter.steps.windows import uefi
from tests.unit.machines import holds
from tests.unit.steps.windows.planning import context, done
from tests.unit.windows_samples import BOOT_MANAGER, PROGRAM, server

MANAGER = "/ESP/EFI/Microsoft/Boot/bootmgfw.efi"


def test_the_fallback_is_the_boot_manager() -> None:
    plan, machine = done(server(), uefi.STEP)
    assert machine.read("/ESP/EFI/Boot/bootx64.efi") == BOOT_MANAGER
    (change,) = [item for item in plan.changes if isinstance(item, CopyFile)]
    assert (change.source, change.backup, change.code) == (MANAGER, None, "uefi-fallback")


@pytest.mark.parametrize("name", ["/EFI/Boot/bootx64.efi", "/EFI/BOOT/BOOTX64.EFI"])
def test_one_of_another_maker_is_replaced_and_kept(name: str) -> None:
    made = server()
    made.esp[name] = PROGRAM
    plan, machine = done(made, uefi.STEP)
    (change,) = plan.changes
    assert isinstance(change, CopyFile)
    assert change.path == f"/ESP{name}"
    assert change.backup is not None
    assert machine.read(change.backup) == PROGRAM
    assert machine.read(f"/ESP{name}") == BOOT_MANAGER


def test_one_that_is_right_stays() -> None:
    made = server()
    made.esp["/EFI/boot/BOOTX64.efi"] = BOOT_MANAGER
    plan, _ = done(made, uefi.STEP)
    assert plan.changes == ()


@pytest.mark.parametrize("kind", [FileKind.DIRECTORY, None])
def test_without_a_boot_manager_nothing_is_copied(kind: FileKind | None) -> None:
    made = server()
    del made.esp["/EFI/Microsoft/Boot/bootmgfw.efi"]
    if kind:
        made.esp["/EFI/Microsoft/Boot/bootmgfw.efi/x"] = ""
    plan, _ = done(made, uefi.STEP)
    assert plan.changes == ()


def test_every_esp() -> None:
    made = server()
    files = {"/EFI/MICROSOFT/BOOT/BOOTMGFW.EFI": PROGRAM}
    made.more = [("esp", holds("vfat", "second", files)), ("esp", holds("vfat", "data"))]
    _, machine = done(made, uefi.STEP)
    assert machine.read("/ESP2/EFI/Boot/bootx64.efi") == PROGRAM
    assert machine.list("/ESP3") == ()


def test_without_an_esp() -> None:
    assert not uefi.STEP.applies(server(uefi=False).inspect().facts)


def test_a_disk_that_gets_an_mbr_needs_none() -> None:
    work = context(server().machine(), Options(windows_conversion=object()))  # type: ignore[arg-type]
    uefi.run(work)
    assert work.guest.plan.changes == ()
