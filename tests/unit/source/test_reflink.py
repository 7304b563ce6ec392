"""Sharing blocks, where the filesystem says that it cannot: really done in tests/appliance."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING, Any

import pytest

from converter.source import reflink

if TYPE_CHECKING:
    from pathlib import Path


def share(directory: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> tuple[int, int]:
    """Share 64 KiB, of which the half comes to be there before the error `number`."""

    def ioctl(target: int, *_: Any) -> None:
        os.pwrite(target, b"x" * 32768, 0)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (directory / "source").write_bytes(b"x" * 65536)
    with (directory / "source").open("rb") as source, (directory / "target").open("wb") as target:
        done = reflink.share(source.fileno(), target.fileno(), offset=0, length=65536)
        return done, os.fstat(target.fileno()).st_size


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EXDEV, errno.EAGAIN, errno.EINVAL])
def test_it_is_copied_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """ZFS says EAGAIN while the source has blocks that are not written yet."""
    assert share(tmp_path, monkeypatch, number) == (0, 0)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with pytest.raises(OSError, match=r"No space|Input/output") as caught:
        share(tmp_path, monkeypatch, number)
    assert caught.value.errno == number


def test_an_empty_file_is_not_truncated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ext4 would write all that comes to be in it to the disk when it is closed."""

    def ioctl(*_: Any) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def ftruncate(*_: Any) -> None:
        pytest.fail("it was truncated")

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(os, "ftruncate", ftruncate)
    with (tmp_path / "target").open("wb") as target:
        assert reflink.share(0, target.fileno(), offset=0, length=65536) == 0
