from __future__ import annotations

import pytest

from converter.model import Severity
from tests.unit import efi_programs
from tests.unit.boot_samples import XBOOTLDR_TYPE, Machine, machine

PROGRAM = "EFI/BOOT/BOOTX64.EFI"


def entry(kernel: str = "/vmlinuz-linux", **more: str) -> str:
    lines = {"title": "Arch", "linux": kernel, "options": "root=/dev/sda1 rw", **more}
    return "".join(f"{key.replace('_', '-')} {value}\n" for key, value in lines.items())


def arch(loader: str = "timeout 3\n", *, esp: str = "/boot", **entries: str) -> Machine:
    """Arch with its ESP at /boot or /efi."""
    files: dict[str, str | bytes] = {
        f"{esp}/{PROGRAM}": efi_programs.systemd_boot(),
        f"{esp}/loader/loader.conf": loader,
        f"{esp}/vmlinuz-linux": b"",
        f"{esp}/initramfs-linux.img": b"",
    }
    for name, text in (entries or {"arch": entry(initrd="/initramfs-linux.img")}).items():
        files[f"{esp}/loader/entries/{name.replace('_', '-')}.conf"] = text
    return machine(files, loader="", mounted={"/": 1, esp: 4})


@pytest.mark.parametrize("esp", ["/boot", "/efi", "/boot/efi"])
def test_an_entry_on_the_esp(esp: str) -> None:
    found = arch(esp=esp)
    loader = found.bootloader()
    assert (loader.kind, loader.config) == ("systemd-boot", f"{esp}/loader/loader.conf")
    assert loader.default is not None
    assert loader.default.kernel == f"{esp}/vmlinuz-linux"
    assert loader.default.initramfs == f"{esp}/initramfs-linux.img"
    assert loader.default.arguments == ("root=/dev/sda1", "rw")
    assert loader.default.source == f"{esp}/loader/entries/arch.conf"
    assert found.findings() == {}


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ("default arch-lts\n", "arch-lts"),
        ("default arch-l*.conf\n", "arch-lts"),
        ("#default arch-lts\n", "zen"),
        ("", "zen"),
        ("default @saved\n", "zen"),
        ("default gone\n", "zen"),
    ],
)
def test_the_default(config: str, name: str) -> None:
    found = arch(config, arch=entry(), arch_lts=entry(), zen=entry())
    loader = found.bootloader()
    assert loader.default is not None
    assert loader.default.identifier == f"{name}.conf"
    assert ("default-entry-missing" in found.findings()) == ("gone" in config)


def test_the_newest_comes_first() -> None:
    loader = arch(
        a=entry("/k1", sort_key="arch", version="6.9.1"),
        b=entry("/k2", sort_key="arch", version="6.10.0"),
    ).bootloader()
    assert [item.kernel for item in loader.entries] == ["/boot/k2", "/boot/k1"]


def test_entries_on_an_extended_boot_partition() -> None:
    found = machine(
        {
            f"/efi/{PROGRAM}": efi_programs.systemd_boot(),
            "/efi/loader/loader.conf": "timeout 0\n",
            "/boot/loader/entries/x.conf": entry("/id/6.1/linux", initrd="/id/6.1/initrd"),
            "/boot/id/6.1/linux": b"",
            "/boot/id/6.1/initrd": b"",
        },
        loader="",
        mounted={"/": 1, "/boot": 3, "/efi": 4},
        types={3: XBOOTLDR_TYPE},
    )
    loader = found.bootloader()
    assert loader.default is not None
    assert loader.default.kernel == "/boot/id/6.1/linux"
    assert loader.default.initramfs == "/boot/id/6.1/initrd"


def test_a_unified_kernel_image_as_default_is_refused() -> None:
    found = machine(
        {
            f"/boot/{PROGRAM}": efi_programs.systemd_boot(),
            "/boot/loader/loader.conf": "default arch-linux.efi\n",
            "/boot/EFI/Linux/arch-linux.efi": efi_programs.unified_kernel(),
        },
        loader="",
        mounted={"/": 1, "/boot": 4},
    )
    finding = found.findings()["bootloader-unsupported"]
    assert finding.severity is Severity.ERROR
    assert "arch-linux.efi" in finding.message
    assert found.bootloader().default is None


@pytest.mark.parametrize("entries", [{"x": "title nothing\n"}, {"x": "efi /shell.efi\n"}])
def test_no_linux_is_refused(entries: dict[str, str]) -> None:
    found = arch("default x\n", **entries)
    assert found.findings()["default-kernel-unknown"].severity is Severity.ERROR


def test_without_its_program_and_configuration_it_is_not_there() -> None:
    found = machine(
        {"/boot/loader/entries/x.conf": entry()}, loader="", mounted={"/": 1, "/boot": 4}
    )
    assert "bootloader-missing" in found.findings()
