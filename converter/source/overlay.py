"""The working overlay: a qcow2 over the source where it lies, and how QEMU is told of the source.

QEMU is given every layer explicitly, so it probes nothing; and every file by a link of ours with a
short name, because a qcow2 has 1023 bytes for its backing file's name and users' paths may be long.
A VMDK in several extents gets a descriptor of ours: the user's is never opened by anything else.
"""

from __future__ import annotations

import json
import stat
from typing import TYPE_CHECKING, Any, Final

from converter import process
from converter.errors import GuestRefusedError
from converter.model import DiskFormat

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import ByteRange, Extent, SourceDisk

SECTOR: Final = 512
_DRIVERS: Final = {
    DiskFormat.RAW: "raw",
    DiskFormat.VMDK: "vmdk",
    DiskFormat.VHD: "vpc",
    DiskFormat.VHDX: "vhdx",
    DiskFormat.QCOW2: "qcow2",
    DiskFormat.VDI: "vdi",
}


def create_overlay(disk: SourceDisk, *, directory: Path, name: str) -> Path:
    """Make an empty qcow2 `name` in `directory` that reads as `disk` and takes all writes."""
    overlay = directory / f"{name}.qcow2"
    layers = node(disk, directory)
    process.run(
        [
            "qemu-img", "create", "-q", "-f", "qcow2", "-F", str(layers["driver"]),
            "-b", filename(layers), str(overlay),
        ]
    )  # fmt: skip
    return overlay


def filename(layers: dict[str, Any]) -> str:
    """Give a block graph as the file name that QEMU takes for one."""
    return "json:" + json.dumps(layers, separators=(",", ":"))


def padded(size: int) -> int:
    """Give a disk's size in whole sectors."""
    return -(-size // SECTOR) * SECTOR


def node(disk: SourceDisk, directory: Path) -> dict[str, Any]:
    """Give QEMU's block graph for `disk`; its files are linked into `directory`."""
    if disk.extents:
        return _extents(disk, directory)
    if disk.format is DiskFormat.RAW:
        return _range(disk.file, directory, offset=0, size=disk.virtual_size)
    layers: dict[str, Any] = {"driver": _DRIVERS[disk.format], "file": _file(disk.file, directory)}
    if disk.format is DiskFormat.VHD:
        # What Azure and Hyper-V go by; QEMU would take the rounded geometry for some creators.
        layers["force_size_calc"] = "current_size"
    return layers


def _extents(disk: SourceDisk, directory: Path) -> dict[str, Any]:
    first = disk.extents[0]
    if len(disk.extents) == 1 and first.kind in ("FLAT", "VMFS") and first.file is not None:
        size = first.sectors * SECTOR
        return _range(first.file, directory, offset=first.file_offset, size=size)
    if any(extent.file is not None and extent.file.offset for extent in disk.extents):
        raise GuestRefusedError(
            "ova-split-vmdk",
            f"{disk.label}: is a VMDK in several extents inside an OVA",
            hint="unpack the OVA (tar -x) and give the VMDK's descriptor",
        )
    descriptor = _link_name(disk.file, directory).with_suffix(".vmdk")
    descriptor.write_text(_descriptor(disk, directory), encoding="ascii")
    return {"driver": "vmdk", "file": _protocol(descriptor)}


def _descriptor(disk: SourceDisk, directory: Path) -> str:
    """Write the descriptor of the same disk with our own names for its extents."""
    lines = "".join(_extent_line(extent, directory) for extent in disk.extents)
    return (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="twoGbMaxExtentSparse"\n\n{lines}\n'
        'ddb.adapterType = "lsilogic"\n'
    )


def _extent_line(extent: Extent, directory: Path) -> str:
    if extent.file is None:
        return f"RW {extent.sectors} ZERO\n"
    name = _linked(extent.file, directory).name
    if extent.kind == "SPARSE":
        return f'RW {extent.sectors} SPARSE "{name}"\n'
    return f'RW {extent.sectors} FLAT "{name}" {extent.file_offset // SECTOR}\n'


def _file(file: ByteRange, directory: Path) -> dict[str, Any]:
    """Give the node of a stretch of a file: itself, or a window on it."""
    link = _linked(file, directory)
    if file.offset == 0 and file.length == link.stat().st_size:
        return _protocol(link)
    return _window(link, file.offset, file.length)


def _range(file: ByteRange, directory: Path, *, offset: int, size: int) -> dict[str, Any]:
    link = _linked(file, directory)
    if file.offset + offset == 0 and size == link.stat().st_size:
        # QEMU rounds a whole file up to sectors by itself.
        return {"driver": "raw", "file": _protocol(link)}
    return _window(link, file.offset + offset, padded(size))


def _window(link: Path, offset: int, size: int) -> dict[str, Any]:
    return {"driver": "raw", "offset": offset, "size": size, "file": _protocol(link)}


def _protocol(path: Path) -> dict[str, Any]:
    driver = "host_device" if stat.S_ISBLK(path.stat().st_mode) else "file"
    return {"driver": driver, "filename": str(path)}


def _link_name(file: ByteRange, directory: Path) -> Path:
    """Give the name of our link to a file: the same for the same file."""
    target = file.path.resolve()
    for link in directory.glob("s[0-9]*"):
        if link.is_symlink() and link.readlink() == target:
            return link
    return directory / f"s{len(list(directory.glob('s[0-9]*')))}"


def _linked(file: ByteRange, directory: Path) -> Path:
    link = _link_name(file, directory)
    if not link.is_symlink():
        link.symlink_to(file.path.resolve())
    return link
