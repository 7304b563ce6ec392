"""Inputs made of others: damaged a little, or repeated until they are large."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from random import Random

    from tests.fuzz.target import Target

LONGEST: Final = 64 << 10
"""Bytes of a mutated input, unless a seed is longer."""
LARGE: Final = 250_000
_NUMBERS: Final = tuple(
    number.to_bytes(size, order, signed=number < 0)
    for size in (1, 2, 4, 8)
    for number in (-1, 0, 1, (1 << 8 * size - 1) - 1, -(1 << 8 * size - 1))
    for order in ("little", "big")
)
_BYTES: Final = b"\0\xff\x80\n\r\t \\\"'`${}[]()<>=:;,#!*?%@&|/-+.0189aZ\xc3\xa9"


def mutated(target: Target, random: Random) -> bytes:
    """Give a seed of `target` with some damage, its checksums put right in half of the cases."""
    data = random.choice(target.seeds)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        data = _damaged(data, target.seeds, random)
    data = data[: max(LONGEST, *map(len, target.seeds))]
    return target.repair(data) if target.repair and random.random() < 0.5 else data


def _damaged(  # noqa: PLR0911 - a table
    data: bytes, seeds: Sequence[bytes], random: Random
) -> bytes:
    at, to = sorted(random.randint(0, len(data)) for _ in range(2))
    # Mostly what is changed is short.
    to = min(to, at + random.choice((1, 2, 4, 8, 40, len(data))))
    match random.randrange(8):
        case 0:
            return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]
        case 1:
            number = random.choice(_NUMBERS)
            return data[:at] + number + data[at + len(number) :]
        case 2:
            return data[:at] + bytes([random.choice(_BYTES)]) + data[to:]
        case 3:
            return data[:at] + data[to:]
        case 4:
            return data[:to] + data[at:to] * random.choice((1, 2, 30)) + data[to:]
        case 5:
            other = random.choice(seeds)
            start = random.randint(0, len(other))
            return data[:at] + other[start : start + random.choice((4, 40, 4000))] + data[to:]
        case 6:
            return data[:at]
        case _:
            flipped = bytearray(data or b"\0")
            flipped[at % len(flipped)] ^= 1 << random.randrange(8)
            return bytes(flipped)


def stretched(target: Target, random: Random) -> Iterator[bytes]:
    """Give an input for every byte that may mean something, with `LONGEST` of it in one place.

    What looks at the rest for each of them takes minutes for it.
    """
    for byte in _BYTES:
        seed = random.choice(target.seeds) or b"\n"
        lines = seed.splitlines(keepends=True)
        at = random.randint(0, len(lines))
        yield b"".join((*lines[:at], bytes([byte]) * LONGEST, *lines[at:]))


def enlarged(target: Target, random: Random, count: int) -> Iterator[bytes]:
    """Give `count` inputs of `LARGE` bytes, each a piece of a seed over and over again."""
    for _ in range(count):
        seed = random.choice(target.seeds) or b"\n"
        lines = seed.splitlines(keepends=True) or [seed]
        line = random.choice(lines)
        piece = random.choice((seed, line, line.rstrip(), line[: random.randint(1, len(line))]))
        word = random.choice(line.split() or [line])
        piece = random.choice((piece, word, word + b" ", bytes([random.choice(_BYTES)]))) or b" "
        at = random.randint(0, len(seed))
        yield seed[:at] + piece * (LARGE // len(piece)) + seed[at:]
