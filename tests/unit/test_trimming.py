"""Which stretches of which filesystems are trimmed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import trimming
from converter.model import Disk, Filesystem, Mount, Partition, Space, TableType, Volume
from converter.trimming import Trim, trims
from tests.unit.samples import FACTS as SAMPLE

if TYPE_CHECKING:
    from pathlib import Path

MIB, GIB = 1 << 20, 1 << 30
FACTS = replace(SAMPLE, mounts=())


def disk(number: int, size: int, *partitions: tuple[int, int]) -> Disk:
    parts = tuple(
        Partition(index, start, length, "83") for index, (start, length) in enumerate(partitions, 1)
    )
    return Disk(
        f"/dev/sd{'abc'[number]}", size, TableType.MBR, "", boot_code=True, partitions=parts
    )


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a single block be worth the while: the tests' files have no more."""
    monkeypatch.setattr(trimming, "_WORTH", 4096)


def image(path: Path, size: int, *data: int) -> Path:
    """Make a sparse file with some bytes at each of the places `data`."""
    with path.open("wb") as file:
        for at in data:
            file.seek(at)
            file.write(b"x" * 4096)
        file.truncate(size)
    return path


LARGE = disk(0, 1024 * GIB, (MIB, 100 * GIB), (200 * GIB, 800 * GIB))
EXT4, XFS = Filesystem("/dev/sda1", "ext4"), Filesystem("/dev/sda2", "xfs")
MOUNTED = {"/dev/sda1": "/", "/dev/sda2": "/srv"}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        ((), ()),
        ((0,), ()),  # which is in no partition
        ((MIB,), (Trim("/", 0, GIB - MIB),)),
        ((3 * GIB + 5,), (Trim("/", 3 * GIB - MIB, GIB),)),
        ((3 * GIB, 4 * GIB + 9), (Trim("/", 3 * GIB - MIB, 2 * GIB),)),
        # What the last partition ends in, and what is in none.
        ((150 * GIB, 999 * GIB + 9), (Trim("/srv", 799 * GIB, GIB),)),
        (tuple(2 * n * GIB for n in range(30)), (Trim("/"),)),
    ],
)
def test_only_where_there_are_data(
    tmp_path: Path, data: tuple[int, ...], wanted: tuple[Trim, ...]
) -> None:
    facts = replace(FACTS, disks=(LARGE,), filesystems=(EXT4, XFS), volumes=())
    assert trims(facts, MOUNTED, [image(tmp_path / "a", LARGE.size, *data)]) == wanted


@pytest.mark.parametrize("kind", ["ext4", "ntfs"])
@pytest.mark.parametrize(
    ("used", "is_worth"),
    [(None, True), (0, True), (4096, True), (4097, False), (90 * GIB, False)],
)
def test_only_where_much_is_to_be_had(
    tmp_path: Path, kind: str, used: int | None, *, is_worth: bool
) -> None:
    """The image has two blocks of the filesystem, and one of none."""
    space = None if used is None else Space(90 * GIB, 90 * GIB - used)
    facts = replace(
        FACTS,
        disks=(disk(0, 100 * GIB, (MIB, 90 * GIB)),),
        filesystems=(Filesystem("/dev/sda1", kind),),
        mounts=(Mount("/", "/dev/sda1", kind, space=space),),
        volumes=(),
    )
    copy = image(tmp_path / "a", 100 * GIB, 0, MIB, 80 * GIB)
    assert bool(trims(facts, {"/dev/sda1": "/"}, [copy])) is is_worth


@pytest.mark.parametrize("kind", ["ntfs", "btrfs"])
def test_what_cannot_be_trimmed_in_part(tmp_path: Path, kind: str) -> None:
    small = disk(0, 100 * GIB, (MIB, 90 * GIB))
    for found, wanted in ((small, (Trim("/"),)), (LARGE, ())):
        facts = replace(
            FACTS, disks=(found,), filesystems=(Filesystem("/dev/sda1", kind),), volumes=()
        )
        images = [image(tmp_path / "a", found.size, GIB)]
        assert trims(facts, {"/dev/sda1": "/"}, images) == wanted


def test_a_filesystem_on_a_whole_disk(tmp_path: Path) -> None:
    disks = (disk(0, 2 * GIB, (MIB, GIB)), disk(1, 300 * GIB))
    facts = replace(
        FACTS, disks=disks, filesystems=(EXT4, Filesystem("/dev/sdb", "ext4")), volumes=()
    )
    images = [image(tmp_path / "a", 2 * GIB), image(tmp_path / "b", 300 * GIB, 7 * GIB)]
    assert trims(facts, {"/dev/sdb": "/data"}, images) == (Trim("/data", 7 * GIB, GIB),)


@pytest.mark.parametrize(
    ("size", "snapshot", "is_trimmed"),
    [(100, False, True), (40, True, False), (300, False, False)],
    ids=["small", "with a snapshot", "large"],
)
def test_what_lies_on_volumes_is_trimmed_as_a_whole_or_not(
    tmp_path: Path, size: int, *, snapshot: bool, is_trimmed: bool
) -> None:
    volume = Volume("/dev/vg/root", "vg", "root", GIB)
    kept = (replace(volume, name="kept", is_snapshot=True),) if snapshot else ()
    facts = replace(
        FACTS,
        disks=(disk(0, size * GIB, (MIB, GIB)),),
        filesystems=(Filesystem("/dev/vg/root", "ext4"),),
        volumes=(volume, *kept),
    )
    found = trims(facts, {"/dev/vg/root": "/"}, [image(tmp_path / "a", size * GIB, 0)])
    assert found == ((Trim("/"),) if is_trimmed else ())
