"""Writing to sparse files: what is zero is left a hole."""

from __future__ import annotations

import os
from typing import Final

# As fine as qemu-img does (-S 64k); a hole is worth nothing below a filesystem's block.
_GRAIN: Final = 64 << 10
_ZEROS: Final = bytes(1 << 20)


def is_zero(data: bytes) -> bool:
    """Tell whether all of `data` is zero."""
    if len(data) <= len(_ZEROS):
        return data == _ZEROS[: len(data)]
    return data.count(0) == len(data)


def write(descriptor: int, data: bytes, offset: int) -> None:
    """Write `data` at `offset` of a file that holds nothing there yet, but for what is zero."""
    if is_zero(data):
        return
    start = 0
    for at in range(0, len(data), _GRAIN):
        if is_zero(data[at : at + _GRAIN]):
            _write_all(descriptor, data[start:at], offset + start)
            start = at + _GRAIN
    _write_all(descriptor, data[start:], offset + start)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
