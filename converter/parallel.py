"""Doing the same with many pieces of a disk, on several processors.

Reading, writing, packing and unpacking let go of Python's lock, and these are what takes long.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable

Piece = TypeVar("Piece")
Result = TypeVar("Result")

# With more, Python's lock is what they wait for.
_MOST_THREADS: Final = 4


def each(
    work: Callable[[Piece], Result],
    pieces: Iterable[Piece],
    *,
    ahead: int,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Generator[tuple[Piece, Result]]:
    """Give every piece, in order, with what `work` makes of it; `ahead` of them are begun at most.

    Raises what `work` raises. Ends when it is cancelled, or closed, with no work going on.
    """
    pool = ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _MOST_THREADS))
    rest = iter(pieces)
    begun: deque[tuple[Piece, Future[Result]]] = deque()
    try:
        while not is_cancelled():
            for piece in islice(rest, ahead - len(begun)):
                begun.append((piece, pool.submit(work, piece)))
            if not begun:
                return
            piece, future = begun.popleft()
            yield piece, future.result()
    finally:
        pool.shutdown(cancel_futures=True)
