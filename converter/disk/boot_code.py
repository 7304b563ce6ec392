"""What a BIOS would start from a disk: whose boot code is in its first sector, and where it leads.

GRUB's first stages carry the text "Geom", and the number of the sector that they go on with: at
0x5C in GRUB 2 (boot.img), at 0x44 in GRUB Legacy (stage1, version 3.2 at 0x3E). The first sector of
GRUB 2's core.img ends in a block list with the segment 0x820 (GNU GRUB manual, "Image files").
LILO has its name at 6. Anything else, as Windows, parted and syslinux write it, is taken to start
the active partition. There, a filesystem's boot sector counts as code if it is Windows': it has the
name of the file that it loads, BOOTMGR or, before Vista, NTLDR, in it (FAT) or behind it (NTFS).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter.disk import ntfs_boot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from converter.model import Partition

    Read = Callable[[int, int], bytes]

AREA: Final = 440
SIGNATURE: Final = b"\x55\xaa"
KERNEL_SECTOR: Final = 0x5C
BLOCK_LIST: Final = 0x1F4
GRUB2: Final = "grub2"
GRUB_LEGACY: Final = "grub-legacy"
LILO: Final = "lilo"
CHAIN: Final = "active-partition"
_SECTOR: Final = 512
_SEGMENT: Final = b"\x20\x08"
_LEGACY_VERSION: Final = b"\x03\x02"
_LEGACY_SECTOR: Final = 0x44
# What starts a filesystem's boot sector. Such a sector, too, ends in 55 AA.
_FILESYSTEMS: Final = ((3, b"NTFS    "), (3, b"EXFAT   "), (54, b"FAT1"), (82, b"FAT32"))
_WINDOWS_ON_FAT: Final = (b"BOOTMGR", b"NTLDR ")
# Boot sectors of filesystems that syslinux put its own code into (OEM names).
_SYSLINUX: Final = (b"SYSLINUX", b"EXTLINUX")


def is_filesystem(sector: bytes) -> bool:
    """Tell whether a boot sector is a filesystem's, whose code lies where entries would be."""
    return any(sector[at : at + len(mark)] == mark for at, mark in _FILESYSTEMS)


def identify(sector: bytes) -> str:
    """Give whose code is in a boot sector; "" where there is none, or only a filesystem's."""
    if sector[510:512] != SIGNATURE or not any(sector[:AREA]):
        return ""
    if b"GRUB " in sector and b"Geom" in sector:
        return GRUB_LEGACY if sector[0x3E:0x40] == _LEGACY_VERSION else GRUB2
    if sector[6:10] == b"LILO":
        return LILO
    if is_filesystem(sector) and sector[3:11] not in _SYSLINUX:
        return ""
    return CHAIN


def leads_to_loader(
    read: Read, sector: bytes, *, size: int, partitions: Iterable[Partition]
) -> bool:
    """Tell whether a disk of `size` bytes, whose first sector is `sector`, starts by BIOS."""
    code = identify(sector)
    if code != CHAIN:
        return _goes_on(read, sector, size=size)
    active = next((partition for partition in partitions if partition.active), None)
    if active is None or active.start + ntfs_boot.RECORD > size:
        return False
    record = read(active.start, ntfs_boot.RECORD)
    if _is_windows(record) or identify(record[:_SECTOR]) == CHAIN:
        return True  # the latter: a boot sector of a kind that is not known here
    return _goes_on(read, record[:_SECTOR], size=size)


def _is_windows(record: bytes) -> bool:
    """Tell whether the first two sectors of a partition are Windows' boot sector."""
    if record[510:512] != SIGNATURE or not is_filesystem(record):
        return False
    if ntfs_boot.starts_windows(record) or ntfs_boot.starts_old_windows(record):
        return True
    return any(name in record[:510] for name in _WINDOWS_ON_FAT)


def _goes_on(read: Read, sector: bytes, *, size: int) -> bool:
    """Tell whether the first stage in `sector` finds the next one."""
    code = identify(sector)
    if code == GRUB2:
        following = _at(read, struct.unpack_from("<Q", sector, KERNEL_SECTOR)[0], size=size)
        return following[BLOCK_LIST + 10 :] == _SEGMENT
    if code == GRUB_LEGACY:
        return any(_at(read, struct.unpack_from("<I", sector, _LEGACY_SECTOR)[0], size=size))
    return code == LILO


def _at(read: Read, number: int, *, size: int) -> bytes:
    """Give a sector by its number; zeros for one that is not on the disk, or the first."""
    if not 0 < number < size // _SECTOR:
        return bytes(_SECTOR)
    return read(number * _SECTOR, _SECTOR)
