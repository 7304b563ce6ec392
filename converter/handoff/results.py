"""What is handed off: raw images, a manifest and a report, published together or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.handoff import manifest
from converter.handoff.checksum import disk_checksum
from converter.model import OutputDisk
from converter.report.html import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.handoff.workspace import Workspace
    from converter.model import Report


def image_name(name: str, number: int) -> str:
    """Give the file name of disk `number` (0 is the boot disk) of the machine `name`."""
    return f"{name}-{number}.raw" if number else f"{name}.raw"


def output_disk(image: Path) -> OutputDisk:
    """Describe a finished image."""
    found = image.stat()
    return OutputDisk(
        path=image.name,
        virtual_size=found.st_size,
        allocated_size=found.st_blocks * 512,
        checksum=disk_checksum(image),
    )


def publish(space: Workspace, report: Report, images: Sequence[Path]) -> None:
    """Write manifest and report beside the images and give all of them their final names."""
    html, document = f"{space.name}.report.html", f"{space.name}.manifest.json"
    space.write(html, render(report).encode())
    space.write(document, manifest.render(report))
    space.publish([*(image.name for image in images), html, document])
