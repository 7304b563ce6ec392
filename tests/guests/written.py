"""A fixture's machine written onto real disks, without root and without an appliance.

Partition table and boot code are the fixture's own bytes; every filesystem is made by its mkfs, and
filled from the fixture's tree.

Limits: no logical volumes; a Btrfs is left out, as its subvolumes take a kernel to make. Files
belong to whoever runs this, and have no SELinux labels.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from converter import process
from converter.model import FileKind
from tests.guests.disks import SECTOR, SparseDisk

if TYPE_CHECKING:
    from tests.guests.machine import Device, Machine, Tree

# What mkswap(8) writes is in the first page.
_PAGE = 4096
_PIECE = 1 << 20
_EXT_OPTIONS = "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0"


def write(machine: Machine, directory: Path) -> list[Path]:
    """Write the disks of `machine` into `directory` as sparse raw images, boot disk first."""
    written = []
    for name, disk in machine.disks.items():
        image = directory / f"{name.rpartition('/')[2]}.raw"
        _write_sectors(disk, image)
        if not disk.parts:
            _fill(machine.contents(name), image, start=0, size=disk.size)
        for part in disk.parts:
            device = machine.contents(f"{name}{part.number}")
            _fill(device, image, start=part.start, size=part.size)
        written.append(image)
    return written


def _write_sectors(disk: SparseDisk, image: Path) -> None:
    with image.open("wb") as file:
        file.truncate(disk.size)
        for number, data in disk.sectors.items():
            file.seek(number * SECTOR)
            file.write(data)


def _fill(device: Device, image: Path, *, start: int, size: int) -> None:
    """Make a device's filesystem at its place on the disk."""
    found = device.found
    match found.type:
        case "" | "btrfs":
            return
        case "ext2" | "ext3" | "ext4":
            _make_ext(device, image, start=start, size=size)
        case "vfat":
            _make_fat(device, image, start=start, size=size)
        case "swap":
            put(image, start, _swap(found.uuid, size))
        case other:
            raise ValueError(f"{found.device}: a {other} is not written")


def _make_ext(device: Device, image: Path, *, start: int, size: int) -> None:
    found = device.found
    with tempfile.TemporaryDirectory() as work:
        write_tree(device.tree, Path(work))
        process.run(
            [
                f"mkfs.{found.type}", "-q", "-F", "-E", f"{_EXT_OPTIONS},offset={start}",
                "-U", found.uuid, *device.mkfs, "-d", work, str(image), f"{size >> 10}k",
            ]
        )  # fmt: skip


def _make_fat(device: Device, image: Path, *, start: int, size: int) -> None:
    serial = device.found.uuid.replace("-", "")
    with tempfile.TemporaryDirectory() as work:
        volume, tree = Path(work, "volume"), Path(work, "tree")
        tree.mkdir()
        write_tree(device.tree, tree)
        with volume.open("wb") as file:
            file.truncate(size)
        process.run(["mkfs.vfat", "-F", "32", "-i", serial, str(volume)])
        inside = [str(path) for path in tree.iterdir()]
        if inside:
            process.run(["mcopy", "-s", "-Q", "-i", str(volume), *inside, "::"])
        lay(volume, image, start)


def _swap(uuid: str, size: int) -> bytes:
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(size)
        Path(file.name).chmod(0o600)
        process.run(["mkswap", "-q", "-U", uuid, file.name])
        return file.read(_PAGE)


def write_tree(tree: Tree, top: Path) -> None:
    """Write a filesystem's files below the directory `top`."""
    for name, node in sorted(tree.items()):
        path = top / name.lstrip("/")
        match node.kind:
            case FileKind.DIRECTORY:
                path.mkdir(exist_ok=True)
            case FileKind.SYMLINK:
                path.symlink_to(node.data.decode())
            case FileKind.FILE:
                path.write_bytes(node.data)
                path.chmod(node.mode)
            case other:
                raise ValueError(f"{name}: a {other} is not written")


def put(image: Path, at: int, data: bytes) -> None:
    """Write `data` into an image, at the byte `at`."""
    with image.open("r+b") as file:
        file.seek(at)
        file.write(data)


def lay(volume: Path, image: Path, start: int) -> None:
    """Copy what is in a file into an image, from the byte `start`; holes stay holes."""
    empty = bytes(_PIECE)
    with volume.open("rb") as source, image.open("r+b") as target:
        while piece := source.read(_PIECE):
            if piece != empty[: len(piece)]:
                target.seek(start)
                target.write(piece)
            start += len(piece)
