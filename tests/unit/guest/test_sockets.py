from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from converter.guest.sockets import sweep

if TYPE_CHECKING:
    from pathlib import Path


def make(base: Path, *names: str, name: str = "libguestfsAb12Cd", is_new: bool = False) -> Path:
    """Make a directory of 1970, unless `is_new`, with sockets in it, or files."""
    directory = base / name
    directory.mkdir()
    for entry in names:
        kind = stat.S_IFSOCK if entry.endswith(".sock") else stat.S_IFREG
        os.mknod(directory / entry, kind | 0o600)
    if not is_new:
        os.utime(directory, (0, 0))
    return directory


def test_old_sockets_are_swept(tmp_path: Path) -> None:
    make(tmp_path, "guestfsd.sock", "console.sock")
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [{"is_new": True}, {"name": "libguestfs"}, {"name": "others"}],
    ids=["new", "short", "others"],
)
def test_what_may_be_in_use_or_is_not_libguestfs_stays(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    directory = make(tmp_path, "guestfsd.sock", **options)
    sweep(tmp_path)
    assert (directory / "guestfsd.sock").exists()


@pytest.mark.parametrize("names", [(), ("guestfsd.sock", "overlay1.qcow2")])
def test_a_directory_for_other_things_stays(tmp_path: Path, names: tuple[str, ...]) -> None:
    directory = make(tmp_path, *names)
    sweep(tmp_path)
    assert sorted(path.name for path in directory.iterdir()) == sorted(names)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    elsewhere = make(tmp_path, "guestfsd.sock", name="elsewhere")
    (tmp_path / "libguestfsAb12Cd").symlink_to(elsewhere)
    sweep(tmp_path)
    assert (elsewhere / "guestfsd.sock").exists()


def test_no_place_for_sockets_is_none_to_sweep(tmp_path: Path) -> None:
    sweep(tmp_path / "missing")
