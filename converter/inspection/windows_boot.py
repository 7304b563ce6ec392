r"""Which firmware can start a Windows, by what is on its disk (BOOT-1).

By BIOS: the first sector, the active partition's boot sector, `\bootmgr` and `\Boot\BCD` in it.
By UEFI: `bootmgfw.efi` or the fallback program on an EFI system partition, and the BCD there.
Source: Microsoft Learn, "Boot and UEFI", "BIOS-based hard drive partitions".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest import caseless
from converter.inspection.efi import FALLBACK
from converter.model import BootMode, TableType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Mount

BOOT_MANAGER: Final = "bootmgr"
BCD: Final = "Boot/BCD"
EFI_BOOT_MANAGER: Final = "EFI/Microsoft/Boot/bootmgfw.efi"
EFI_BCD: Final = "EFI/Microsoft/Boot/BCD"


def fallback(architecture: str) -> str:
    """Give the program on an ESP that firmware starts when it remembers nothing."""
    return f"EFI/Boot/{FALLBACK.get(architecture, 'BOOTX64').lower()}.efi"


def boot_modes(
    guest: ReadableGuest,
    storage: Storage,
    mounts: Sequence[Mount],
    esps: Sequence[Mount],
    *,
    architecture: str,
) -> frozenset[BootMode]:
    """Give the modes in which the mounted `guest` starts from its first disk as it is."""
    modes: set[BootMode] = set()
    first = storage.disks[0]
    active = {f"{first.device}{part.number}" for part in first.partitions if part.active}
    if first.table is TableType.MBR and first.boot_code:
        modes |= {
            BootMode.LEGACY_BIOS
            for mount in mounts
            if mount.device in active
            and caseless.is_file(guest, mount.path, BOOT_MANAGER)
            and caseless.is_file(guest, mount.path, BCD)
        }
    programs = (EFI_BOOT_MANAGER, fallback(architecture))
    modes |= {
        BootMode.UEFI
        for esp in esps
        if caseless.is_file(guest, esp.path, EFI_BCD)
        and any(caseless.is_file(guest, esp.path, program) for program in programs)
    }
    return frozenset(modes)
