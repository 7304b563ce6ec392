"""The sockets that a killed run leaves of libguestfs.

libguestfs makes a directory for them where nobody can tell it to, in /tmp for root and else in
$XDG_RUNTIME_DIR (guestfs_get_sockdir(3)), and removes it when it ends; after `kill -9` it stays.
The sockets serve to connect to an appliance that starts. Minutes later nobody needs them, whether
the appliance still runs or not.
"""

from __future__ import annotations

import contextlib
import stat
import time
from typing import TYPE_CHECKING, Final

from converter.cache import is_own

if TYPE_CHECKING:
    from pathlib import Path

_NAMES: Final = "libguestfs??????"
# Seconds: an appliance that takes longer to connect was given up long ago.
_OLD: Final = 1800.0


def sweep(base: Path) -> None:
    """Remove the directories in `base` that old sockets of this user, and nothing else, are in."""
    for directory in base.glob(_NAMES):
        with contextlib.suppress(OSError):
            if is_own(directory) and time.time() - directory.lstat().st_mtime > _OLD:
                _remove(directory)


def _remove(directory: Path) -> None:
    sockets = list(directory.iterdir())
    # Directories for other things have such names too.
    if sockets and all(stat.S_ISSOCK(path.lstat().st_mode) for path in sockets):
        for path in sockets:
            path.unlink()
        directory.rmdir()
