"""What libguestfs writes to a file of the host, without a file.

It tells of a file that it could not write as if the guest had given nothing more ("file receive
cancelled by daemon"): a disk that was full for a moment would be told as a damaged guest. A pipe
needs no disk, and whoever sends without end is not listened to.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE: Final = 64 << 10


@contextmanager
def received(limit: int) -> Iterator[tuple[str, bytearray]]:
    """Give a file name to write to, and what was written: all of it after the block.

    Of more than `limit` bytes some are missing, and whoever writes them gets EPIPE.
    """
    reading, writing = os.pipe()
    data = bytearray()

    def read() -> None:
        with os.fdopen(reading, "rb", buffering=0) as pipe:
            while len(data) <= limit and (piece := pipe.read(_PIECE)):
                data.extend(piece)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield f"/proc/self/fd/{writing}", data
    finally:
        os.close(writing)
        reader.join()
