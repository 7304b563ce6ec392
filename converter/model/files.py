"""What lies at a path of a guest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FileKind(StrEnum):
    """What lies at a guest path."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Stat:
    """lstat(2) of a guest path, as far as conversion needs it."""

    kind: FileKind
    mode: int
    uid: int
    gid: int
    size: int

    @property
    def in_bytes(self) -> str:
        """What a plan tells a file by that is to be gone: a log may be a terabyte of holes."""
        return f"{self.size} bytes"
