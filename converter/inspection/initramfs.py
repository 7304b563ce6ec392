"""The initramfs that the default entry loads: what made it, and the modules in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import FormatError
from converter.formats import initramfs as codec
from converter.guest import paths
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
    if entry is None or not entry.initramfs or kernel is None:
        return None, ()
    if not paths.is_file(guest, entry.initramfs):
        return None, (
            _unreadable(entry.initramfs, "the file that the bootloader loads is missing"),
        )
    try:
        image = codec.read(guest.read(entry.initramfs, limit=FILE_LIMIT))
    except FormatError as error:
        return None, (_unreadable(entry.initramfs, str(error)),)
    facts = Initramfs(
        path=entry.initramfs,
        compression=tuple(segment.compression for segment in image.segments),
        segments=len(image.segments),
        generator=image.generator,
        modules=frozenset(image.modules(kernel.release)),
    )
    return facts, ()


def _unreadable(path: str, why: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "initramfs-unreadable",
        f"{path}: {why}",
        "make it anew in the machine (update-initramfs -u, dracut -f) and export it again",
        SERVICE_MESSAGE,
    )
