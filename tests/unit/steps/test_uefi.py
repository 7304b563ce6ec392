from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.efi import EfiView
from converter.model import BootMode, CopyFile, MakeDirectory, Plan, Space, WriteFile
from converter.policy import is_refused
from converter.steps import uefi
from converter.steps.step import Context
from tests.unit import efi_programs
from tests.unit.inspection.test_efi import CSV, ESP, LOST, MOUNTS, SHIM_CHAIN, STUB, storage
from tests.unit.samples import FACTS, LINUX

Files = Mapping[str, str | bytes]
FALLBACK = "/boot/efi/EFI/BOOT/BOOTX64.EFI"
GRUB_CFG = {"/boot/grub/grub.cfg": "menuentry x {}"}


def guest(esp: Files, others: Files = GRUB_CFG) -> MemoryGuest:
    return MemoryGuest({**{f"/boot/efi/{path}": data for path, data in esp.items()}, **others})


def plan(found: MemoryGuest, distribution: str = "debian") -> Plan:
    linux = replace(LINUX, distribution=distribution)
    facts = replace(FACTS, mounts=MOUNTS, esps=(ESP,), os=linux)
    recording = RecordingGuest(found)
    assert uefi.STEP.applies(facts)
    uefi.STEP.run(Context(recording, facts, storage()))
    return recording.plan


def made(found: MemoryGuest, distribution: str = "debian") -> Plan:
    """Apply the plan, and prove that then nothing is to be done and the fallback is whole."""
    done = plan(found, distribution)
    replay(done, found, progress=lambda _fraction: None)
    assert plan(found, distribution).changes == ()
    view = EfiView(found, storage(), MOUNTS)
    loader = view.fallback(ESP)
    assert loader is not None
    assert view.lacking(ESP, loader) == ""
    return done


def test_shim_comes_with_what_it_starts_but_without_its_fallback_program() -> None:
    found = guest(SHIM_CHAIN)
    changes = made(found).changes
    assert {type(change) for change in changes} == {MakeDirectory, CopyFile}
    assert found.list("/boot/efi/EFI/BOOT") == ("BOOTX64.EFI", "grubx64.efi", "mmx64.efi")
    assert found.read(FALLBACK) == SHIM_CHAIN["EFI/debian/shimx64.efi"]
    assert found.read("/boot/efi/EFI/BOOT/grubx64.efi") == SHIM_CHAIN["EFI/debian/grubx64.efi"]


def test_grub_alone_becomes_the_fallback() -> None:
    esp: Files = {"EFI/debian/grubx64.efi": efi_programs.grub(), "EFI/debian/grub.cfg": STUB}
    found = guest(esp)
    made(found)
    assert found.list("/boot/efi/EFI/BOOT") == ("BOOTX64.EFI",)
    assert found.read(FALLBACK) == esp["EFI/debian/grubx64.efi"]


def test_systemd_boot_becomes_the_fallback() -> None:
    found = guest({"EFI/systemd/systemd-bootx64.efi": efi_programs.systemd_boot()})
    made(found)
    assert found.read(FALLBACK) == efi_programs.systemd_boot()


@pytest.mark.parametrize(
    "esp",
    [
        {"efi/boot/bootx64.efi": efi_programs.systemd_boot()},
        {"EFI/Boot/bootx64.efi": efi_programs.pe((b".text", b"rEFInd"))},
        {**SHIM_CHAIN, "EFI/BOOT/BOOTX64.EFI": efi_programs.shim(),
         "EFI/BOOT/fbx64.efi": efi_programs.pe((b".text", b"fb")), "EFI/debian/BOOTX64.CSV": CSV},
        {"EFI/BOOT/BOOTX64.EFI": efi_programs.grub("(,gpt2)/boot/grub")},
    ],
)  # fmt: skip
def test_what_starts_already_is_left_alone(esp: Files) -> None:
    assert plan(guest(esp)).changes == ()


def test_names_there_already_are_used_as_they_are_written() -> None:
    found = guest({"efi/debian/GRUBX64.EFI": efi_programs.grub(), "efi/debian/grub.cfg": STUB})
    made(found)
    assert found.list("/boot/efi") == ("efi",)
    assert found.list("/boot/efi/efi") == ("BOOT", "debian")


@pytest.mark.parametrize(
    "broken",
    [b"", bytes(4096), efi_programs.grub(machine=0x14C), efi_programs.shim()],
)
def test_a_fallback_that_starts_nothing_is_replaced_and_kept(broken: bytes) -> None:
    esp: Files = {
        "EFI/BOOT/BOOTX64.EFI": broken,
        "EFI/debian/grubx64.efi": efi_programs.grub(),
        "EFI/debian/grub.cfg": STUB,
    }
    found = guest(esp)
    made(found)
    assert found.read(FALLBACK) == efi_programs.grub()
    assert found.read("/boot/efi/EFI/BOOT/.BOOTX64.EFI.converter-orig") == broken


