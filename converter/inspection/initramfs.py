"""The initramfs that the default entry loads: what made it, and the modules in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import FormatError
from converter.formats import initramfs as codec
from converter.guest import paths
from converter.guest.protocol import Code
from converter.model import Finding, Initramfs, Severity

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.model import Bootloader, Kernel

# Rescue images reach 150 MiB; more than this is not an initramfs that GRUB could load.
FILE_LIMIT: Final = 512 << 20
SERVICE_MESSAGE: Final = (
    "We were unable to read your import's initramfs/initrd to determine what drivers your import"
    " requires to run in EC2"
)


def inspect_initramfs(
    guest: ReadableGuest, bootloader: Bootloader | None, kernel: Kernel | None
) -> tuple[Initramfs | None, tuple[Finding, ...]]:
    """Read the default entry's initramfs; a kernel without one is no fault by itself."""
    entry = bootloader.default if bootloader else None
    if entry is None:
        return None, ()
    if kernel is None:
        return None, (_unknown_kernel(guest, entry.kernel),)
    if not entry.initramfs:
        return None, ()
    try:
        return _read(guest, entry.initramfs, kernel), ()
    except (FormatError, GuestError) as error:
        if isinstance(error, GuestError) and error.code not in Code.ODD:
            raise
        return None, (_unreadable(entry.initramfs, str(error)),)


def _read(guest: ReadableGuest, path: str, kernel: Kernel) -> Initramfs:
    if not paths.is_file(guest, path):
        raise FormatError("the file that the bootloader loads is missing")
    image = codec.read(guest.read(path, limit=FILE_LIMIT))
    if all(segment.early for segment in image.segments):
        raise FormatError("it holds microcode or ACPI tables only")
    return Initramfs(
        path=path,
        compression=tuple(segment.compression for segment in image.segments),
        segments=len(image.segments),
        generator=image.generator,
        modules=image.modules(kernel.release),
    )


def _unknown_kernel(guest: ReadableGuest, path: str) -> Finding:
    why = "its release is not known" if paths.is_file(guest, path) else "there is no such file"
    return Finding(
        Severity.ERROR,
        "kernel-unknown",
        f"the default entry starts the kernel {path}: {why}",
        "let the default entry start an installed kernel (update-grub, grub2-mkconfig), and export"
        " the machine again",
        "Unable to determine kernel version.",
    )


def _unreadable(path: str, why: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "initramfs-unreadable",
        f"{path}: {why}",
        "make it anew in the machine (update-initramfs -u, dracut -f) and export it again",
        SERVICE_MESSAGE,
    )
