from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.model import BootMode, Severity
from tests.unit import efi_programs
from tests.unit.boot_samples import BOOT, KERNEL, ROOT, Machine, link, machine
from tests.unit.grub_samples import FEDORA, SUSE, debian, environment

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG = "/boot/grub/grub.cfg"
OLDER = "5.10.0-8-amd64"
UEFI = {"/": 1, "/boot/efi": 4}
STUB = (
    f"search.fs_uuid {ROOT} root hd0,gpt1\n"
    "set prefix=($root)'/boot/grub'\n"
    "configfile $prefix/grub.cfg\n"
)
GRUB_EFI: dict[str, str | bytes] = {
    "/boot/efi/EFI/debian/grubx64.efi": efi_programs.grub(),
    "/boot/efi/EFI/debian/grub.cfg": STUB,
}
MACHINE_ID = "4a3f1c2b5d6e7f8091a2b3c4d5e6f708"
ENTRIES = "/boot/loader/entries"
NEW = "5.14.0-284.11.1.el9_2.x86_64"
OLD = "5.14.0-70.el9.x86_64"


def entry(version: str, options: str = "root=/dev/sda1 ro") -> str:
    return (
        f"title RHEL ({version})\nversion {version}\nlinux /vmlinuz-{version}\n"
        f"initrd /initramfs-{version}.img\noptions {options}\n"
    )


def rhel(
    env: str | None = None,
    entries: dict[str, str] | None = None,
    more: Mapping[str, str] = {},
) -> Machine:
    """RHEL 9 by BIOS, with /boot on a partition of its own."""
    made = entries if entries is not None else {v: entry(v) for v in (NEW, OLD, "0-rescue")}
    files: dict[str, str | bytes] = {
        "/boot/grub2/grub.cfg": FEDORA,
        "/boot/grub2/i386-pc/normal.mod": b"",
        **{f"{ENTRIES}/{MACHINE_ID}-{version}.conf": text for version, text in made.items()},
        **{f"/boot/vmlinuz-{version}": b"" for version in made},
        **more,
    }
    if env is not None:
        files["/boot/grub2/grubenv"] = env
    return machine(files, mounted={"/": 1, "/boot": 3})


PARTUUID = """\
if [ -s $prefix/grubenv ]; then set have_grubenv=true; load_env; fi
if [ "${initrdfail}" = 2 ]; then
   set initrdfail=
elif [ "${initrdfail}" = 1 ]; then
   set next_entry="${prev_entry}"
   set prev_entry=
fi
if [ "${next_entry}" ] ; then set default="${next_entry}"; else set default="0"; fi
function initrdfail { if [ -n "${have_grubenv}" ]; then set initrdfail=1; fi }
menuentry 'Ubuntu' {
    search --no-floppy --fs-uuid --set=root ROOT
    if [ "${initrdfail}" = 1 ]; then
      linux /boot/vmlinuz-KERNEL root=PARTUUID=x ro console=ttyS0
      initrd /boot/initrd.img-KERNEL
    else
      linux /boot/vmlinuz-KERNEL root=PARTUUID=x ro console=ttyS0 panic=-1
    fi
    initrdfail
}
""".replace("ROOT", ROOT).replace("KERNEL", KERNEL)


def test_an_initramfs_that_is_for_the_second_try() -> None:
    found = machine({CONFIG: PARTUUID})
    default = found.bootloader().default
    assert default is not None
    assert default.initramfs == f"/boot/initrd.img-{KERNEL}"
    assert "panic=-1" not in default.arguments
    assert found.findings()["initramfs-second"].severity is Severity.INFO


def test_no_initramfs_at_all() -> None:
    without = PARTUUID.replace(f"initrd /boot/initrd.img-{KERNEL}", "")
    found = machine({CONFIG: without})
    default = found.bootloader().default
    assert default is not None
    assert default.initramfs == ""
    assert "panic=-1" in default.arguments
    assert "initramfs-second" not in found.findings()