def test_a_program_that_starts_something_else_is_replaced_and_kept() -> None:
    other = efi_programs.pe((b".text", b"bootmgfw"))
    found = guest({**SHIM_CHAIN, "EFI/BOOT/BOOTX64.EFI": other})
    made(found)
    assert found.read(FALLBACK) == efi_programs.shim()
    assert found.read("/boot/efi/EFI/BOOT/.BOOTX64.EFI.converter-orig") == other


def test_one_that_may_start_it_is_kept_where_nothing_better_is_there() -> None:
    other = efi_programs.pe((b".text", b"rEFInd"))
    esp: Files = {
        "EFI/BOOT/BOOTX64.EFI": other,
        "EFI/systemd/systemd-bootx64.efi": efi_programs.systemd_boot(),
    }
    assert plan(guest(esp)).changes == ()


def test_the_loader_of_a_system_that_is_gone_is_replaced() -> None:
    esp: Files = {
        "EFI/BOOT/BOOTX64.EFI": efi_programs.grub("/EFI/ubuntu"),
        "EFI/ubuntu/grub.cfg": LOST,
        **SHIM_CHAIN,
    }
    found = guest(esp)
    made(found)
    assert found.read(FALLBACK) == efi_programs.shim()


def test_the_configuration_is_written_where_the_prefix_says() -> None:
    """A derivative that uses Debian's signed GRUB, with its own directory on the ESP."""
    esp: Files = {
        "EFI/kali/shimx64.efi": efi_programs.shim(),
        "EFI/kali/grubx64.efi": efi_programs.grub("/EFI/debian"),
        "EFI/kali/grub.cfg": STUB,
    }
    found = guest(esp)
    made(found, "kali")
    assert found.read("/boot/efi/EFI/debian/grub.cfg").decode() == STUB


def test_a_configuration_is_made_when_the_vendor_has_none() -> None:
    found = guest({"EFI/debian/grubx64.efi": efi_programs.grub()})
    changes = made(found).changes
    assert any(isinstance(change, WriteFile) for change in changes)
    text = found.read("/boot/efi/EFI/debian/grub.cfg").decode()
    assert text.startswith("search.fs_uuid 11111111-2222-3333-4444-555555555555 root\n")
    assert "set prefix=($root)'/boot/grub'\n" in text


def test_a_grub_without_a_prefix_has_it_beside() -> None:
    """openSUSE's signed GRUB takes the directory it was started from."""
    esp: Files = {
        "EFI/opensuse/shim.efi": efi_programs.shim("grub.efi", "MokManager.efi", "fallback.efi"),
        "EFI/opensuse/grub.efi": efi_programs.grub(""),
        "EFI/opensuse/MokManager.efi": efi_programs.pe((b".text", b"mm")),
        "EFI/opensuse/grub.cfg": STUB,
    }
    found = guest(esp)
    made(found, "opensuse-leap")
    assert found.list("/boot/efi/EFI/BOOT") == (
        "BOOTX64.EFI",
        "MokManager.efi",
        "grub.cfg",
        "grub.efi",
    )
    assert found.read("/boot/efi/EFI/BOOT/grub.cfg").decode() == STUB


def test_shims_fallback_program_gets_what_it_goes_by() -> None:
    esp: Files = {**SHIM_CHAIN, "EFI/BOOT/fbx64.efi": efi_programs.pe((b".text", b"fb"))}
    found = guest(esp)
    made(found)
    text = found.read("/boot/efi/EFI/debian/BOOTX64.CSV").decode("utf-16-le")
    assert text.startswith("\ufeffshimx64.efi,debian,,")


def test_what_cannot_be_made_whole_is_told() -> None:
    esp: Files = {"EFI/BOOT/BOOTX64.EFI": efi_programs.grub("(,gpt9)/boot/grub")}
    told = plan(guest(esp))
    assert told.changes == ()
    assert [finding.code for finding in told.findings] == ["uefi-fallback-incomplete"]
    assert "partition 9" in told.findings[0].message


def test_a_full_partition_is_left_alone() -> None:
    full = replace(ESP, space=Space(1 << 20, len(efi_programs.shim())))
    facts = replace(FACTS, mounts=MOUNTS, esps=(full,), os=LINUX)
    recording = RecordingGuest(guest(SHIM_CHAIN))
    uefi.STEP.run(Context(recording, facts, storage()))
    assert recording.plan.changes == ()
    assert [finding.code for finding in recording.plan.findings] == ["esp-full"]
    assert not is_refused(recording.plan.findings)


def test_it_is_refused_where_the_image_is_made_for_uefi() -> None:
    broken = {"EFI/BOOT/BOOTX64.EFI": efi_programs.grub("(,gpt9)/boot/grub")}
    only = replace(FACTS, mounts=MOUNTS, esps=(ESP,), boot_modes=frozenset({BootMode.UEFI}))
    recording = RecordingGuest(guest(broken))
    uefi.STEP.run(Context(recording, only, storage()))
    assert is_refused(recording.plan.findings)


def test_an_empty_partition_is_nothing_to_speak_of() -> None:
    assert plan(guest({})) == Plan(())


def test_guests_without_such_a_partition_are_not_asked() -> None:
    assert not uefi.STEP.applies(FACTS)
