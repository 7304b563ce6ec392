"""Many pieces at once: all of them, or as many as there was time for."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from converter.parallel import each

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("number", [0, 1, 4, 5, 23])
def test_all_are_given_in_order(number: int) -> None:
    found = list(each(str, range(number), ahead=5))
    assert found == [(piece, str(piece)) for piece in range(number)]


def test_what_fails_is_raised() -> None:
    def work(piece: int) -> None:
        if piece == 7:
            raise OSError(piece)

    with pytest.raises(OSError, match="7"):
        list(each(work, range(100), ahead=10))


def test_pieces_that_cannot_be_told_are_an_error() -> None:
    def pieces() -> Iterator[int]:
        yield 1
        raise EOFError

    with pytest.raises(EOFError):
        list(each(str, pieces(), ahead=10))


def test_no_more_than_so_many_are_taken_ahead() -> None:
    taken: list[int] = []

    def pieces() -> Iterator[int]:
        for piece in range(100):
            taken.append(piece)
            yield piece

    told = each(str, pieces(), ahead=10)
    assert next(told) == (0, "0")
    assert len(taken) == 10


def test_ends_with_no_work_going_on_when_cancelled() -> None:
    cancelled, working = threading.Event(), threading.active_count()
    told = each(str, range(100), ahead=50, is_cancelled=cancelled.is_set)
    next(told)
    cancelled.set()
    assert list(told) == []
    assert threading.active_count() == working
