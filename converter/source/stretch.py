"""Where the data of a disk are in its file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a disk that a file holds from `place` on; None for zeros that it does not hold."""

    start: int
    length: int
    place: int | None


@dataclass(frozen=True, slots=True)
class Packed:
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
    last: Stretch | None = None
    for found in stretches:
        if last is not None and _follows(last, found):
            last = replace(last, length=last.length + found.length)
            continue
        if last is not None:
            yield last
        last = found
    if last is not None:
        yield last


def _follows(last: Stretch, found: Stretch) -> bool:
    if found.start != last.start + last.length:
        return False
    if last.place is None or found.place is None:
        return last.place is found.place
    return found.place == last.place + last.length
