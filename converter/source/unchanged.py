"""That a source stays what it was while it is converted.

A machine that still runs, or an export or a download that still goes on, changes it; what is read
then is of no one moment. Told by what stat(2) says, times in nanoseconds: also a write that puts
mtime back moves ctime. Limits: of a block device only its number and its size are compared (QEMU's
lock, which is held, keeps QEMU off it), and writes through a mapping (mmap(2)) may
be told late.
"""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from converter.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from converter.model import Source

_Identity = tuple[int, ...] | None


class Watch:
    """What the files of a source were when they were first seen."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """See them; those that are not there are for others to complain of."""
        self._seen: dict[Path, _Identity] = {path: _identity(path) for path in paths}

    def add(self, source: Source) -> None:
        """See the files that `source` is found to be made of, too."""
        for disk in source.disks:
            files = (disk.file, *(extent.file for extent in disk.extents))
            parts = (part for file in files if file is not None for part in file.parts)
            for path in {part.path for part in parts}:
                self._seen.setdefault(path, _identity(path))

    def check(self) -> None:
        """Raise `ConversionError` ``source-changed`` unless all are what they were."""
        changed = [path for path, seen in self._seen.items() if _identity(path) != seen]
        if changed:
            raise ConversionError(
                "source-changed",
                f"{', '.join(map(str, changed))}: changed while being converted",
                hint="shut the machine down, or wait for the export or copy to end, and convert it"
                " then",
            )


@contextmanager
def unchanged(paths: Iterable[Path]) -> Iterator[Watch]:
    """Watch the files at `paths`: a block that fails because they changed fails for that reason."""
    watch = Watch(paths)
    try:
        yield watch
    except ConversionError as error:
        try:
            watch.check()
        except ConversionError as changed:
            raise changed from error
        raise


def _identity(path: Path) -> _Identity:
    """Tell one content of a file from another; None for what cannot be opened."""
    try:
        # Opened: a network filesystem may answer stat(2) from what it knew a minute ago.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return None
    try:
        found = os.fstat(descriptor)
        if stat.S_ISBLK(found.st_mode):
            return found.st_rdev, os.lseek(descriptor, 0, os.SEEK_END)
        times = found.st_mtime_ns, found.st_ctime_ns
        return found.st_dev, found.st_ino, found.st_size, *times
    finally:
        os.close(descriptor)
