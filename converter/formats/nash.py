"""The /init of Red Hat's mkinitrd (RHEL 5 and before, Fedora to 11): a script for nash(8).

nash is no shell: it has a command on each line, `#` comments, and no blocks but `cond`, which runs
one command. mkinitrd writes all `insmod` lines before the first command that uses a block device.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# The commands (nash(8)) that need the disks: drivers must be loaded before the first of them.
_USES_DISKS: Final = re.compile(
    r"(?:cond\s+\S+\s+)?(?:mkdmnod|mkrootdev|lvm|dm|raidautorun|rmparts|resume|swsusp|network|nbd)\b"
    r"|mount\s++(?:.*\s)?/sysroot\b|echo\s+Scanning and configuring dmraid"
)
_INTERPRETER: Final = re.compile(r"#!\s*\S*/nash\b")
# The arguments that name a device: all of `resume`, the last of `mkrootdev`.
_DEVICE: Final = re.compile(r"^([ \t]*(?:resume|mkrootdev)[ \t][^\n]*?)(/dev/\S+)", re.MULTILINE)


def with_modules(text: str, paths: Sequence[str]) -> str:
    """Give the script with the modules at `paths` loaded, in their order, before disks are used.

    Raises `FormatError` when this is no script of nash, or nothing in it uses a disk.
    """
    if not paths:
        return text
    if not _INTERPRETER.match(text):
        raise FormatError("/init: it is not a script of nash")
    lines = text.splitlines(keepends=True)
    place = next((at for at, line in enumerate(lines) if _USES_DISKS.match(line.lstrip())), None)
    if place is None:
        raise FormatError("/init: nothing in it mounts the root filesystem")
    new = [f'echo "Loading {path.rpartition("/")[2]} module"\ninsmod {path}\n' for path in paths]
    return "".join([*lines[:place], *new, "mkblkdevs\n", *lines[place:]])


def with_devices(text: str, rename: Callable[[str], str]) -> str:
    """Give the script with the devices that it mounts and resumes from as `rename` has them."""
    if not _INTERPRETER.match(text):
        return text
    return _DEVICE.sub(lambda match: match[1] + rename(match[2]), text)
