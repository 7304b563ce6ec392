"""What a helper may touch that reads what nobody vouches for; `launcher` takes it all else away.

A helper that is confined can open the files that are named here and the system's own programs and
libraries. It can start nothing, reach no socket and no network, and has no privileges of root but
one: to read what root may read. It still runs as the user that we run as: another one could read
no source on a FUSE or NFS file system, whatever its capabilities are.
"""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter.confinement import launcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

log = logging.getLogger(__name__)

LAUNCHER: Final = Path(launcher.__file__).resolve()
# What a helper may have in memory that was given no limit of its own.
_DATA: Final = 2 << 30
_INTERPRETER: Final = Path("/usr/bin/python3")


@dataclass(frozen=True, slots=True)
class Confinement:
    """Files and directories that are `read`, and `written`; and how much of what may be taken.

    Of a directory it is everything in it. Links are followed now: where they lead to later counts
    for nothing. `scratch` is a directory that is written, and where temporary files go. `limits`
    are getrlimit(2)'s, by their names in lower case, in bytes or seconds.
    """

    read: tuple[Path, ...] = ()
    written: tuple[Path, ...] = ()
    scratch: Path | None = None
    limits: Mapping[str, int] = field(default_factory=lambda: {"data": _DATA})

    def command(self, tool: str) -> list[str]:
        """Give the beginning of a command line that starts the program at the path `tool`."""
        parent = ("--parent", str(os.getpid()))
        return [sys.executable, "-I", "-S", str(LAUNCHER), *parent, *self.options(tool)]

    def options(self, tool: str) -> list[str]:
        """Give what `launcher` is told."""
        scratch = () if self.scratch is None else (self.scratch,)
        return [
            *_named("--read", self.read),
            *_named("--write", self.written),
            *_named("--scratch", scratch),
            *_named("--limit", (f"{name}={value}" for name, value in self.limits.items())),
            *("--", tool),
        ]


def linked(directory: Path) -> tuple[Path, ...]:
    """Give `directory`, and the files that links in it lead to: they are ours, nobody else's.

    What is confined makes no links, wherever it may write.
    """
    return (directory, *(path.resolve() for path in directory.iterdir() if path.is_symlink()))


def _named(option: str, values: Iterable[object]) -> Iterable[str]:
    return (word for value in values for word in (option, str(value)))


def describe() -> str:
    """Say by what helpers are confined on this machine, and what is missing."""
    version = launcher.landlock_version()
    files = f"Landlock {version}" if version else "no Landlock: helpers may open any file"
    calls = "seccomp" if launcher.has_seccomp() else "no filter of system calls"
    machine = "" if starts_by_itself() else f"; {LAUNCHER} cannot be executed: QEMU is not confined"
    return f"{files}, {calls}{machine}"


def starts_by_itself() -> bool:
    """Tell whether the launcher can be started by its path alone, as libguestfs does it."""
    return os.access(LAUNCHER, os.X_OK) and _INTERPRETER.exists()
