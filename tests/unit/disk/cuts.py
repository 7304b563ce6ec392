"""What is on a disk when the writing of pieces ends early, at any sector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.disk.table import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.disk.writing import Piece
    from converter.model import Disk

SECTOR = 512


def cuts(before: bytes, pieces: Sequence[Piece], *, size: int) -> Iterator[bytearray]:
    """Give the disk after every sector, which is changed in place; first as it was.

    The sectors of a piece come in both orders: nothing tells in which a drive writes them.
    """
    yield bytearray(before)
    for backwards in (False, True):
        data = bytearray(before)
        data.extend(bytes(size - len(data)))
        for offset, piece in pieces:
            assert offset % SECTOR == len(piece) % SECTOR == 0
            places = range(0, len(piece), SECTOR)
            for at in reversed(places) if backwards else places:
                data[offset + at : offset + at + SECTOR] = piece[at : at + SECTOR]
                yield data


def table(data: bytes | bytearray) -> Disk:
    """Give the table that is read from the disk."""

    def read(offset: int, length: int) -> bytes:
        return bytes(data[offset : offset + length])

    return read_table(read, device="/dev/sda", size=len(data))
