"""From what a guest is to its disk."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter import process
from images.windows import layout, ntfs, tree
from images.windows.guest import State
from images.windows.layout import Role
from images.windows.programs import assembled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from images.windows.guest import Windows
    from images.windows.layout import Layout, Partition
    from images.windows.tree import Files

_LABELS: Final = {Role.SYSTEM_RESERVED: "System Reserved", Role.RECOVERY: "Recovery"}
# What one begins with; what is behind it, blkid(8) looks at as well, and finds nothing.
BITLOCKER: Final = b"\xeb\x58\x90-FVE-FS-".ljust(510, b"\0") + b"\x55\xaa"
# Where LDM keeps its first block, on a disk with an MBR: the seventh sector.
_PRIVATE_HEADER: Final = 6 * layout.SECTOR
_PIECE: Final = 1 << 20


def build(windows: Windows, directory: Path) -> Path:
    """Make the guest's disk in `directory`: a sparse raw image."""
    disk = directory / f"{windows.name[:100]}.raw"
    plan = layout.plan(windows)
    layout.write_table(plan, windows, disk)
    if not windows.is_uefi:
        _put(disk, 0, assembled("mbr"))
    with tempfile.TemporaryDirectory(dir=directory) as work:
        for partition in plan.partitions:
            _fill(windows, plan, partition, disk, Path(work))
    return disk


def _fill(windows: Windows, plan: Layout, partition: Partition, disk: Path, work: Path) -> None:
    role = partition.role
    if role is Role.LDM_METADATA or (role is Role.WINDOWS and _is_mbr_dynamic(windows)):
        at = partition.start if role is Role.LDM_METADATA else _PRIVATE_HEADER
        _put(disk, at, b"PRIVHEAD")
    if role is Role.DATA or (role is Role.WINDOWS and windows.has(State.BITLOCKER)):
        _put(disk, partition.start, BITLOCKER)
        return
    files = _files(windows, plan, partition)
    if not files:
        return
    volume = work / f"{partition.number}"
    if role is Role.ESP:
        _make_esp(volume, files, partition)
    else:
        _make_ntfs(windows, volume, files, partition)
    _copy(volume, disk, partition.start)


def _is_mbr_dynamic(windows: Windows) -> bool:
    return windows.has(State.DYNAMIC_DISK) and not windows.is_uefi


def _files(windows: Windows, plan: Layout, partition: Partition) -> Files:
    files: Files = {}
    match partition.role:
        case Role.WINDOWS:
            files = tree.drive_c(windows, plan)
        case Role.SECOND_WINDOWS:
            files = tree.second_windows(windows)
        case Role.RECOVERY:
            files = tree.recovery()
        case Role.ESP:
            files = tree.esp(windows, plan)
    if partition.is_active:
        files |= tree.active_partition(windows, plan)
    return files


def _make_ntfs(windows: Windows, volume: Path, files: Files, partition: Partition) -> None:
    label = _LABELS.get(partition.role, "")
    ntfs.make(volume, files, size=partition.size, start=partition.start, label=label)
    if not windows.has(State.NO_BOOT_CODE):
        ntfs.put_boot_code(volume)
    if partition.role is Role.WINDOWS and windows.has(State.DIRTY_VOLUME):
        ntfs.mark_dirty(volume)


def _make_esp(volume: Path, files: Files, partition: Partition) -> None:
    with volume.open("wb") as file:
        file.truncate(partition.size)
    hidden = partition.start // layout.SECTOR
    process.run(["mkfs.vfat", "-F", "32", "-i", "C0FFEE07", "-h", str(hidden), str(volume)])
    source = volume.with_suffix(".tree")
    ntfs.write_tree(source, files)
    process.run(["mcopy", "-s", "-Q", "-i", str(volume), str(source / "EFI"), "::"])


def _copy(volume: Path, disk: Path, start: int) -> None:
    """Move a volume to its place on the disk; holes stay holes."""
    with volume.open("rb") as source, disk.open("r+b") as target:
        for begin, end in _data(source.fileno()):
            for at in range(begin, end, _PIECE):
                source.seek(at)
                target.seek(start + at)
                target.write(source.read(min(_PIECE, end - at)))
    shutil.rmtree(volume.with_suffix(".tree"))
    volume.unlink()


def _data(descriptor: int) -> Iterator[tuple[int, int]]:
    """Give where a file is no hole."""
    end = 0
    while True:
        try:
            begin = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return
            raise
        end = os.lseek(descriptor, begin, os.SEEK_HOLE)
        yield begin, end


def _put(disk: Path, at: int, data: bytes) -> None:
    with disk.open("r+b") as file:
        file.seek(at)
        file.write(data)
