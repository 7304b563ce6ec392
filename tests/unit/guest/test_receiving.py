"""A file name that is a pipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from converter.guest.receiving import received


@pytest.mark.parametrize("size", [0, 1, 64 << 10, 3 << 20])
def test_all_that_is_written_is_there(size: int) -> None:
    with received(3 << 20) as (place, found):
        Path(place).write_bytes(b"x" * size)
    assert found == b"x" * size


def test_who_writes_without_end_is_not_listened_to() -> None:
    with received(1 << 20) as (place, found), pytest.raises(BrokenPipeError):
        Path(place).write_bytes(b"x" * (4 << 20))
    assert 1 << 20 < len(found) <= (1 << 20) + (64 << 10)


def test_nothing_stays_open_when_the_call_fails() -> None:
    descriptors = Path("/proc/self/fd")
    before = sorted(path.name for path in descriptors.iterdir())
    with pytest.raises(RuntimeError, match="as libguestfs"), received(10):
        raise RuntimeError("as libguestfs does")
    assert sorted(path.name for path in descriptors.iterdir()) == before