def test_debian() -> None:
    found = machine({CONFIG: debian()})
    loader = found.bootloader()
    assert (loader.kind, loader.config, loader.scripts) == ("grub2", CONFIG, (CONFIG,))
    assert loader.default is not None
    assert loader.default.kernel == f"/boot/vmlinuz-{KERNEL}"
    assert loader.default.initramfs == f"/boot/initrd.img-{KERNEL}"
    assert loader.default.arguments[0] == "root=/dev/sda1"
    assert [item.identifier for item in loader.entries] == [
        "gnulinux-simple-8d3b",
        "gnulinux-6.1.0-13-amd64-advanced-8d3b",
        "gnulinux-6.1.0-13-amd64-recovery-8d3b",
        "gnulinux-5.10.0-8-amd64-advanced-8d3b",
    ]
    assert found.findings() == {}


def test_paths_with_boot_on_a_partition_of_its_own() -> None:
    text = debian().replace("/boot/vmlinuz", "/vmlinuz").replace("/boot/initrd", "/initrd")
    text = text.replace(ROOT, BOOT).replace("hd0,msdos1", "hd0,msdos3")
    found = machine({CONFIG: text}, mounted={"/": 1, "/boot": 3})
    assert found.default() == f"/boot/vmlinuz-{KERNEL}"


def test_a_default_that_is_not_the_newest_is_kept() -> None:
    env = environment(saved_entry="gnulinux-advanced-8d3b>gnulinux-5.10.0-8-amd64-advanced-8d3b")
    found = machine({CONFIG: debian("${saved_entry}"), "/boot/grub/grubenv": env})
    assert found.default() == f"/boot/vmlinuz-{OLDER}"
    assert found.bootloader().environments == ("/boot/grub/grubenv",)


@pytest.mark.parametrize(
    ("env", "kernel"),
    [
        (environment(saved_entry="1>2", next_entry="0"), OLDER),
        (environment(saved_entry="0", prev_saved_entry="1>2"), OLDER),
    ],
)
def test_the_lasting_default_counts(env: str, kernel: str) -> None:
    found = machine({CONFIG: debian("${saved_entry}"), "/boot/grub/grubenv": env})
    assert found.default() == f"/boot/vmlinuz-{kernel}"


def test_a_default_that_is_gone_is_reported() -> None:
    finding = machine({CONFIG: debian("Debian, gone")}).findings()["default-entry-missing"]
    assert finding.severity is Severity.WARNING
    assert "'Debian, gone'" in finding.message
    assert "'Debian GNU/Linux'" in finding.message


@pytest.mark.parametrize("env", [b"saved_entry=1>2\n", b"\0" * 1024, b"\xff" * 100])
def test_a_broken_environment_is_ignored_as_grub_does(env: bytes) -> None:
    found = machine({CONFIG: debian("${saved_entry}"), "/boot/grub/grubenv": env})
    assert found.default() == f"/boot/vmlinuz-{KERNEL}"
    assert found.findings()["grubenv-invalid"].severity is Severity.WARNING


@pytest.mark.parametrize("env", [b"", b"# GRUB Environment Block\nsaved_entry=1>2"])
def test_empty_and_short_environments(env: bytes) -> None:
    found = machine({CONFIG: debian("${saved_entry}"), "/boot/grub/grubenv": env})
    assert found.findings() == {}
    assert found.default() == f"/boot/vmlinuz-{OLDER if env else KERNEL}"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("menuentry 'x {\n", "grub-unreadable"),
        ("", "default-kernel-unknown"),
        ("menuentry Windows { chainloader +1 }\n", "default-kernel-unknown"),
        ("menuentry x { configfile /other.cfg }\n", "default-kernel-unknown"),
        ("menuentry x { multiboot2 /xen.gz\n module2 /vmlinuz }\n", "default-is-hypervisor"),
        ("x" * (5 << 20), "grub-unreadable"),
    ],
)
def test_what_cannot_be_converted_is_refused(text: str, code: str) -> None:
    found = machine({CONFIG: text})
    assert found.findings()[code].severity is Severity.ERROR
    assert found.findings()[code].hint
    assert found.bootloader().default is None


def test_a_xen_default_names_an_entry_without() -> None:
    text = "menuentry Xen { multiboot /xen.gz }\nmenuentry 'Plain' { linux /boot/vmlinuz-1 }\n"
    assert "'Plain'" in machine({CONFIG: text}).findings()["default-is-hypervisor"].hint


