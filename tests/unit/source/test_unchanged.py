from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.errors import ConversionError, DamagedInputError
from converter.model import ByteRange, ContainerFormat, DiskFormat, Extent, Source, SourceDisk
from converter.source.unchanged import Watch, unchanged

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(4096))
    return path


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def overwrite_unseen(path: Path) -> None:
    found = path.stat()
    path.write_bytes(b"x" * found.st_size)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    while path.stat().st_ctime_ns == found.st_ctime_ns:  # the clock of files is a coarse one
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def fail_on_a_cut(path: Path) -> None:
    os.truncate(path, 0)
    raise DamagedInputError("truncated", "ends")


def replace(path: Path) -> None:
    found = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [append, overwrite_unseen, replace, Path.unlink])
def test_what_changes_is_told(disk: Path, change: Callable[[Path], None]) -> None:
    watch = Watch([disk])
    change(disk)
    with pytest.raises(ConversionError, match=r"disk\.raw: changed while") as raised:
        watch.check()
    assert (raised.value.code, raised.value.exit_code) == ("source-changed", 6)
    assert raised.value.hint


def test_what_is_only_read_is_unchanged(disk: Path) -> None:
    watch = Watch([disk])
    disk.read_bytes()
    watch.check()


def test_a_failure_is_blamed_on_the_change(disk: Path) -> None:
    with pytest.raises(ConversionError) as raised, unchanged([disk]):
        fail_on_a_cut(disk)
    assert raised.value.code == "source-changed"
    assert isinstance(raised.value.__cause__, DamagedInputError)


def test_a_failure_without_a_change_stays_what_it_is(disk: Path) -> None:
    with pytest.raises(DamagedInputError), unchanged([disk, disk.with_name("missing")]):
        raise DamagedInputError("truncated", "ends")


def test_files_that_a_descriptor_names_are_watched(disk: Path) -> None:
    extent = disk.with_name("disk-f001.vmdk")
    extent.write_bytes(bytes(512))
    extents = (Extent("FLAT", 1, ByteRange(extent, 0, 512)), Extent("ZERO", 1))
    found = SourceDisk("disk", DiskFormat.VMDK, "", 1024, ByteRange(disk, 0, 4096), extents)
    watch = Watch([disk])
    watch.add(Source((disk,), ContainerFormat.VMDK, (found,)))
    append(extent)
    with pytest.raises(ConversionError, match=r"f001\.vmdk: changed"):
        watch.check()
