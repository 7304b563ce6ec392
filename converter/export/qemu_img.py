"""qemu-img(1) convert, for formats that are not written here: confined, and followed."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from converter import process

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from converter.confinement import Confinement

# It prints `(12.34/100%)`, again and again.
_PERCENT: Final = re.compile(rb"\((\d+\.\d+)/100%\)")
_PIECE: Final = 4096
# What it complains of is short.
_COMPLAINT: Final = 4096


def convert(
    options: Sequence[str],
    source: str,
    target: Path,
    *,
    confinement: Confinement,
    progress: Callable[[float], None],
) -> tuple[int, str]:
    """Copy `source` to `target`, made here; give the exit status and what was said on stderr.

    It is killed when this is interrupted. `progress` gets 0 to 1. Raises `OSError` when `target`
    cannot be made.
    """
    target.touch()
    argv = ["qemu-img", "convert", "-p", *options, source, str(target)]
    # In memory: the disk of a temporary file may be the very one that is full.
    with open(os.memfd_create("complaint"), "w+b") as complaint:  # noqa: PTH123 - a descriptor
        with process.start(argv, stderr=complaint, confinement=confinement) as child:
            try:
                while child.stdout and (piece := os.read(child.stdout.fileno(), _PIECE)):
                    for match in _PERCENT.finditer(piece):
                        progress(float(match[1]) / 100)
            except BaseException:
                child.kill()
                raise
        complaint.seek(0)
        return child.returncode, complaint.read(_COMPLAINT).decode("utf-8", "replace")
