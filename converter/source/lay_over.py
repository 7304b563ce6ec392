"""Laying the changes that an overlay holds over the raw copy of what it lies on.

The overlay is a qcow2 that `create_overlay` made: each cluster of it holds data, or is zero, or
shows what is below, which the copy has already.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError, writing_failed
from converter.source import sparse
from converter.source.qcow2 import own_stretches
from converter.source.reader import Reader, whole

if TYPE_CHECKING:
    from pathlib import Path

    from converter.source.stretch import Stretch

_PIECE: Final = 1 << 20


def lay_over(overlay: Path, base: Path) -> None:
    """Write what changed in `overlay` onto the raw image `base`, a copy of the overlay's source.

    Nothing else may have the overlay open. What became zero becomes a hole. Raises `HostError`
    ``disk-full``, `ConversionError` ``lay-over-failed``.
    """
    try:
        with Reader(whole(overlay)) as changed, base.open("r+b", buffering=0) as image:
            size, stretches = own_stretches(changed)
            if size > os.fstat(image.fileno()).st_size:
                image.truncate(size)
            for stretch in stretches:
                _lay(changed, image.fileno(), stretch)
    except OSError as error:
        raise writing_failed(base, error, code="lay-over-failed") from error
    except ConversionError as error:  # of an overlay of ours, whatever it says: not of the source
        raise ConversionError(
            "lay-over-failed",
            f"{base}: laying the changes over it failed: {error.message}",
            hint="check the disk that the output lies on, and run it again with --log FILE",
        ) from error


def _lay(changed: Reader, image: int, stretch: Stretch) -> None:
    if stretch.place is None:
        sparse.clear(image, stretch.start, stretch.length)
        return
    for done in range(0, stretch.length, _PIECE):
        length = min(_PIECE, stretch.length - done)
        # Of the last cluster in its file QEMU writes no more than it has to.
        there = max(0, min(length, changed.length - stretch.place - done))
        piece = changed.read(stretch.place + done, there) if there else b""
        sparse.overwrite(image, piece.ljust(length, b"\0"), stretch.start + done)
