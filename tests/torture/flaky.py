"""A filesystem that shows a directory's files, and fails to: `python -m tests.torture.flaky`.

Reads are counted from 1, over all files. Nothing is cached (direct_io): every read of a program is
one here, or several, if it is long.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fuse
import msgspec

from converter import process
from converter.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterator

fuse.fuse_python_api = (0, 2)
_OPTIONS = "ro,allow_other,direct_io,attr_timeout=0,entry_timeout=0"


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes wrong.

    Reads of the byte `bad` fail; those from number `first` to `last` fail; from number `cut_after`
    on the files end at `cut_to`; all give at most half of what is asked if `short`.
    """

    bad: int = -1
    first: int = 0
    last: int = 0
    cut_after: int = 0
    cut_to: int = 0
    short: bool = False

    def __str__(self) -> str:
        return msgspec.json.encode(self).decode()


@contextmanager
def flaky(directory: Path, at: Path, fault: Fault) -> Iterator[None]:
    """Show the files of `directory` at `at`, with a `fault`."""
    at.mkdir()
    argv = [sys.executable, "-m", "tests.torture.flaky", str(directory), str(at)]
    said = at.with_name(f"{at.name}.log")
    with said.open("wb") as log:
        server = subprocess.Popen([*argv, str(fault)], stderr=log)
    try:
        while not at.is_mount():
            if server.poll() is not None:
                raise RuntimeError(f"the FUSE server ended: {said.read_text('utf-8')}")
            time.sleep(0.01)
        yield
    finally:
        with contextlib.suppress(ConversionError):
            process.run(["umount", "-l", str(at)])
        server.wait(30)
        at.rmdir()


class _Flaky(fuse.Fuse):  # type: ignore[misc]
    """The filesystem: one directory."""

    def __init__(self, directory: Path, fault: Fault) -> None:
        super().__init__(dash_s_do="setsingle")
        self._directory = directory
        self._fault = fault
        self._reads = 0

    def _is_cut(self) -> bool:
        return 0 < self._fault.cut_after <= self._reads

    def getattr(self, path: str) -> Any:
        found = os.lstat(self._directory / path.lstrip("/"))
        stat = fuse.Stat(**{name: getattr(found, name) for name in dir(found) if name[:3] == "st_"})
        if self._is_cut() and path != "/":
            stat.st_size = min(stat.st_size, self._fault.cut_to)
        return stat

    def readdir(self, _path: str, _offset: int) -> Iterator[Any]:
        for name in (".", "..", *sorted(path.name for path in self._directory.iterdir())):
            yield fuse.Direntry(name)

    def open(self, _path: str, flags: int) -> int | None:
        return -errno.EROFS if flags & os.O_ACCMODE != os.O_RDONLY else None

    def read(self, path: str, size: int, offset: int) -> bytes | int:
        fault = self._fault
        self._reads += 1
        if offset <= fault.bad < offset + size or fault.first <= self._reads <= fault.last:
            return -errno.EIO
        if self._is_cut():
            size = max(0, min(size, fault.cut_to - offset))
        if fault.short and size > 512:
            size //= 2
        with (self._directory / path.lstrip("/")).open("rb") as file:
            return os.pread(file.fileno(), size, offset)


def main() -> None:
    directory, at, fault = sys.argv[1:]
    server = _Flaky(Path(directory), msgspec.json.decode(fault, type=Fault))
    server.parse([at, "-f", "-s", "-o", _OPTIONS])
    server.main()


if __name__ == "__main__":
    main()
