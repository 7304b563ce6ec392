from __future__ import annotations

import pytest

from converter.model import Severity
from tests.unit.boot_samples import ROOT, Machine, link, machine

CONF = "/boot/grub/grub.conf"
LST = "/boot/grub/menu.lst"
NEW = "2.6.32-754.el6.x86_64"
OLD = "2.6.32-71.el6.x86_64"


def menu(default: str = "0", path: str = "/boot", root: str = "root (hd0,0)") -> str:
    entries = "".join(
        f"title Linux ({release})\n\t{root}\n"
        f"\tkernel {path}/vmlinuz-{release} ro root=/dev/sda1 rhgb quiet\n"
        f"\tinitrd {path}/initramfs-{release}.img\n"
        for release in (NEW, OLD)
    )
    return f"default={default}\ntimeout=5\nhiddenmenu\n{entries}"


def legacy(text: str, path: str = CONF, **more: str | bytes) -> Machine:
    files: dict[str, str | bytes] = {path: text, **more}
    for release in (NEW, OLD):
        files |= {f"/boot/vmlinuz-{release}": b"", f"/boot/initramfs-{release}.img": b""}
    return machine(files, loader="grub-legacy")


def test_red_hats_menu_and_its_link() -> None:
    found = machine({CONF: menu(), LST: link("./grub.conf")}, loader="grub-legacy")
    loader = found.bootloader()
    assert (loader.kind, loader.config, loader.scripts) == ("grub-legacy", CONF, (CONF,))
    assert loader.default is not None
    assert loader.default.kernel == f"/boot/vmlinuz-{NEW}"
    assert loader.default.initramfs == f"/boot/initramfs-{NEW}.img"
    assert loader.default.arguments == ("ro", "root=/dev/sda1", "rhgb", "quiet")
    assert [entry.title for entry in loader.entries] == [f"Linux ({NEW})", f"Linux ({OLD})"]
    assert found.findings() == {}


def test_a_link_from_grub_conf() -> None:
    found = machine({LST: menu(), CONF: link("menu.lst")}, loader="grub-legacy")
    assert found.bootloader().config == LST
    assert found.findings() == {}


@pytest.mark.parametrize(
    ("default", "release", "code"),
    [
        ("1", OLD, ""),
        ("saved", OLD, ""),
        ("9", NEW, "default-entry-missing"),
        ("x", NEW, "default-entry-missing"),
    ],
)
def test_the_default(default: str, release: str, code: str) -> None:
    found = legacy(menu(default), **{"/boot/grub/default": "1\n#\n#\n"})
    assert found.default() == f"/boot/vmlinuz-{release}"
    assert list(found.findings()) == ([code] if code else [])


def test_saved_without_a_file_is_the_first() -> None:
    assert legacy(menu("saved")).default() == f"/boot/vmlinuz-{NEW}"


@pytest.mark.parametrize(
    "root", ["root (hd0,2)", "uuid 5b6b1f2e-1111-2222-3333-444455556666", "rootnoverify (hd0,2)"]
)
def test_paths_on_a_partition_of_their_own(root: str) -> None:
    files: dict[str, str | bytes] = {LST: menu(path="", root=root), f"/boot/vmlinuz-{NEW}": b""}
    found = machine(files, loader="grub-legacy", mounted={"/": 1, "/boot": 3})
    assert found.default() == f"/boot/vmlinuz-{NEW}"


def test_files_with_their_device() -> None:
    text = menu().replace("root (hd0,0)", "").replace("/boot/", "(hd0,0)/boot/")
    assert legacy(text).default() == f"/boot/vmlinuz-{NEW}"


def test_xen_is_refused() -> None:
    text = (
        f"default 0\ntitle Xen\nkernel /boot/xen.gz\nmodule /boot/vmlinuz-{NEW} root=/dev/sda1\n"
        f"title Linux\nkernel /boot/vmlinuz-{NEW}\n"
    )
    found = legacy(text)
    finding = found.findings()["default-is-hypervisor"]
    assert finding.severity is Severity.ERROR
    assert found.bootloader().default is None
    assert len(found.bootloader().entries) == 1


@pytest.mark.parametrize("text", ["", "default 0\n", "title Windows\nchainloader +1\n"])
def test_no_linux_is_refused(text: str) -> None:
    assert legacy(text).findings()["default-kernel-unknown"].severity is Severity.ERROR


def test_a_menu_that_is_too_large_is_refused() -> None:
    assert "grub-unreadable" in legacy("#" * (5 << 20)).findings()


def test_two_menus_that_differ() -> None:
    both: dict[str, str | bytes] = {LST: menu("1"), CONF: menu("0")}
    refused = legacy(menu("0"), **{LST: menu("1")}).findings()["several-grub-configs"]
    assert refused.severity is Severity.ERROR
    assert refused.service_message == "Multiple different grub/menu.lst files found."
    for name, release in (("menu.lst", OLD), ("grub.conf", NEW)):
        stage2 = bytes(0x212) + b"0.97\0/boot/grub/" + name.encode() + b"\0" + bytes(600)
        told = machine(
            {**both, "/boot/grub/stage2": stage2, f"/boot/vmlinuz-{release}": b""},
            loader="grub-legacy",
        )
        assert told.default() == f"/boot/vmlinuz-{release}"
        assert told.findings()["several-grub-configs"].severity is Severity.INFO


def test_two_menus_that_are_the_same() -> None:
    assert legacy(menu(), **{LST: menu()}).findings() == {}


def test_red_hats_uefi_build_reads_the_esp() -> None:
    path = "/boot/efi/EFI/redhat/grub.conf"
    found = machine({path: menu("1")}, loader="", mounted={"/": 1, "/boot/efi": 4})
    assert found.bootloader().config == path
    assert found.bootloader().default is not None


def test_the_root_is_that_of_the_whole_menu_where_the_entry_has_none() -> None:
    text = f"root (hd0,0)\ntitle x\nkernel /boot/vmlinuz-{NEW} root=UUID={ROOT}\n"
    assert legacy(text).default() == f"/boot/vmlinuz-{NEW}"
