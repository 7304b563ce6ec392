"""Writing a raw image in another hypervisor's format.

A stream-optimized VMDK is written here, and a raw copy; the others are written by qemu-img.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.confinement import Confinement, linked
from converter.deadline import deadline, seconds_for
from converter.errors import ConversionError, writing_failed
from converter.export import qemu_img, stream_vmdk
from converter.handoff.workspace import Workspace
from converter.model import DiskFormat, SourceDisk
from converter.source.complaints import host_fault, source_in_use
from converter.source.copy import CopyJob
from converter.source.overlay import padded
from converter.source.raw_image import raw_image
from converter.source.reader import Reader
from converter.source.unchanged import unchanged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from converter.model import ByteRange
    from converter.monitor import Monitor

    # Writes the disk in a file of its own to `target`, with a directory to work in.
    _Write = Callable[[ByteRange, Path, Path, Callable[[float], None]], None]

# QEMU's block/vpc.c, block/vhdx.c; of a file that the filesystem has no room for it says otherwise.
_TOO_LARGE: Final = re.compile("Disk size is too large, max|Image size too large; max")


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written: sizes in bytes, as the guest sees it and of the file."""

    path: Path
    format: DiskFormat
    virtual_size: int
    size: int


def export(
    image: Path,
    target: Path,
    kind: DiskFormat,
    monitor: Monitor,
    *,
    published: Callable[[], None] | None = None,
) -> Exported:
    """Write the raw `image` as a file of `kind` (one of `FORMATS`), called `target` when whole.

    `published` is called when it is, and nothing takes it back any more. Raises `UsageError` for an
    image that cannot be read, or is not raw, or a name that is taken, `ConversionError`
    ``export-failed``, ``source-changed``, and others when the work fails.
    """
    name = target.name
    with unchanged([image]) as watch:
        data = raw_image(image)
        with Workspace(
            target.parent, name, suffixes=("",), sources=[image], published=published
        ) as space:
            monitor.phase("export", f"writing {kind.value}")
            staged = space.staged(name)
            progress = partial(monitor.progress, "export")
            with deadline("export", seconds_for("export", data.length)):
                FORMATS[kind](data, staged, space.work, progress)
            watch.check()
            size = staged.stat().st_size
            space.publish([name])
    return Exported(target, kind, padded(data.length), size)


def _write_raw(
    data: ByteRange, target: Path, _work: Path, progress: Callable[[float], None]
) -> None:
    disk = SourceDisk(str(data.path), DiskFormat.RAW, "", data.length, data)
    copy = CopyJob(disk, target, progress=progress)
    try:
        copy.start()
        copy.wait()
    finally:
        copy.cancel()


def _write_vmdk(
    data: ByteRange, target: Path, _work: Path, progress: Callable[[float], None]
) -> None:
    try:
        with Reader(data) as image, target.open("wb") as out:
            stream_vmdk.write(image, out, progress=progress)
    except OSError as error:
        raise writing_failed(target, error, code="export-failed") from error
    progress(1.0)


def _by_qemu(kind: str, options: str) -> _Write:
    def write(data: ByteRange, target: Path, work: Path, progress: Callable[[float], None]) -> None:
        link = work / "image"
        link.symlink_to(data.path.resolve())
        status, said = qemu_img.convert(
            ("-f", "raw", "-O", kind, "-o", options),
            str(link),
            target,
            confinement=Confinement(read=linked(work), written=(target,)),
            progress=progress,
        )
        if status != 0:
            raise (
                source_in_use(str(data.path), said)
                or _too_large(target, said)
                or host_fault(target, status, said)
                or ConversionError(
                    "export-failed",
                    f"{target}: {said.strip()}",
                    hint="check the disks that the image and the output lie on",
                )
            )

    return write


def _too_large(target: Path, said: str) -> ConversionError | None:
    """Make the error for a disk that the format has no room for, None for another."""
    if not _TOO_LARGE.search(said):
        return None
    return ConversionError(
        "export-failed",
        f"{target}: {said.strip()}",
        hint="the disk is too large for the format: a VHD has 2040 GiB at most, a VHDX 64 TiB;"
        " qcow2 takes any",
    )


FORMATS: Final[dict[DiskFormat, _Write]] = {
    DiskFormat.VMDK: _write_vmdk,
    DiskFormat.VHD: _by_qemu("vpc", "subformat=dynamic,force_size=on"),
    DiskFormat.VHDX: _by_qemu("vhdx", "subformat=dynamic"),
    DiskFormat.QCOW2: _by_qemu("qcow2", "compat=1.1"),
    DiskFormat.RAW: _write_raw,
}
