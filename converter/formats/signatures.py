"""What lies on a device - a partition, or a disk without any - by the marks in its blocks.

As much as can be told for certain, and matters before anything is mounted: what is encrypted, and
whether there can be a system at all. Names are blkid(8)'s. Sources: LUKS1 and LUKS2 On-Disk Format
Specification; libbde, "BitLocker Drive Encryption (BDE) format"; libfvde, "FileVault Drive
Encryption format"; Apple File System Reference, `nx_superblock_t`; md(4); and for the filesystems
those that `superblock` names, Linux' Documentation/filesystems, and bcachefs' superblock.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    # Gives bytes of a device by offset and length, fewer at its end.
    Read = Callable[[int, int], bytes]

LUKS: Final = "crypto_LUKS"
BITLOCKER: Final = "BitLocker"
FILEVAULT: Final = "FileVault"
FAT: Final = "vfat"
HIBERNATED: Final = "swsuspend"
LVM_MEMBER: Final = "LVM2_member"
RAID_MEMBER: Final = "linux_raid_member"
_HEAD: Final = 2048
_LUKS_MARK: Final = b"LUKS\xba\xbe"
# Vista and later have it behind the jump of the boot sector; "To Go" looks like FAT, and has this.
_BITLOCKER_MARK: Final = b"-FVE-FS-"
_TO_GO_MARK: Final = b"MSWIN4.1"
_TO_GO_AT: Final = 424
_TO_GO: Final = uuid.UUID("4967d63b-2e29-4ad8-8399-f6a339e3d001").bytes_le
_AES_XTS: Final = 2
_CRYPTO_SW: Final = 1 << 2
_BOOT_SECTOR: Final = b"\x55\xaa"
_JUMPS: Final = (b"\xeb", b"\xe9")
_RAID: Final = bytes.fromhex("fc4e2ba9")
# What replaces the mark of a swap area: the kernel's own, of two versions, and uswsusp's.
_HIBERNATED_MARKS: Final = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND")
# Kind, where its mark is, and the mark; the first that is there counts. Boot sectors come first:
# what made them may have left the superblock of another filesystem that was there before.
_BOOT_SECTORS: Final = (
    ("exfat", 3, b"EXFAT   "),
    ("ntfs", 3, b"NTFS    "),
    (FAT, 54, b"FAT"),
    (FAT, 54, b"MSDOS"),
    (FAT, 82, b"FAT32"),
    (FAT, 82, b"MSWIN"),
)
_RAID_AT_START: Final = ((RAID_MEMBER, 0, _RAID), (RAID_MEMBER, 4096, _RAID))
_MEMBERS: Final = (
    *((LVM_MEMBER, 512 * sector, b"LABELONE") for sector in range(4)),
    *_RAID_AT_START,
)
_SUPERBLOCKS: Final = (
    ("xfs", 0, b"XFSB"),
    ("ext4", 1080, b"\x53\xef"),
    ("btrfs", (64 << 10) + 64, b"_BHRfS_M"),
    ("jfs", 32 << 10, b"JFS1"),
    ("swap", 4086, b"SWAPSPACE2"),
    *((HIBERNATED, 4086, mark) for mark in _HIBERNATED_MARKS),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("squashfs", 0, b"hsqs"),
    ("bcachefs", 4120, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81")),
)


def identify(read: Read, size: int) -> str:
    """Give what is on a device of `size` bytes, "" for nothing that is known here.

    What may be FAT counts as that, and Ext2 and Ext3 as Ext4.
    """
    member, encrypted = _marked(read, _MEMBERS), encryption(read)
    if encrypted:
        # Those who make members do not wipe what was in the first sectors.
        return member or encrypted
    return (
        _marked(read, _BOOT_SECTORS)
        or _unmarked_fat(read)
        or member
        or _marked(read, _SUPERBLOCKS)
        or _marked(read, _raid_at_end(size))
    )


def _unmarked_fat(read: Read) -> str:
    """Tell what may be FAT: not all writers leave a mark, but it has a boot sector with a jump."""
    sector = read(0, 512)
    return FAT if sector[:1] in _JUMPS and sector[510:] == _BOOT_SECTOR else ""


def _marked(read: Read, marks: Iterable[tuple[str, int, bytes]]) -> str:
    return next((kind for kind, at, mark in marks if read(at, len(mark)) == mark), "")


def is_raid_member(read: Read, size: int) -> bool:
    """Tell whether a device is part of an array: what it begins with may be the array's."""
    return bool(_marked(read, _RAID_AT_START) or _marked(read, _raid_at_end(size)))


def _raid_at_end(size: int) -> Iterator[tuple[str, int, bytes]]:
    """Give where the metadata 1.0 and 0.90 of an array's member are (md(4))."""
    for at in (max(0, size - 8192) // 4096 * 4096, max(0, size // 65536 - 1) * 65536):
        yield RAID_MEMBER, at, _RAID


def encryption(read: Read) -> str:
    """Give what a device is encrypted with, "" if it is not known to be."""
    head = read(0, _HEAD).ljust(_HEAD, b"\0")
    if head.startswith(_LUKS_MARK) and head[6:8] in (b"\0\1", b"\0\2"):
        return LUKS
    is_to_go = head[_TO_GO_AT:].startswith(_TO_GO) and head[3:].startswith(_TO_GO_MARK)
    if is_to_go or head[3:].startswith(_BITLOCKER_MARK):
        return BITLOCKER
    if _is_core_storage(head) or _is_encrypted_apfs(head):
        return FILEVAULT
    return ""


def is_hibernated(read: Read) -> bool:
    """Tell whether a swap area holds a system that was suspended to it."""
    return read(4086, 9) in _HIBERNATED_MARKS


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")


def _is_core_storage(head: bytes) -> bool:
    """Tell whether this is a physical volume of CoreStorage whose metadata are encrypted."""
    return head[88:90] == b"CS" and _number(head, 8, 2) == 1 and _number(head, 172, 4) == _AES_XTS


def _is_encrypted_apfs(head: bytes) -> bool:
    """Tell whether this is a container of APFS with keys, encrypted by software.

    There may be keys in one that is not.
    """
    keys, flags = _number(head, 1296, 8), _number(head, 1264, 8)
    return head[32:36] == b"NXSB" and bool(keys) and bool(flags & _CRYPTO_SW)
