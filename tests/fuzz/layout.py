"""Large files of which little is fuzzed: the rest of them is zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Stretch = tuple[int, int]


@dataclass(frozen=True)
class Layout:
    """`stretches` (offset, length) of a file of `size` bytes, whose contents are the input.

    A longer input goes on at the end of the file; of a shorter one the file ends where it does.
    """

    stretches: tuple[Stretch, ...]
    size: int

    def packed(self, whole: bytes) -> bytes:
        """Give the input that makes the file `whole`."""
        return b"".join(
            whole[at : at + length].ljust(length, b"\0") for at, length in self.stretches
        )

    def pieces(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give what is not zero, by its offsets."""
        used = 0
        for at, length in self.stretches:
            yield at, data[used : used + length]
            used += length
        if data[used:]:
            yield self.size, data[used:]

    def length(self, data: bytes) -> int:
        """Give the length of the file."""
        if len(data) >= sum(length for _, length in self.stretches):
            return max(self.size, *(at + len(piece) for at, piece in self.pieces(data)))
        return max(at + len(piece) for at, piece in self.pieces(data) if piece or not at)

    def put(self, path: Path, data: bytes) -> None:
        """Write the file."""
        with path.open("wb") as file:
            for at, piece in self.pieces(data):
                file.seek(at)
                file.write(piece)
            file.truncate(self.length(data))

    def read(self, data: bytes, offset: int, length: int) -> bytes:
        """Give bytes of the file, as many as there are."""
        assert offset >= 0
        assert length >= 0
        found = bytearray(max(0, min(length, self.length(data) - offset)))
        for at, piece in self.pieces(data):
            start, end = max(at, offset), min(at + len(piece), offset + len(found))
            if start < end:
                found[start - offset : end - offset] = piece[start - at : end - at]
        return bytes(found)

    def replaced(self, data: bytes, offset: int, content: bytes) -> bytes:
        """Give the input with other bytes at an offset of the file, as far as they are fuzzed."""
        used = 0
        for at, length in self.stretches:
            start, end = max(at, offset), min(at + length, offset + len(content))
            if start < end and used + end - at <= len(data):
                first = used + start - at
                data = (
                    data[:first] + content[start - offset : end - offset] + data[used + end - at :]
                )
            used += length
        return data


def of_content(whole: bytes, *, block: int = 512) -> Layout:
    """Give the layout in which every block is fuzzed that is not zero, or the first one."""
    used = [at for at in range(0, len(whole), block) if any(whole[at : at + block]) or not at]
    return Layout(tuple(_joined(used, block)), len(whole))


def _joined(starts: Sequence[int], block: int) -> Iterator[Stretch]:
    first = end = starts[0]
    for at in starts:
        if at != end:
            yield first, end - first
            first = at
        end = at + block
    yield first, end - first
