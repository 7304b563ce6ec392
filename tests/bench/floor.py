"""`python -m tests.bench.floor SOURCE DIRECTORY`: a bare appliance, and libguestfs' inspection.

As little as anybody does with libguestfs: the appliance that it makes itself, an overlay over the
raw source, inspect_os, and an orderly end. Prints what each took as JSON.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import guestfs

from converter import process
from converter.accelerator import choose

if TYPE_CHECKING:
    from collections.abc import Iterator

seconds: dict[str, float] = {}


@contextmanager
def timing(phase: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[phase] = time.perf_counter() - start


def main(source: Path, directory: Path) -> None:
    overlay = directory / "overlay.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(source), str(overlay)]
    )
    os.environ.update(choose().libguestfs_settings)
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.add_drive_opts(str(overlay), format="qcow2", readonly=0, cachemode="unsafe")
    with timing("appliance"):
        handle.launch()
    with timing("inspect"):
        assert handle.inspect_os(), "no guest was found"
    with timing("shutdown"):
        handle.shutdown()
        handle.close()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
