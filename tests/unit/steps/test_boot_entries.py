from __future__ import annotations

import pytest

from converter.steps import boot_entries
from tests.unit.boot_samples import ROOT, codes
from tests.unit.inspection.test_grub2 import ENTRIES, MACHINE_ID, NEW, OLD, entry, rhel
from tests.unit.inspection.test_systemd_boot import arch
from tests.unit.inspection.test_systemd_boot import entry as arch_entry

CONSOLES = "console=tty0 console=ttyS0,115200n8"


def test_every_entry_is_edited() -> None:
    found = rhel()
    plan = found.convert(boot_entries.STEP)
    for version in (NEW, OLD, "0-rescue"):
        path = f"{ENTRIES}/{MACHINE_ID}-{version}.conf"
        assert codes(plan, path) == ["grub-device-name", "grub-console"]
        assert found.text(path) == entry(version, f"root=UUID={ROOT} ro {CONSOLES}")


def test_an_entry_whose_options_are_a_variable_stays() -> None:
    found = rhel(entries={NEW: entry(NEW, "$kernelopts $tuned_params")})
    assert found.plan(boot_entries.STEP).changes == ()


def test_tuneds_variable_is_no_reason_to_stay() -> None:
    found = rhel(entries={NEW: entry(NEW, "root=UUID=x ro $tuned_params")})
    found.convert(boot_entries.STEP)
    text = found.text(f"{ENTRIES}/{MACHINE_ID}-{NEW}.conf")
    assert f"options root=UUID=x ro $tuned_params {CONSOLES}\n" in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("root=/dev/sda1 ro quiet\n", f"root=UUID={ROOT} ro quiet {CONSOLES}\n"),
        ("root=UUID=x ro", f"root=UUID=x ro {CONSOLES}"),
        (f"root=UUID=x {CONSOLES}\n", f"root=UUID=x {CONSOLES}\n"),
    ],
)
def test_new_kernels_get_the_same(old: str, new: str) -> None:
    found = rhel(more={"/etc/kernel/cmdline": old})
    found.convert(boot_entries.STEP)
    assert found.text("/etc/kernel/cmdline") == new


def test_systemd_boots_entries_have_codes_of_their_own() -> None:
    found = arch(arch=arch_entry(initrd="/initramfs-linux.img"))
    plan = found.convert(boot_entries.STEP)
    path = "/boot/loader/entries/arch.conf"
    assert codes(plan, path) == ["loader-device-name", "loader-console"]
    assert f"options root=UUID={ROOT} rw {CONSOLES}\n" in found.text(path)


def test_without_an_initramfs_by_the_partition() -> None:
    found = arch(arch=arch_entry())
    found.convert(boot_entries.STEP)
    assert f"options root=PARTUUID=pu-1 rw {CONSOLES}\n" in found.text(
        "/boot/loader/entries/arch.conf"
    )
