"""Many pieces at once: all of them, or as many as there was time for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from converter.source.parallel import each

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("number", [0, 1, 4, 5, 23])
def test_all_are_done_before_they_are_told_of(number: int) -> None:
    done: set[int] = set()
    for last in each(done.add, range(number), batch=5, is_cancelled=lambda: False):
        assert done >= set(range(last + 1))
    assert done == set(range(number))


def test_what_fails_is_raised() -> None:
    def work(piece: int) -> None:
        if piece == 7:
            raise OSError(piece)

    with pytest.raises(OSError, match="7"):
        for _ in each(work, range(100), batch=10, is_cancelled=lambda: False):
            pass


def test_no_more_than_a_batch_is_taken_ahead() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(100):
            taken.append(piece)
            yield piece

    told = each(lambda _: None, pieces(), batch=10, is_cancelled=lambda: False)
    assert next(told) == 9
    assert len(taken) == 10


def test_ends_within_a_batch_when_cancelled() -> None:
    cancelled, done = threading.Event(), set()

    def work(piece: int) -> None:
        done.add(piece)
        cancelled.set()

    assert list(each(work, range(100), batch=50, is_cancelled=cancelled.is_set)) == []
    assert len(done) <= 4  # one for each thread
