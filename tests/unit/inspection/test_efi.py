"""What starts from an EFI system partition, after the UEFI specification and shim's README."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from converter.guest.memory import MemoryGuest
from converter.inspection.efi import EfiView, boot_modes
from converter.inspection.storage import Storage
from converter.model import BootMode, Disk, Filesystem, Mount, Partition, TableType
from tests.unit import efi_programs

ROOT_UUID = "11111111-2222-3333-4444-555555555555"
STUB = f"search.fs_uuid {ROOT_UUID} root hd0,gpt2\nset prefix=($root)'/boot/grub'\n"
LOST = STUB.replace(ROOT_UUID, "99999999-2222-3333-4444-555555555555")
ESP = Mount("/boot/efi", "/dev/sda1", "vfat", "AAAA-1111")
MOUNTS = (Mount("/", "/dev/sda2", "ext4", ROOT_UUID), ESP)
GPT_ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"

Files = Mapping[str, str | bytes]


def storage(*, boot_code: bool = False) -> Storage:
    parts = (Partition(1, 1 << 20, 1 << 20, GPT_ESP), Partition(2, 2 << 20, 1 << 20, "83"))
    return Storage(
        (Disk("/dev/sda", 4 << 20, TableType.GPT, "1", boot_code=boot_code, partitions=parts),),
        (Filesystem("/dev/sda1", "vfat", "AAAA-1111"), Filesystem("/dev/sda2", "ext4", ROOT_UUID)),
        (),
    )


def view(esp: Files, *, distribution: str = "debian", **others: str) -> EfiView:
    files = {f"/boot/efi/{path}": content for path, content in esp.items()}
    guest = MemoryGuest({**files, **dict(others.items())})
    return EfiView(guest, storage(), MOUNTS, "x86_64", distribution)


SHIM_CHAIN: Files = {
    "EFI/debian/shimx64.efi": efi_programs.shim(),
    "EFI/debian/grubx64.efi": efi_programs.grub(),
    "EFI/debian/mmx64.efi": efi_programs.pe((b".text", b"mm")),
    "EFI/debian/fbx64.efi": efi_programs.pe((b".text", b"fb")),
    "EFI/debian/grub.cfg": STUB,
}
CSV = "\ufeffshimx64.efi,Debian,,comment\n".encode("utf-16-le")


@pytest.mark.parametrize(
    "esp",
    [
        SHIM_CHAIN,
        {"efi/boot/bootx64.efi": efi_programs.systemd_boot()},
        {"EFI/systemd/systemd-bootx64.efi": efi_programs.systemd_boot()},
        {"EFI/BOOT/BOOTX64.EFI": efi_programs.pe((b".text", b"any"))},
        {"EFI/arch/grubx64.efi": efi_programs.grub("(,gpt2)/boot/grub")},
        {"EFI/arch/grubx64.efi": efi_programs.grub("(memdisk)/boot/grub")},
        {"EFI/x/grubx64.efi": efi_programs.grub("(lvmid/a/b)/boot/grub")},
        {"EFI/arch/grubx64.efi": efi_programs.grub("/boot/grub", config=STUB)},
        {"EFI/suse/shim.efi": efi_programs.shim("grub.efi", "MokManager.efi"),
         "EFI/suse/grub.efi": efi_programs.grub(""), "EFI/suse/grub.cfg": STUB},
    ],
)  # fmt: skip
def test_uefi_is_possible(esp: Files) -> None:
    found = view(esp)
    assert found.starts(ESP)
    modes = boot_modes(found.guest, found.storage, MOUNTS)
    assert modes == {BootMode.UEFI}


@pytest.mark.parametrize(
    "esp",
    [
        {},
        {"EFI/BOOT/BOOTX64.EFI": b"", "EFI/debian/grubx64.efi": b"MZ"},
        {"EFI/BOOT/BOOTIA32.EFI": efi_programs.grub(machine=0x14C)},
        {"EFI/debian/grubx64.efi": efi_programs.grub(machine=0x14C), "EFI/debian/grub.cfg": STUB},
        {"EFI/debian/grubaa64.efi": efi_programs.grub(machine=0xAA64)},
        # A shim alone starts nothing; a GRUB whose configuration is nowhere does not either.
        {"EFI/debian/shimx64.efi": efi_programs.shim()},
        {"EFI/debian/grubx64.efi": efi_programs.grub()},
        {"EFI/debian/grubx64.efi": efi_programs.grub(), "EFI/debian/grub.cfg": LOST},
        {"EFI/arch/grubx64.efi": efi_programs.grub("(,gpt7)/boot/grub")},
        {"EFI/arch/grubx64.efi": efi_programs.grub("/boot/grub", config=LOST)},
        {"EFI/Microsoft/Boot/bootmgfw.efi": efi_programs.pe((b".text", b"w"))},
        {"EFI/Linux/kernel.efi": efi_programs.unified_kernel()},
    ],
)
def test_uefi_is_not_possible(esp: Files) -> None:
    found = view(esp)
    assert not found.starts(ESP)
    assert boot_modes(found.guest, found.storage, MOUNTS) == frozenset()


def test_a_missing_configuration_can_be_written_where_the_guest_has_its_own() -> None:
    esp: Files = {"EFI/debian/grubx64.efi": efi_programs.grub()}
    assert not view(esp).starts(ESP)
    assert view(esp, **{"/boot/grub/grub.cfg": "menuentry x {}"}).starts(ESP)


def test_the_boot_code_counts_for_bios() -> None:
    found = view({})
    assert boot_modes(found.guest, storage(boot_code=True), MOUNTS) == {BootMode.LEGACY_BIOS}


def test_programs_of_another_architecture_do_not_count() -> None:
    esp: Files = {
        "/boot/efi/EFI/BOOT/BOOTAA64.EFI": efi_programs.pe((b".text", b"x"), machine=0xAA64)
    }
    guest = MemoryGuest(esp)
    assert boot_modes(guest, storage(), MOUNTS) == frozenset()
    assert boot_modes(guest, storage(), MOUNTS, architecture="aarch64") == {BootMode.UEFI}
    assert boot_modes(guest, storage(), MOUNTS, architecture="i386") == frozenset()


class TestTheFallback:
    def test_shim_needs_its_second_stage(self) -> None:
        found = view({"EFI/BOOT/BOOTX64.EFI": efi_programs.shim()})
        loader = found.fallback(ESP)
        assert loader is not None
        assert "grubx64.efi" in found.lacking(ESP, loader)

    def test_the_fallback_program_goes_before_the_second_stage(self) -> None:
        esp: Files = {
            **SHIM_CHAIN,
            "EFI/BOOT/BOOTX64.EFI": efi_programs.shim(),
            "EFI/BOOT/fbx64.efi": efi_programs.pe((b".text", b"fb")),
        }
        without = view(esp)
        loader = without.fallback(ESP)
        assert loader is not None
        assert "CSV" in without.lacking(ESP, loader)
        assert view({**esp, "EFI/debian/BOOTX64.CSV": CSV}).lacking(ESP, loader) == ""
        gone = "\ufeffgone.efi,Debian,,\n".encode("utf-16-le")
        assert "CSV" in view({**esp, "EFI/debian/boot.csv": gone}).lacking(ESP, loader)

    def test_shim_in_a_vendors_directory_never_runs_the_fallback_program(self) -> None:
        found = view(SHIM_CHAIN)
        assert next(loader.path for loader in found.vendors(ESP)).endswith("debian/shimx64.efi")
        assert found.lacking(ESP, found.vendors(ESP)[0]) == ""


class TestTheBestLoader:
    def test_is_in_the_distributions_own_directory(self) -> None:
        esp: Files = {
            "EFI/almalinux/grubx64.efi": efi_programs.grub("/EFI/almalinux"),
            "EFI/almalinux/grub.cfg": STUB,
            "EFI/redhat/shimx64.efi": efi_programs.shim(),
            "EFI/redhat/grubx64.efi": efi_programs.grub("/EFI/redhat"),
            "EFI/redhat/grub.cfg": STUB,
        }
        best = [view(esp, distribution=name).vendors(ESP)[0].path for name in ("rhel", "almalinux")]
        assert best == [
            "/boot/efi/EFI/redhat/shimx64.efi",
            "/boot/efi/EFI/almalinux/grubx64.efi",
        ]

    def test_is_one_that_finds_all_it_needs(self) -> None:
        esp: Files = {
            "EFI/a/grubx64.efi": efi_programs.grub("/EFI/a"),
            "EFI/b/grubx64.efi": efi_programs.grub("/EFI/b"),
            "EFI/b/grub.cfg": STUB,
        }
        assert view(esp).vendors(ESP)[0].path == "/boot/efi/EFI/b/grubx64.efi"


class TestTheStub:
    def test_leads_to_the_filesystem_that_holds_the_configuration(self) -> None:
        mounts = (*MOUNTS, Mount("/boot", "/dev/sda3", "xfs", "b007"))
        guest = MemoryGuest({"/boot/grub2/grub.cfg": "menuentry x {}"})
        assert EfiView(guest, storage(), mounts).stub() == (
            "search.fs_uuid b007 root\nset prefix=($root)'/grub2'\nconfigfile $prefix/grub.cfg\n"
        )
        assert EfiView(guest, storage(), MOUNTS).stub() == (
            f"search.fs_uuid {ROOT_UUID} root\nset prefix=($root)'/boot/grub2'\n"
            "configfile $prefix/grub.cfg\n"
        )

    def test_counts_from_the_top_level_of_btrfs(self) -> None:
        guest = MemoryGuest({"/boot/grub/grub.cfg": "menuentry x {}"})
        root = Mount("/", "/dev/sda2", "btrfs", ROOT_UUID, subvolume="@rootfs")
        text = EfiView(guest, storage(), (root, ESP)).stub()
        assert text is not None
        assert "set prefix=($root)'/@rootfs/boot/grub'\n" in text

    def test_needs_a_uuid(self) -> None:
        guest = MemoryGuest({"/boot/grub/grub.cfg": "menuentry x {}"})
        assert EfiView(guest, storage(), (Mount("/", "/dev/sda2", "ext4"),)).stub() is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (STUB, ""),
        (STUB.upper().replace("SEARCH.FS_UUID", "search.fs_uuid"), ""),
        (f"search --no-floppy --fs-uuid --set=root --hint='hd0,gpt2' {ROOT_UUID}\n", ""),
        ("menuentry x {\n linux /vmlinuz root=UUID=99999999-2222-3333-4444-555555555555\n}\n", ""),
        (LOST, "99999999-2222-3333-4444-555555555555"),
        (LOST + STUB, ""),
        ("search --label boot\n", ""),
        ("", ""),
    ],
)
def test_where_a_configuration_leads(config: str, expected: str) -> None:
    assert view({}).leads_nowhere(config).endswith(expected)
    assert bool(view({}).leads_nowhere(config)) is bool(expected)
