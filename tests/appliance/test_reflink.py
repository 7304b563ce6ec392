"""Copies that share blocks with their source, on filesystems that can."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.source import open_source
from converter.source.copy import CopyJob

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.appliance,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts filesystems"),
]

MIB = 1 << 20
# The block that a file ends in is shared only where the source ends there, too.
_NOISE = random.Random(0)  # noqa: S311 - no secret
DATA = _NOISE.randbytes(5 * MIB) + bytes(20 * MIB) + _NOISE.randbytes(MIB + 512)


@pytest.fixture(scope="module", params=["btrfs", "xfs"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp(request.param)
    with mounted(directory / "image", directory / "mounted", request.param) as there:
        yield there


@contextmanager
def mounted(image: Path, place: Path, kind: str) -> Iterator[Path]:
    with image.open("wb") as file:
        file.truncate(400 * MIB)
    process.run([f"mkfs.{kind}", "-q", str(image)])
    place.mkdir()
    process.run(["mount", "-o", "loop", str(image), str(place)])
    try:
        yield place
    finally:
        process.run(["umount", str(place)])


def copied(source: Path) -> Path:
    work = source.parent / "work"
    work.mkdir(exist_ok=True)
    (disk,) = open_source([source], work=work).disks
    target = source.with_suffix(".copy")
    target.unlink(missing_ok=True)
    copy = CopyJob(disk, target, progress=lambda _: None)
    copy.start()
    copy.wait()
    return target


def shared(path: Path) -> bool:
    """Tell by the filesystem's own map whether blocks of a file are another's, too."""
    os.sync()
    found = process.run(["filefrag", "-v", str(path)]).stdout.decode()
    return "shared" in found


def test_a_raw_disk_is_shared(place: Path) -> None:
    source = place / "disk.raw"
    source.write_bytes(DATA)
    target = copied(source)
    assert target.read_bytes() == DATA
    assert shared(target)
    with target.open("r+b") as file:
        file.write(b"changed")
    assert source.read_bytes() == DATA


def test_what_lies_before_a_footer_is_shared(place: Path) -> None:
    raw, source = place / "vhd.raw", place / "disk.vhd"
    raw.write_bytes(DATA)
    options = ["subformat=fixed,force_size=on"]
    process.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", *options, str(raw), str(source)]
    )
    target = copied(source)
    assert target.read_bytes() == DATA
    assert shared(target)


def test_a_disk_at_an_odd_place_is_copied(place: Path) -> None:
    """A member of an OVA begins at a sector, which is rarely a block."""
    raw = place / "member.raw"
    raw.write_bytes(DATA)
    descriptor = place / "disk.vmdk"
    sectors = len(DATA) // 512
    extent = place / "disk-flat.vmdk"
    extent.write_bytes(bytes(512) + DATA)
    descriptor.write_text(
        "# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n"
        f'createType="monolithicFlat"\nRW {sectors} FLAT "disk-flat.vmdk" 1\n'
        'ddb.adapterType = "ide"\n'
    )
    target = copied(descriptor)
    assert target.read_bytes() == DATA
    assert not shared(target)


def test_another_filesystem_is_copied_to(place: Path, tmp_path: Path) -> None:
    source = place / "far.raw"
    source.write_bytes(DATA)
    (disk,) = open_source([source], work=tmp_path).disks
    copy = CopyJob(disk, tmp_path / "copy", progress=lambda _: None)
    copy.start()
    copy.wait()
    assert (tmp_path / "copy").read_bytes() == DATA
