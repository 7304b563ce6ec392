"""What is deleted in a guest is not in the result, unless that is asked for."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from converter.guest.appliance import Appliance
from images.windows.build import build
from images.windows.guest import Firmware, Windows
from tests.command import converter
from tests.torture import guests

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("trimming")]

MIB = 1 << 20


def write_and_delete(disk: Path, device: str) -> None:
    """Write a file of 40 MiB into a filesystem of `disk`, and delete it again."""
    overlay = disk.with_suffix(".qcow2")
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    junk = disk.with_suffix(".junk")
    junk.write_bytes(random.Random(0).randbytes(40 * MIB))  # noqa: S311 - no secret
    settings = choose().libguestfs_settings
    with Appliance([overlay], settings=settings, directory=disk.parent) as machine:
        machine.mount(device, "/", options="rw")
        machine.upload(junk, "/junk")
        machine.unmount()
        machine.mount(device, "/", options="rw")
        machine.remove("/junk")
        machine.unmount()
    process.run(["qemu-img", "commit", "-q", str(overlay)])
    overlay.unlink()
    assert allocated(disk) > 40 * MIB


def allocated(image: Path) -> int:
    return image.stat().st_blocks * 512


def converted(disk: Path, directory: Path, *options: str) -> Path:
    converter("convert", disk, "-o", directory, "--name", "guest", *options).good()
    converter("verify", directory / "guest.manifest.json").good()
    return directory / "guest.raw"


def test_a_linux(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    (source,) = guests.guest("raw").paths
    shutil.copyfile(source, disk)
    write_and_delete(disk, "/dev/sda1")
    trimmed = converted(disk, tmp_path / "trimmed")
    kept = converted(disk, tmp_path / "kept", "--no-trim")
    assert allocated(kept) - allocated(trimmed) > 36 * MIB
    assert allocated(trimmed) < allocated(source) + 4 * MIB
    trees = [guests.trees(image.parent, "guest", 1, work=tmp_path) for image in (trimmed, kept)]
    assert trees[0] == trees[1]


def test_a_windows(tmp_path: Path) -> None:
    disk = build(Windows("2019", Firmware.BIOS), tmp_path)
    before = allocated(disk)
    write_and_delete(disk, "/dev/sda2")
    trimmed = converted(disk, tmp_path / "trimmed")
    assert allocated(trimmed) < before + 8 * MIB
