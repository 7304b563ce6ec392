"""What firmware starts, as far as it tells which bootloader's files count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats.efi_program import Kind
from converter.inspection.efi import EfiView, boot_modes
from converter.inspection.esp import find_esps
from converter.model import BootEntry, BootMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.formats.grub_menu import MenuEntry
    from converter.guest.protocol import ReadableGuest
    from converter.inspection.efi import Loader
    from converter.inspection.grub_files import GrubFiles
    from converter.inspection.storage import Storage
    from converter.model import Bootloader, Finding, Mount

SEVERAL_FILES: Final = "Multiple different grub/menu.lst files found."


@dataclass(frozen=True, slots=True)
class Found:
    """A bootloader that has a configuration, and what is to be said of it.

    `is_installed`: files of its own are there, which only its installation leaves.
    """

    bootloader: Bootloader
    findings: tuple[Finding, ...]
    is_installed: bool = True


@dataclass(frozen=True, slots=True)
class BootView:
    """A mounted guest and what its firmware starts. `mounts` include the ESPs."""

    guest: ReadableGuest
    storage: Storage
    mounts: Sequence[Mount]
    firmware: frozenset[BootMode]
    efi: EfiView

    @property
    def esps(self) -> tuple[Mount, ...]:
        """The mounts that are EFI system partitions."""
        devices = find_esps(self.storage, self.mounts)
        return tuple(mount for mount in self.mounts if mount.device in devices)

    def efi_loaders(self) -> Iterator[tuple[Mount, Loader]]:
        """Give what UEFI starts on each ESP, behind shim, the likeliest first."""
        if BootMode.UEFI not in self.firmware:
            return
        for esp in self.esps:
            now = self.efi.fallback(esp)
            first = [now] if now is not None and not self.efi.lacking(esp, now) else []
            for loader in (*first, *self.efi.vendors(esp)):
                is_shim = loader.program.kind is Kind.SHIM
                stage = self.efi.second_stage(loader) if is_shim else loader
                if stage is not None:
                    yield esp, stage


def view(
    guest: ReadableGuest,
    storage: Storage,
    mounts: Sequence[Mount],
    *,
    distribution: str,
    architecture: str,
) -> BootView:
    """Look at the mounted `guest`."""
    efi = EfiView(guest, storage, mounts, architecture, distribution)
    firmware = boot_modes(guest, storage, mounts, architecture=architecture)
    return BootView(guest, storage, mounts, firmware, efi)


def boot_entry(files: GrubFiles, entry: MenuEntry) -> BootEntry:
    """Give a menu entry with its files by the guest's paths."""
    initramfs = main_initramfs(entry.linux, entry.initrds)
    return BootEntry(
        title=entry.title,
        identifier=entry.identifier,
        kernel=files.place(entry.linux),
        initramfs=files.place(initramfs) if initramfs else "",
        arguments=tuple(entry.arguments),
        source=files.place(entry.source) if entry.source else "",
    )


def main_initramfs(kernel: str, names: Sequence[str]) -> str:
    """Choose, of the images that are loaded together, the one with the root's drivers; "" of none.

    Others hold microcode, or a few files for it: the one that is named after the kernel is it.
    """
    images = [name for name in names if "ucode" not in name and "microcode" not in name]
    release = kernel.rpartition("/")[2].partition("-")[2]
    named = [name for name in images if release and release in name.rpartition("/")[2]]
    return next(iter(named or images[-1:]), "")