def test_a_password_before_the_default_is_reported() -> None:
    text = f"set superusers=root\nmenuentry x {{ linux /boot/vmlinuz-{KERNEL} }}\n"
    assert "default-entry-locked" in machine({CONFIG: text}).findings()


def test_titles_that_are_not_utf8() -> None:
    data = f"menuentry 'D\xe9bian' {{ linux /boot/vmlinuz-{KERNEL} }}\n".encode("latin-1")
    found = machine({CONFIG: data})
    assert found.default() == f"/boot/vmlinuz-{KERNEL}"
    assert found.bootloader().entries[0].title == "D\udce9bian"


def test_microcode_is_not_the_initramfs() -> None:
    text = (
        f"menuentry x {{ linux /boot/vmlinuz-{KERNEL}\n"
        f"initrd /boot/intel-ucode.img /boot/initrd.img-{KERNEL} /boot/extra.img }}\n"
    )
    loader = machine({CONFIG: text}).bootloader()
    assert loader.default is not None
    assert loader.default.initramfs == f"/boot/initrd.img-{KERNEL}"


def test_suse_on_btrfs() -> None:
    release = "5.14.21-150500.53-default"
    found = machine(
        {
            "/boot/grub2/grub.cfg": SUSE,
            f"/boot/vmlinuz-{release}": b"",
            f"/boot/initrd-{release}": b"",
        },
        root_type="btrfs",
    )
    loader = found.bootloader()
    assert loader.default is not None
    assert (loader.default.kernel, loader.default.initramfs) == (
        f"/boot/vmlinuz-{release}",
        f"/boot/initrd-{release}",
    )


# --- BLS ------------------------------------------------------------------------------------------


def test_bls_entries() -> None:
    loader = rhel().bootloader()
    assert [item.identifier for item in loader.entries] == [
        f"{MACHINE_ID}-{version}" for version in (NEW, OLD, "0-rescue")
    ]
    assert loader.default is not None
    assert loader.default.kernel == f"/boot/vmlinuz-{NEW}"
    assert loader.default.source == f"{ENTRIES}/{MACHINE_ID}-{NEW}.conf"


@pytest.mark.parametrize("saved", [f"{MACHINE_ID}-{OLD}", "1", f"RHEL ({OLD})"])
def test_the_saved_bls_entry(saved: str) -> None:
    found = rhel(environment(saved_entry=saved))
    assert found.default() == f"/boot/vmlinuz-{OLD}"
    assert found.findings() == {}


def test_a_saved_bls_entry_that_is_gone() -> None:
    found = rhel(environment(saved_entry=f"{MACHINE_ID}-gone"))
    finding = found.findings()["default-entry-missing"]
    assert finding.severity is Severity.WARNING
    assert finding.service_message == "BLSC-style GRUB found, but unable to detect default kernel"
    assert found.default() == f"/boot/vmlinuz-{NEW}"


def test_no_bls_entries() -> None:
    finding = rhel(entries={}).findings()["default-kernel-unknown"]
    assert finding.severity is Severity.ERROR
    assert finding.service_message == "BLSC-style GRUB found, but unable to detect default kernel"


def test_backups_and_entries_without_kernels_are_no_entries() -> None:
    more = {
        f"{ENTRIES}/a.conf.rpmsave": entry("9"),
        f"{ENTRIES}/b.conf": "title nothing\n",
        f"{ENTRIES}/.c.conf": entry("9"),
    }
    assert len(rhel(more=more).bootloader().entries) == 3


def test_kernelopts() -> None:
    found = rhel(
        environment(kernelopts="root=/dev/mapper/vg-root ro", saved_entry=f"{MACHINE_ID}-{NEW}"),
        {NEW: entry(NEW, "$kernelopts $tuned_params")},
    )
    loader = found.bootloader()
    assert loader.default is not None
    assert loader.default.arguments == ("root=/dev/mapper/vg-root", "ro")


# --- UEFI -----------------------------------------------------------------------------------------


