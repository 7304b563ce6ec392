"""Drivers put into small images: what comes along, where it goes, and what stays."""

from __future__ import annotations

import lzma
from typing import TYPE_CHECKING

import pytest

from converter.formats import FormatError, cpio, initramfs, kmod, kmod_index
from converter.formats.cpio import Item, Kind
from converter.formats.initramfs_drivers import Addition, KernelModules, add_drivers
from converter.formats.kmod import Alias

if TYPE_CHECKING:
    from converter.formats.initramfs import Image

RELEASE = "6.1.0-1-amd64"
DEP = """\
kernel/nvme/nvme.ko.xz: kernel/nvme/nvme-core.ko.xz kernel/lib/crc.ko.xz
kernel/nvme/nvme-core.ko.xz: kernel/lib/crc.ko.xz
kernel/lib/crc.ko.xz:
kernel/lib/crc_generic.ko.xz:
kernel/block/xen-blkfront.ko.xz:
kernel/fs/ext4.ko.xz: kernel/lib/crc.ko.xz
"""
ALIAS = """\
alias pci:bc01sc08i02* nvme
alias xen:vbd xen_blkfront
alias fs-ext4 ext4
alias crc-impl crc_generic
"""
ELF = b"\x7fELF module of "


def load(path: str) -> bytes:
    return lzma.compress(ELF + path.encode())


def modules(
    *, dep: str = DEP, softdep: str = "", builtin: str = "kernel/drivers/net/ena.ko\n"
) -> KernelModules:
    return KernelModules(RELEASE, load, dep, ALIAS, softdep, builtin)


def image(files: dict[str, bytes], links: dict[str, str] | None = None) -> Image:
    return initramfs.read(archive(files, links))


