"""What bootloaders read: menus, environment blocks, entries; and what starts them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from converter.disk import core_image as core_codec
from converter.formats import bls as bls_codec
from converter.formats import efi_program as efi_codec
from converter.formats import grub_edit, grub_modules, kernel_args
from converter.formats import grub_legacy as legacy_codec
from converter.formats import grub_menu as menus
from converter.formats import grubenv as env_codec
from tests.fuzz import seeds
from tests.fuzz.target import of_bytes, of_text
from tests.fuzz.targets.texts import renamed
from tests.unit import efi_programs, grub_samples
from tests.unit.disk import core_images
from tests.unit.formats import test_bls, test_grub_legacy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.formats.kernel_args import Edit

_SCRIPT = """\
function f { if [ -f $1 -a ! -d /x ]; then return 1; elif true; then set a="$a$1"; fi; }
for i in 1 2 '3 4'; do f /boot/$i; done
while [ "$n" -lt 3 ]; do n=1$n; break; done
submenu "more" --id m { menuentry 'A "b"' --class x $menu { linux /vmlinuz root=/dev/sda1 ; } }
load_env; save_env saved_entry; source $prefix/custom.cfg; configfile (hd0,gpt2)/x.cfg; blscfg
"""


def _entry_edit(words: Sequence[str], _has_initramfs: bool) -> Edit:  # noqa: FBT001
    return renamed(words)


@of_text(
    seeds.guests(
        "*/grub.cfg",
        more=[grub_samples.debian(), grub_samples.FEDORA, grub_samples.SUSE, _SCRIPT],
    )
)
def grub_cfg(text: str) -> None:
    menu = grub_samples.menu(
        text,
        grub_samples.environment(saved_entry="1>0", next_entry="x"),
        **{"(hd0,msdos1)/boot/loader/entries/a.conf": test_bls.ENTRY, "/custom.cfg": "set x=1\n"},
    )
    list(menus.all_entries(menu))
    menus.select(menu)


def _settled(once: str) -> None:
    once = grub_edit.Script(once).with_variables(["kernelopts", "a"], renamed)
    settled = grub_edit.Script(once).with_timeout(5)
    assert grub_edit.Script(settled).with_timeout(5) == settled


@of_text(
    seeds.guests(
        "*/grub.cfg",
        more=[grub_samples.debian(), grub_samples.FEDORA, grub_samples.SUSE, _SCRIPT],
    ),
    then=_settled,
)
def grub_cfg_edits(text: str) -> str:
    script = grub_edit.Script(text)
    script.argument_variables()
    script.assigns("x")
    return script.with_arguments(_entry_edit)


@of_text(
    seeds.guests("*/menu.lst", "*/grub.conf", more=[test_grub_legacy.RHEL, test_grub_legacy.DEBIAN])
)
def grub_legacy(text: str) -> None:
    menu = legacy_codec.parse(text)
    legacy_codec.choose(menu, menu.get("default") or "saved")
    legacy_codec.saved_default(text)
    legacy_codec.parse(menu.with_arguments(_entry_edit))
    menu.with_settings(renamed)
    settled = menu.with_timeout(5)
    assert legacy_codec.parse(settled).with_timeout(5) == settled


@of_text(seeds.guests("*/entries/*.conf", "*/loader.conf", more=[test_bls.ENTRY]))
def bls(text: str) -> None:
    entry = bls_codec.parse(text)
    assert str(entry) == text
    edited = bls_codec.parse(str(entry.with_options(renamed)))
    assert str(edited.with_options(lambda _: kernel_args.Edit({}, ()))) == str(edited)
    assert bls_codec.parse(str(entry.with_value("timeout", "5"))).get("timeout") == "5"
    bls_codec.sort([("a", entry), ("b", edited), ("c", bls_codec.parse(test_bls.ENTRY))])
    bls_codec.matches("fedora-39", entry.get("default") or text[:4096])


def _environments() -> Iterable[bytes]:
    yield grub_samples.environment(saved_entry="a\\\\b", kernelopts="root=/dev/sda1 ro").encode()
    yield b"# GRUB Environment Block\n# WARNING\nnext_entry=\nx=1\n".ljust(1024, b"#")


@of_bytes(_environments)
def grubenv(data: bytes) -> None:
    variables = env_codec.parse(data)
    written = env_codec.with_values(data, env_codec.one_time(variables) | {"new": "a\nb\\"})
    assert env_codec.parse(written)["new"] == "a\nb\\"


def _programs() -> Iterable[bytes]:
    yield efi_programs.grub(config="search --fs-uuid x\n")
    yield efi_programs.shim()
    yield efi_programs.systemd_boot()
    yield efi_programs.unified_kernel()
    yield efi_programs.pe((b".text", b"\x90" * 16), subsystem=1)


@of_bytes(_programs, large=True)
def efi_program(data: bytes) -> None:
    efi_codec.parse(data)


def _cores() -> Iterable[bytes]:
    yield core_images.core_image("biosdisk", "part_gpt", config="set root=x")


@of_bytes(_cores)
def core_image(data: bytes) -> None:
    core_codec.block_list(data[:512].ljust(512, b"\0"))
    image = core_codec.parse(data)
    image.build(1)


@of_bytes(
    lambda: [
        efi_programs.elf_module("normal", "boot", "crypto"),
        efi_programs.elf_module("normal", "boot", wide=False),
    ]
)
def grub_module(data: bytes) -> None:
    grub_modules.module_name(data)
    grub_modules.module_dependencies(data)


@of_bytes(lambda: [efi_programs.module_objects("/x", "a", [efi_programs.elf_module("a", "b")])])
def grub_objects(data: bytes) -> None:
    header = struct.pack("<4sII", b"mimg", 12, 12 + len(data))
    modules = grub_modules.parse32(header + data)
    assert modules.names is not None
    made = grub_modules.parse32(grub_modules.build32(modules.objects))
    assert (made.prefix, made.config) == (modules.prefix, modules.config)
