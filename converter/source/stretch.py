"""Where the data of a disk are in its file."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Stretch(NamedTuple):
    """Bytes of a disk that a file holds from `place` on; None for zeros that it does not hold."""

    start: int
    length: int
    place: int | None


class Packed(NamedTuple):
    """Bytes of a disk that a file holds compressed; `unpack` gives these, and maybe more."""

    start: int
    length: int
    unpack: Callable[[], bytes]


def of_blocks(blocks: Iterable[tuple[int, int]], *, block: int, size: int) -> Iterator[Stretch]:
    """Give blocks of so many bytes (number on the disk, place), as far as a disk of `size` goes."""
    for number, place in blocks:
        start = number * block
        if start < size:
            yield Stretch(start, min(block, size - start), place)


def joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    """Give stretches that follow one another, on the disk and in the file, as one."""
    first: Stretch | None = None
    end = 0
    for found in stretches:
        if first is not None and found.start == end and _goes_on(first, found):
            end += found.length
            continue
        if first is not None:
            yield first._replace(length=end - first.start)
        first, end = found, found.start + found.length
    if first is not None:
        yield first._replace(length=end - first.start)


def _goes_on(first: Stretch, found: Stretch) -> bool:
    if first.place is None or found.place is None:
        return first.place is found.place
    return found.place - first.place == found.start - first.start