def archive(files: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Give an archive of `files` with the directories they need, and of symlinks."""
    paths = [*files, *(links or {})]
    parts = [path.split("/") for path in paths]
    directories = {"/".join(p[:n]) for p in parts for n in range(1, len(p))}
    return cpio.write(
        [
            *(Item(path, Kind.DIRECTORY) for path in sorted(directories)),
            *(Item(path, Kind.SYMLINK, to.encode()) for path, to in (links or {}).items()),
            *(Item(path, data=data) for path, data in files.items()),
        ]
    )


BASE = f"usr/lib/modules/{RELEASE}"
SMALL = {
    f"{BASE}/kernel/lib/crc.ko.zst": b"module",
    f"{BASE}/kernel/fs/ext4.ko.zst": b"module",
    f"{BASE}/modules.dep": b"kernel/fs/ext4.ko.zst: kernel/lib/crc.ko.zst\n"
    b"kernel/lib/crc.ko.zst:\n",
    f"{BASE}/modules.alias": b"alias fs-ext4 ext4\n",
    f"{BASE}/modules.builtin": b"",
    "usr/lib/dracut/x": b"",
}
LIB = {"lib": "usr/lib"}


def unpacked(addition: Addition) -> dict[str, bytes]:
    assert addition.archive is not None
    entries = cpio.read(cpio.Source([addition.archive], limit=1 << 24))
    return {e.name: e.data or b"" for e in entries if not e.is_trailer}


def test_modules_come_with_what_they_need_and_uncompressed() -> None:
    addition = add_drivers(image(SMALL, LIB), modules(), ["nvme", "xen-blkfront"])
    assert addition.added == (
        f"{BASE}/kernel/nvme/nvme-core.ko",
        f"{BASE}/kernel/nvme/nvme.ko",
        f"{BASE}/kernel/block/xen-blkfront.ko",
    )
    assert addition.unavailable == ()
    files = unpacked(addition)
    assert files[f"{BASE}/kernel/nvme/nvme.ko"] == ELF + b"kernel/nvme/nvme.ko.xz"
    assert "lib" not in files
    assert BASE not in files
    assert f"{BASE}/kernel/nvme" in files


def test_the_indexes_know_old_and_new() -> None:
    files = unpacked(add_drivers(image(SMALL, LIB), modules(), ["nvme"]))
    dep = kmod.parse_dep(files[f"{BASE}/modules.dep"].decode())
    assert dep == {
        "kernel/fs/ext4.ko.zst": ("kernel/lib/crc.ko.zst",),
        "kernel/lib/crc.ko.zst": (),
        "kernel/nvme/nvme.ko": ("kernel/nvme/nvme-core.ko", "kernel/lib/crc.ko.zst"),
        "kernel/nvme/nvme-core.ko": ("kernel/lib/crc.ko.zst",),
    }
    assert kmod_index.read_dep(files[f"{BASE}/modules.dep.bin"]) == dep
    aliases = kmod.parse_alias(files[f"{BASE}/modules.alias"].decode())
    assert [alias.module for alias in aliases] == ["ext4", "nvme"]
    found = kmod_index.read_alias(files[f"{BASE}/modules.alias.bin"])
    assert found == (Alias("fs_ext4", "ext4"), Alias("pci:bc01sc08i02*", "nvme"))
    assert f"{BASE}/modules.builtin" not in files
    assert f"{BASE}/modules.softdep" not in files


def test_adding_twice_adds_nothing() -> None:
    base = archive(SMALL, LIB)
    first = add_drivers(initramfs.read(base), modules(), ["nvme"])
    assert first.archive is not None
    more = initramfs.append(initramfs.read(base), first.archive)
    result = initramfs.read(base + more)
    assert {"nvme", "nvme_core", "crc"} <= result.modules(RELEASE)
    assert add_drivers(result, modules(), ["nvme"]) == Addition(None)


def test_the_same_inputs_give_the_same_bytes() -> None:
    first, second = (add_drivers(image(SMALL, LIB), modules(), ["nvme"]) for _ in range(2))
    assert first == second


def test_builtin_is_present_and_unknown_is_unavailable() -> None:
    addition = add_drivers(image(SMALL, LIB), modules(), ["ena", "ext4", "vmw_pvscsi"])
    assert addition == Addition(None, (), ("vmw_pvscsi",))


def test_what_the_image_says_is_built_in_counts() -> None:
    files = SMALL | {f"{BASE}/modules.builtin": b"kernel/nvme/nvme.ko\n"}
    addition = add_drivers(image(files, LIB), modules(dep="", builtin=""), ["nvme"])
    assert addition == Addition(None)


def test_indexes_that_are_only_binary() -> None:
    dep = kmod.parse_dep(SMALL[f"{BASE}/modules.dep"].decode())
    alias = kmod.parse_alias("alias fs-ext4-x ext4\n")
    files = {path: data for path, data in SMALL.items() if "modules." not in path} | {
        f"{BASE}/modules.dep.bin": kmod_index.write_dep(dep),
        f"{BASE}/modules.alias.bin": kmod_index.write_alias(alias, order=["ext4"]),
    }
    new = unpacked(add_drivers(image(files, LIB), modules(), ["xen_blkfront"]))
    assert kmod_index.read_dep(new[f"{BASE}/modules.dep.bin"]) == dep | {
        "kernel/block/xen-blkfront.ko": ()
    }
    assert b"alias fs_ext4_x ext4\n" in new[f"{BASE}/modules.alias"]
    assert new[f"{BASE}/modules.builtin"] == b"kernel/drivers/net/ena.ko\n"
    assert kmod_index.read(new[f"{BASE}/modules.builtin.bin"]) == (kmod_index.Item("ena", ""),)


def test_an_index_of_modules_that_are_not_in_the_image() -> None:
    """Some images hold the whole root's indexes: what is not there must not be named."""
    files = SMALL | {f"{BASE}/modules.dep": DEP.encode(), f"{BASE}/modules.alias": ALIAS.encode()}
    new = unpacked(add_drivers(image(files, LIB), modules(), ["nvme"]))
    dep = kmod.parse_dep(new[f"{BASE}/modules.dep"].decode())
    assert set(dep) == {
        "kernel/nvme/nvme.ko",
        "kernel/nvme/nvme-core.ko",
        "kernel/lib/crc.ko.zst",
        "kernel/fs/ext4.ko.zst",
    }
    assert new[f"{BASE}/modules.alias"].count(b" nvme\n") == 1


def test_an_image_without_any_module() -> None:
    addition = add_drivers(image({"usr/lib/dracut/x": b""}, LIB), modules(), ["xen_blkfront"])
    assert addition.added == (f"{BASE}/kernel/block/xen-blkfront.ko",)
    assert {"usr/lib/modules", BASE} <= unpacked(addition).keys()


def test_an_image_without_a_usr() -> None:
    addition = add_drivers(image({"init": b""}), modules(), ["xen_blkfront"])
    assert addition.added == (f"lib/modules/{RELEASE}/kernel/block/xen-blkfront.ko",)


def test_soft_dependencies_come_along() -> None:
    softdep = "softdep crc pre: crc-impl\nsoftdep ext4 pre: nothing\nsoftdep nvme pre: none\n"
    addition = add_drivers(image(SMALL, LIB), modules(softdep=softdep), ["nvme"])
    assert f"{BASE}/kernel/lib/crc_generic.ko" in addition.added
    text = unpacked(addition)[f"{BASE}/modules.softdep"].decode()
    assert [soft.module for soft in kmod.parse_softdep(text)] == ["crc", "ext4", "nvme"]


def test_absolute_paths_of_old_indexes() -> None:
    dep = f"/lib/modules/{RELEASE}/kernel/xenblk.ko.xz:\n"
    addition = add_drivers(image(SMALL, LIB), modules(dep=dep), ["xenblk"])
    assert addition.added == (f"{BASE}/kernel/xenblk.ko",)


def test_initramfs_tools_is_told_to_load_them() -> None:
    files = SMALL | {"conf/initramfs.conf": b"", "conf/modules": b"ext4\nxen-blkfront x=1"}
    addition = add_drivers(image(files, LIB), modules(), ["nvme", "xen_blkfront", "ena", "none"])
    assert unpacked(addition)["conf/modules"] == b"ext4\nxen-blkfront x=1\nnvme\n"
    assert addition.unavailable == ("none",)


@pytest.mark.parametrize(
    "path", ["../../etc/nvme.ko", "/etc/nvme.ko", "a//nvme.ko", "kernel/nvme.txt", "./nvme.ko"]
)
def test_paths_that_lead_elsewhere(path: str) -> None:
    with pytest.raises(FormatError, match="is not the path of a module"):
        add_drivers(image(SMALL, LIB), modules(dep=f"{path}:\n"), ["nvme"])


def test_a_module_that_is_none() -> None:
    wrong = KernelModules(RELEASE, lambda _path: b"text", "kernel/nvme.ko:\n")
    with pytest.raises(FormatError, match="is not a kernel module"):
        add_drivers(image(SMALL, LIB), wrong, ["nvme"])