def test_a_wrapper_on_the_esp_leads_to_the_real_one() -> None:
    found = machine({CONFIG: debian("1>2"), **GRUB_EFI}, loader="", mounted=UEFI)
    loader = found.bootloader()
    assert loader.firmware == {BootMode.UEFI}
    assert loader.config == CONFIG
    assert loader.scripts == ("/boot/efi/EFI/debian/grub.cfg", CONFIG)
    assert found.default() == f"/boot/vmlinuz-{OLDER}"
    assert found.findings() == {}


def test_the_real_one_on_the_esp() -> None:
    """EL 7 and 8: grubenv in /boot/grub2 is a link to the ESP."""
    on_esp = "/boot/efi/EFI/debian"
    found = machine(
        {
            f"{on_esp}/grubx64.efi": efi_programs.grub(),
            f"{on_esp}/grub.cfg": debian("${saved_entry}"),
            f"{on_esp}/grubenv": environment(saved_entry="1>2"),
            "/boot/grub2/grubenv": link("../efi/EFI/debian/grubenv"),
        },
        loader="",
        mounted=UEFI,
    )
    loader = found.bootloader()
    assert loader.config == f"{on_esp}/grub.cfg"
    assert loader.environments == (f"{on_esp}/grubenv",)
    assert found.default() == f"/boot/vmlinuz-{OLDER}"


def test_a_real_one_on_the_esp_and_one_left_in_boot() -> None:
    on_esp = "/boot/efi/EFI/debian"
    found = machine(
        {
            f"{on_esp}/grubx64.efi": efi_programs.grub(),
            f"{on_esp}/grub.cfg": debian("1>2"),
            "/boot/grub2/grub.cfg": debian("0"),
        },
        loader="",
        mounted=UEFI,
    )
    assert found.bootloader().config == f"{on_esp}/grub.cfg"
    finding = found.findings()["several-grub-configs"]
    assert finding.severity is Severity.INFO
    assert finding.service_message == "Multiple different grub/menu.lst files found."


def test_a_grub_that_was_built_for_boot_reads_that() -> None:
    found = machine(
        {
            CONFIG: debian(),
            "/boot/efi/EFI/BOOT/BOOTX64.EFI": efi_programs.grub("(,gpt1)/boot/grub"),
        },
        loader="",
        mounted=UEFI,
    )
    assert found.bootloader().config == CONFIG


def test_both_firmwares_are_served() -> None:
    on_esp = "/boot/efi/EFI/debian"
    found = machine(
        {
            CONFIG: debian("0"),
            f"{on_esp}/grubx64.efi": efi_programs.grub(),
            f"{on_esp}/grub.cfg": debian("1>2"),
        },
        mounted=UEFI,
    )
    loader = found.bootloader()
    assert loader.firmware == {BootMode.UEFI, BootMode.LEGACY_BIOS}
    assert loader.config == CONFIG
    assert set(loader.scripts) == {CONFIG, f"{on_esp}/grub.cfg"}
    assert found.findings()["several-grub-configs"].severity is Severity.INFO


# --- several in /boot -----------------------------------------------------------------------------


def test_two_that_start_the_same_are_no_matter() -> None:
    found = machine({CONFIG: debian(), "/boot/grub2/grub.cfg": debian(timeout="9")})
    assert found.findings() == {}


def test_two_that_differ_are_refused() -> None:
    found = machine({CONFIG: debian("0"), "/boot/grub2/grub.cfg": debian("1>2")})
    finding = found.findings()["several-grub-configs"]
    assert finding.severity is Severity.ERROR
    assert CONFIG in finding.message
    assert "/boot/grub2/grub.cfg" in finding.message
    assert finding.service_message == "Multiple different grub/menu.lst files found."


def test_the_one_beside_grubs_modules_is_read() -> None:
    found = machine(
        {
            CONFIG: debian("1>2"),
            "/boot/grub/i386-pc/normal.mod": b"",
            "/boot/grub2/grub.cfg": debian("0"),
        }
    )
    assert found.bootloader().config == CONFIG
    assert found.findings()["several-grub-configs"].severity is Severity.INFO


def test_links_are_one_file() -> None:
    found = machine({CONFIG: debian(), "/boot/grub2": link("grub")})
    assert found.bootloader().config == CONFIG
    assert found.findings() == {}
