from __future__ import annotations

import struct

import pytest

from converter.data import load
from converter.model import Severity
from tests.unit import efi_programs
from tests.unit.boot_samples import KERNEL, Machine, machine
from tests.unit.grub_samples import debian
from tests.unit.inspection.test_grub_legacy import menu

UEFI = {"/": 1, "/boot/efi": 4}
CFG = "/boot/grub/grub.cfg"
LST = "/boot/grub/menu.lst"


def test_nothing_is_refused() -> None:
    found = machine({"/etc/fstab": ""})
    assert found.inspect()[0] is None
    finding = found.findings()["bootloader-missing"]
    assert finding.severity is Severity.ERROR
    assert finding.hint


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("lilo", "/etc/lilo.conf"),
        ("elilo", "/etc/elilo.conf"),
        ("elilo", "/boot/efi/efi/SuSE/elilo.conf"),
        ("extlinux", "/boot/extlinux/extlinux.conf"),
        ("refind", "/boot/efi/EFI/refind/refind.conf"),
        ("zipl", "/etc/zipl.conf"),
        ("unified-kernel-image", "/boot/efi/EFI/Linux/fedora.efi"),
    ],
)
def test_others_are_named(kind: str, path: str) -> None:
    found = machine({path: ""}, loader="")
    finding = found.findings()["bootloader-unsupported"]
    assert finding.severity is Severity.ERROR
    assert kind in finding.message
    assert path in finding.message
    assert found.bootloader().kind == kind


def test_every_row_names_absolute_patterns() -> None:
    data = load("linux")
    rows = [*data["other_bootloaders"].values(), data["grub2"]["configs"]]
    assert all(path.startswith("/") for row in rows for path in row)


def test_what_lilo_left_does_not_matter_where_grub_starts() -> None:
    found = machine({CFG: debian(), "/etc/lilo.conf": ""})
    assert found.bootloader().kind == "grub2"
    assert found.findings() == {}


def test_lilo_that_starts_is_refused_whatever_grub_left() -> None:
    found = machine({CFG: debian(), "/etc/lilo.conf": ""}, loader="lilo")
    assert found.bootloader().kind == "lilo"
    assert "bootloader-unsupported" in found.findings()


@pytest.mark.parametrize(("loader", "kind"), [("grub2", "grub2"), ("grub-legacy", "grub-legacy")])
def test_the_boot_code_tells_which_grub(loader: str, kind: str) -> None:
    found = machine({CFG: debian(), LST: menu()}, loader=loader)
    assert found.bootloader().kind == kind
    assert found.findings()["several-grub-configs"].severity is Severity.INFO


@pytest.mark.parametrize(
    ("installed", "kind"),
    [("/boot/grub/i386-pc/normal.mod", "grub2"), ("/boot/grub/stage2", "grub-legacy")],
)
def test_what_is_installed_tells_which_grub(installed: str, kind: str) -> None:
    """As on images of old clouds, whose menu.lst is for the hypervisor's own GRUB."""
    found = machine({CFG: debian(), LST: menu(), installed: b""}, loader="active-partition")
    assert found.bootloader().kind == kind
    assert found.findings()["several-grub-configs"].severity is Severity.INFO


@pytest.mark.parametrize("both", [(), ("/boot/grub/stage2", "/boot/grub/i386-pc/normal.mod")])
def test_what_cannot_be_told_is_refused(both: tuple[str, ...]) -> None:
    files: dict[str, str | bytes] = {CFG: debian(), LST: menu(), **dict.fromkeys(both, b"")}
    finding = machine(files, loader="active-partition").findings()["several-grub-configs"]
    assert finding.severity is Severity.ERROR
    assert finding.service_message == "Multiple different grub/menu.lst files found."


def uefi(program: bytes) -> Machine:
    return machine(
        {
            "/boot/efi/EFI/BOOT/BOOTX64.EFI": program,
            "/boot/efi/loader/loader.conf": "",
            "/boot/efi/loader/entries/x.conf": f"linux /vmlinuz-{KERNEL}\noptions ro\n",
            f"/boot/efi/vmlinuz-{KERNEL}": b"",
            CFG: debian(),
        },
        loader="",
        mounted=UEFI,
    )


def test_the_efi_program_tells() -> None:
    assert uefi(efi_programs.systemd_boot()).bootloader().kind == "systemd-boot"
    assert uefi(efi_programs.grub("(,gpt1)/boot/grub")).bootloader().kind == "grub2"


def test_a_grub_of_a_partition_that_no_table_can_have() -> None:
    prefix = f"(hd0,gpt{'1' * 5000})/boot/grub"
    assert uefi(efi_programs.grub(prefix)).bootloader().kind == "grub2"


def test_a_unified_kernel_image_that_firmware_starts_is_refused() -> None:
    found = uefi(efi_programs.unified_kernel())
    assert found.bootloader().kind == "unified-kernel-image"
    assert "bootloader-unsupported" in found.findings()


# --- the default's kernel -------------------------------------------------------------------------


def image(release: str) -> bytes:
    """A bzImage's header with the release in it."""
    head = bytearray(0x400)
    head[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", head, 0x20E, 0x100)
    text = f"{release} (builder@host) #1 SMP\0".encode()
    head[0x300 : 0x300 + len(text)] = text
    return bytes(head)


def started(release: str, name: str = "", arguments: str = "ro") -> dict[str, Severity]:
    path = f"/boot/{name or f'vmlinuz-{release}'}"
    text = f"menuentry x {{ linux {path} {arguments}\n initrd /boot/i }}\n"
    found = machine({CFG: text, path: image(release), "/boot/i": b""})
    return {code: finding.severity for code, finding in found.findings().items()}


@pytest.mark.parametrize("release", ["2.6.18-398.el5xen", "3.0.101-63-xen"])
def test_kernels_for_old_xen_are_refused(release: str) -> None:
    assert started(release) == {"kernel-xen-only": Severity.ERROR}


@pytest.mark.parametrize("release", ["2.6.18-398.el5", "2.6.32-5-xen-amd64", "3.0.101-63-default"])
def test_other_kernels_are_not(release: str) -> None:
    assert started(release) == {}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vmlinuz-0-rescue-4a3f1c2b5d6e7f80", "ro"),
        ("", "ro single"),
        ("", "ro systemd.unit=rescue.target"),
        ("", "ro recovery nomodeset"),
    ],
)
def test_a_default_for_rescue_is_reported(name: str, arguments: str) -> None:
    assert started("6.1.0", name, arguments) == {"default-is-rescue": Severity.WARNING}
