"""The working overlay: a qcow2 over the source where it lies, and how QEMU is told of the source.

QEMU is given every layer explicitly, so it probes nothing; and every file by a link of ours with a
short name, because a qcow2 has 1023 bytes for its backing file's name and users' paths may be long.
A VMDK in several extents gets a descriptor of ours: the user's is never opened by anything else.
Layers that could name a backing file are told that they have none.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from converter import process
from converter.confinement import Confinement, linked
from converter.errors import ConversionError, UsageError, writing_failed
from converter.model import DiskFormat, Extent
from converter.source.complaints import host_fault, judged
from converter.source.reader import damaged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from converter.model import ByteRange, SourceDisk

SECTOR: Final = 512
_LONGEST_NAME: Final = 1023
_DRIVERS: Final = {
    DiskFormat.VMDK: "vmdk",
    DiskFormat.VHD: "vpc",
    DiskFormat.VHDX: "vhdx",
    DiskFormat.QCOW2: "qcow2",
    DiskFormat.VDI: "vdi",
}
_FIXED: Final = (DiskFormat.VHD, "fixed")
_NO_BACKING: Final = {"backing": None}
_OPTIONS: Final[dict[DiskFormat, dict[str, Any]]] = {
    DiskFormat.VMDK: _NO_BACKING,
    DiskFormat.QCOW2: _NO_BACKING,
    # What Azure and Hyper-V go by; QEMU would take the rounded geometry for some creators.
    DiskFormat.VHD: {"force_size_calc": "current_size"},
}


def create_overlay(disk: SourceDisk, *, directory: Path, name: str) -> Path:
    """Make an empty qcow2 `name` in `directory` that reads as `disk` and takes all writes.

    Raises `DamagedInputError` when QEMU cannot open the source, `UsageError` ``source-in-use``,
    ``path-unusable``.
    """
    overlay = directory / f"{name}.qcow2"
    layers = node(disk, directory)
    backing = filename(layers)
    if len(backing) > _LONGEST_NAME or not _is_text(str(directory)):
        raise UsageError(
            "path-unusable",
            f"{directory}: is too long for a path to work in, or no UTF-8",
            hint="choose an output directory with a shorter, plain path",
        )
    _check(disk, backing, overlay)
    size = padded(disk.virtual_size)
    try:
        overlay.touch()
    except OSError as error:
        raise writing_failed(overlay, error, code="overlay-failed") from error
    done = process.run(
        [
            "qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", str(layers["driver"]),
            "-b", backing, str(overlay.absolute()), str(size),
        ],
        check=False,
        confinement=Confinement(written=(overlay,)),
    )  # fmt: skip
    if done.status != 0:
        raise host_fault(overlay, done.status, done.reason) or ConversionError(
            "overlay-failed",
            f"{overlay}: cannot be made: {done.reason}",
            hint="see to the disk that is written to, and convert again",
        )
    return overlay


def _check(disk: SourceDisk, backing: str, overlay: Path) -> None:
    """Have QEMU open the source: it must be able to, as must everybody who has it open already."""
    done = process.run(
        ["qemu-img", "info", "--output=json", backing],
        check=False,
        confinement=Confinement(read=linked(overlay.parent)),
    )
    if done.status != 0:
        raise judged(disk.label, overlay, done.status, done.reason)
    size = json.loads(done.stdout)["virtual-size"]
    if size != padded(disk.virtual_size):
        raise damaged(
            "source-size", disk.label, f"has {disk.virtual_size} bytes, and {size} for QEMU"
        )


def _is_text(path: str) -> bool:
    return path == path.encode("utf-8", "replace").decode()


def filename(layers: dict[str, Any]) -> str:
    """Give a block graph as the file name that QEMU takes for one."""
    return "json:" + json.dumps(layers, separators=(",", ":"))


def padded(size: int) -> int:
    """Give a disk's size in whole sectors."""
    return -(-size // SECTOR) * SECTOR


def plain_data(disk: SourceDisk) -> ByteRange | None:
    """Give the stretch of a file that holds the disk's data as they are, if one does."""
    if disk.extents:
        extent = disk.extents[0]
        if len(disk.extents) > 1 or extent.file is None or extent.kind == "SPARSE":
            return None
        return extent.file.part(extent.file_offset, disk.virtual_size)
    if disk.format is DiskFormat.RAW or (disk.format, disk.subformat) == _FIXED:
        return disk.file.part(0, disk.virtual_size)
    return None


def node(disk: SourceDisk, directory: Path) -> dict[str, Any]:
    """Give QEMU's block graph for `disk`; its files are linked into `directory`."""
    directory = directory.absolute()
    data = plain_data(disk)
    if data is not None:
        return _raw(data, directory)
    file = _extents(disk.extents, directory) if disk.extents else _file(disk.file, directory)
    layers = {"driver": _DRIVERS[disk.format], "file": file, **_OPTIONS.get(disk.format, {})}
    if disk.format is DiskFormat.VMDK:
        # QEMU shows as much as the header says, which may be rounded up.
        return {"driver": "raw", "size": padded(disk.virtual_size), "file": layers}
    return layers


def _extents(extents: Iterable[Extent], directory: Path) -> dict[str, Any]:
    """Write the descriptor of a VMDK of these extents, with our own names for them.

    One that is sparse is never in an archive: `machine` refuses that.
    """
    lines = "".join(_extent_line(extent, directory) for extent in extents)
    # No empty lines: QEMU takes an extent that follows one for two.
    text = (
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="twoGbMaxExtentSparse"\n# Extent description\n{lines}'
        '# The Disk Data Base\nddb.adapterType = "lsilogic"\n'
    )
    descriptor = directory / f"{_short(text.encode())}.vmdk"
    descriptor.write_text(text, encoding="ascii")
    return _protocol(descriptor)


def _extent_line(extent: Extent, directory: Path) -> str:
    if extent.file is None:
        # QEMU has no extents of zeros.
        name = _hole(extent.sectors * SECTOR, directory).name
        return f'RW {extent.sectors} FLAT "{name}" 0\n'
    name = _linked(extent.file.path, directory).name
    if extent.kind == "SPARSE":
        return f'RW {extent.sectors} SPARSE "{name}"\n'
    start = extent.file.offset + extent.file_offset
    return f'RW {extent.sectors} FLAT "{name}" {start // SECTOR}\n'


def _hole(size: int, directory: Path) -> Path:
    path = directory / f"zeros-{size}"
    with path.open("ab") as file:
        file.truncate(size)
    return path


def _chunks(chunks: Iterable[ByteRange], directory: Path) -> dict[str, Any]:
    """Give the node of a file in chunks: QEMU puts a VMDK's extents, whole sectors, together so."""
    extents = (Extent("FLAT", padded(chunk.length) // SECTOR, chunk) for chunk in chunks)
    return {"driver": "vmdk", "file": _extents(extents, directory), **_NO_BACKING}


def _file(file: ByteRange, directory: Path) -> dict[str, Any]:
    """Give the node of a stretch of a file: itself, or a window on it, or its chunks."""
    if file.chunks:
        return _chunks(file.chunks, directory)
    link = _linked(file.path, directory)
    if file.offset == 0 and file.length == link.stat().st_size:
        return _protocol(link)
    return _window(link, file.offset, file.length)


def _raw(data: ByteRange, directory: Path) -> dict[str, Any]:
    if data.chunks:
        return _chunks(data.chunks, directory)
    link = _linked(data.path, directory)
    if data.offset == 0 and data.length == link.stat().st_size:
        # QEMU rounds a whole file up to sectors by itself.
        return {"driver": "raw", "file": _protocol(link)}
    return _window(link, data.offset, padded(data.length))


def _window(link: Path, offset: int, size: int) -> dict[str, Any]:
    return {"driver": "raw", "offset": offset, "size": size, "file": _protocol(link)}


def _protocol(path: Path) -> dict[str, Any]:
    driver = "host_device" if stat.S_ISBLK(path.stat().st_mode) else "file"
    return {"driver": driver, "filename": str(path)}


def _linked(path: Path, directory: Path) -> Path:
    """Link a file into `directory`, and give the link: the same for the same file."""
    target = path.resolve()
    link = directory / _short(os.fsencode(target))
    if not link.is_symlink():
        link.symlink_to(target)
    return link


def _short(data: bytes) -> str:
    return f"s{hashlib.sha256(data).hexdigest()[:16]}"
