"""Partition tables, boot sectors and what filesystems say of themselves."""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from converter.disk import boot_code, conversion, ntfs_boot, windows_conversion
from converter.disk.table import read_table
from converter.errors import GuestRefusedError
from converter.formats import superblock as superblocks
from converter.model import Partition, TableType
from tests.fuzz import repairs
from tests.fuzz.layout import Layout
from tests.fuzz.target import of_bytes
from tests.unit.disk import test_boot_code, test_conversion, test_table
from tests.unit.formats import ntfs_volumes, test_superblock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from converter.model import Disk

    Read = Callable[[int, int], bytes]

_SIZE = test_table.SIZE
_GPT = Layout(
    ((0, 1024), (1024, 512), (34 * 512, 512), (_SIZE - 33 * 512, 512), (_SIZE - 512, 512)), _SIZE
)
_MBR = Layout(tuple((sector * 512, 512) for sector in (0, 1, 4096, 6096, 9096)), _SIZE)


def _read_disk(layout: Layout, data: bytes) -> None:
    size = layout.length(data)
    read = partial(layout.read, data)
    disk = read_table(read, device="/dev/sda", size=size)
    assert all(0 <= part.start <= part.start + part.size <= size for part in disk.partitions)
    for kind in (TableType.MBR, TableType.GPT):
        with suppress(GuestRefusedError):
            _convert(read, disk, kind)
    for system in disk.partitions[:4]:
        with suppress(GuestRefusedError):
            windows_conversion.prepare_windows(read, disk, system=system)


def _convert(read: Read, disk: Disk, kind: TableType) -> None:
    """Convert the table, and read what was written over the old one."""
    planned = conversion.prepare(read, disk, kind, bios=False)
    if planned is None:
        return
    written = Layout(tuple((at, len(data)) for at, data in planned.pieces(b"")), planned.size)
    content = b"".join(data for _, data in planned.pieces(b""))

    def after(offset: int, length: int) -> bytes:
        return written.read(content, offset, length)

    made = read_table(after, device=disk.device, size=planned.size)
    assert made.table is kind or not planned.partitions
    assert {(part.start, part.size) for part in planned.partitions} <= {
        (part.start, part.size) for part in made.partitions
    }


def _gpts() -> Iterable[bytes]:
    yield _GPT.packed(bytes(test_table.gpt_image(test_table.ONE, test_table.TWO).data))
    yield _GPT.packed(bytes(test_conversion.gpt_image(*test_conversion.GPT_PARTS, size=_SIZE).data))


@of_bytes(_gpts, repair=partial(repairs.gpt, _GPT))
def gpt(data: bytes) -> None:
    _read_disk(_GPT, data)


def _mbrs() -> Iterable[bytes]:
    yield _MBR.packed(bytes(test_table.logical_image().data))
    image = test_table.logical_image()
    test_table.put_grub(image, 1)
    yield _MBR.packed(bytes(image.data))


@of_bytes(_mbrs)
def mbr(data: bytes) -> None:
    _read_disk(_MBR, data)


@of_bytes(
    lambda: [
        *(getattr(test_boot_code, name) for name in (
            "WINDOWS", "PARTED", "NTFS", "EXTLINUX", "SYSLINUX_FAT", "WINDOWS_FAT", "LINUX_FAT"
        )),
        test_boot_code.grub2(1) + test_boot_code.core_image(),
        test_boot_code.legacy(1) + test_boot_code.core_image(),
    ]
)  # fmt: skip
def boot_sector(data: bytes) -> None:
    disk = Layout(((0, 1024), (64 * 512, 1024)), 1 << 20)
    read = partial(disk.read, data)
    for active in (test_boot_code.ACTIVE, test_boot_code.QUIET):
        boot_code.leads_to_loader(read, data[:512].ljust(512), size=1 << 20, partitions=[active])
    boot_code.is_filesystem(data[:512])
    boot_code.identify(data[:512])


_NTFS = Layout(
    ((0, 1024), (ntfs_volumes.MFT + 2048, 2048), (ntfs_volumes.LOG, 128),
     (ntfs_volumes.LOG + 510, 2), (ntfs_volumes.LOG + 4096, 128)),
    2048 * 512,
)  # fmt: skip


def _volumes() -> Iterable[bytes]:
    for volume in (
        ntfs_volumes.volume(),
        ntfs_volumes.volume(flags=ntfs_volumes.DIRTY),
        ntfs_volumes.volume(log=ntfs_volumes.resident(0x80, b"")),
    ):
        yield _NTFS.packed(ntfs_volumes.joined(volume))


@of_bytes(_volumes)
def ntfs(data: bytes) -> None:
    read = partial(_NTFS.read, data)
    superblocks.read_state("ntfs", read)
    ntfs_boot.starts_windows(read(0, 1024))
    ntfs_boot.with_hidden_sectors(read, Partition(1, 0, 2048 * 512, "07"))


_KINDS = ("ext4", "xfs", "btrfs", "jfs", "ntfs", "vfat", "LVM2_member")
_FILESYSTEM = Layout(((0, 128), (1024, 256), (32 << 10, 64), (64 << 10, 4096)), 1 << 20)


def _filesystems() -> Iterable[bytes]:
    clean = test_superblock.record(1, flags=0x20)
    dirty = test_superblock.record(1, flags=1, length=2048, operations=7)
    for log in (test_superblock.log(clean), test_superblock.log(clean, dirty)):
        yield b"\1" + _FILESYSTEM.packed(test_superblock.xfs(log))
    yield b"\0" + _FILESYSTEM.packed(test_superblock.ext(place=b"/data"))
    yield b"\6" + _FILESYSTEM.packed(b"LABELONE" + struct.pack("<QIIQ", 0, 0, 32, 0) + bytes(96))
    yield b"\2" + _FILESYSTEM.packed(bytes((64 << 10) + 64) + b"_BHRfS_M")
    yield b"\3" + _FILESYSTEM.packed(bytes(32 << 10) + b"JFS1" + struct.pack("<I", 2) * 12)


@of_bytes(_filesystems)
def superblock(data: bytes) -> None:
    kind = _KINDS[data[0] % len(_KINDS)] if data else ""
    read = partial(_FILESYSTEM.read, data[1:])
    superblocks.read_state(kind, read)
    superblocks.size(kind, read)
