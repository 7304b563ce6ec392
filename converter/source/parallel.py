"""Doing the same with many pieces of a disk, on several processors.

Reading, writing and inflating let go of Python's lock, and these are what takes long.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Piece = TypeVar("Piece")

# With more, Python's lock is what they wait for.
_MOST_THREADS: Final = 4


def each(
    work: Callable[[Piece], None],
    pieces: Iterable[Piece],
    *,
    batch: int,
    is_cancelled: Callable[[], bool],
) -> Iterator[Piece]:
    """Call `work` with all `pieces`, in no order, but no more than `batch` of them ahead.

    Gives the last piece of each batch when all up to it is done. Ends early, a piece at most for
    each thread, when it is cancelled; raises what `work` raises.
    """

    def step(piece: Piece) -> None:
        if not is_cancelled():
            work(piece)

    rest = iter(pieces)
    with ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _MOST_THREADS)) as pool:
        while some := list(islice(rest, batch)):
            for _ in pool.map(step, some):
                pass
            if is_cancelled():
                return
            yield some[-1]
