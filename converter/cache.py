"""Where what was found out or made once is kept: `$XDG_CACHE_HOME/converter`."""

from __future__ import annotations

import os
from pathlib import Path


def directory() -> Path | None:
    """Give the cache's directory, which may not be there yet; None for a user without a home."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        # A relative one is to be ignored (XDG Base Directory Specification).
        return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "converter"
    except RuntimeError:
        return None


def is_own(path: Path) -> bool:
    """Tell whether nobody else can change what is in the directory `path`."""
    found = path.lstat()
    return path.is_dir() and found.st_uid == os.geteuid() and not found.st_mode & 0o022
