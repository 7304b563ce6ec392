"""GRUB on an image, as grub-install and grub-setup would put it there.

UEFI: Debian's signed shim and GRUB under EFI/debian, and again under EFI/BOOT as with grub-efi's
"force_efi_extra_removable"; both read EFI/debian/grub.cfg, which leads to /boot/grub.

boot.img goes to the first sector; core.img to the gap behind it (MBR) or to the BIOS boot partition
(GPT). boot.img finds core.img by a sector number, and the first sector of core.img finds the rest
by a block list: both are written here (GNU GRUB manual, "Image files"; offsets as in the sources
of boot.S and diskboot.S).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter import process
from images.disk import SECTOR

if TYPE_CHECKING:
    from pathlib import Path

    from images.disk import Placed
    from images.recipe import Recipe

# boot.img: where the number of core.img's first sector stands; the bytes kept for the table.
_KERNEL_SECTOR: Final = 0x5C
_BOOT_CODE: Final = 440
# The first sector of core.img: the block list's first entry (start u64, length u16, segment u16).
_BLOCK_LIST: Final = 0x1F4
_BIOS_BOOT: Final = "21686148-6449-6e6f-744e-656564454649"
_MODULES: Final = ("biosdisk", "part_msdos", "part_gpt", "ext2", "search_fs_uuid")


def install_files(tree: Path) -> None:
    """Put GRUB's modules where grub-install puts them."""
    target = tree / "boot/grub/i386-pc"
    target.mkdir(parents=True, exist_ok=True)
    for module in sorted((tree / "usr/lib/grub/i386-pc").glob("*.[mil][oms][dgt]")):
        (target / module.name).write_bytes(module.read_bytes())


def install_uefi(recipe: Recipe, tree: Path) -> None:
    """Put shim and GRUB on the EFI system partition, which is mounted at /boot/efi."""
    signed = {
        "shimx64.efi": tree / "usr/lib/shim/shimx64.efi.signed",
        "mmx64.efi": tree / "usr/lib/shim/mmx64.efi.signed",
        "grubx64.efi": tree / "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    }
    vendor, fallback = tree / "boot/efi/EFI/debian", tree / "boot/efi/EFI/BOOT"
    for directory in (vendor, fallback):
        directory.mkdir(parents=True)
        for name, source in signed.items():
            (directory / name).write_bytes(source.read_bytes())
    (fallback / "shimx64.efi").rename(fallback / "BOOTX64.EFI")
    (vendor / "grub.cfg").write_text(
        f"search.fs_uuid {recipe.grub_probe.fs_uuid} root\n"
        "set prefix=($root)'/boot/grub'\n"
        "configfile $prefix/grub.cfg\n",
        encoding="utf-8",
    )


def install_bios(recipe: Recipe, tree: Path, image: Path, placed: list[Placed]) -> None:
    """Write boot.img and core.img; core.img finds /boot/grub by the filesystem's UUID."""
    core = _core_image(recipe, tree)
    gap = next((item for item in placed if item.partition.type.lower() == _BIOS_BOOT), None)
    start = gap.start if gap is not None else SECTOR
    room = gap.size if gap is not None else placed[0].start - SECTOR
    if len(core) > room:
        message = f"core.img has {len(core)} bytes, there is room for {room}"
        raise ValueError(message)
    first = start // SECTOR
    boot = bytearray((tree / "usr/lib/grub/i386-pc/boot.img").read_bytes())
    struct.pack_into("<Q", boot, _KERNEL_SECTOR, first)
    patched = bytearray(core)
    struct.pack_into("<Q", patched, _BLOCK_LIST, first + 1)
    with image.open("r+b") as file:
        file.write(boot[:_BOOT_CODE])
        file.seek(start)
        file.write(patched)


def _core_image(recipe: Recipe, tree: Path) -> bytes:
    config = tree / "early.cfg"
    config.write_text(
        f"search.fs_uuid {recipe.grub_probe.fs_uuid} root\nset prefix=($root)/boot/grub\n",
        encoding="utf-8",
    )
    process.run(
        [
            "chroot", str(tree), "grub-mkimage", "-O", "i386-pc", "-o", "/core.img",
            "-p", "/boot/grub", "-c", "/early.cfg", *_MODULES,
        ]
    )  # fmt: skip
    core = (tree / "core.img").read_bytes()
    (tree / "core.img").unlink()
    config.unlink()
    return core
