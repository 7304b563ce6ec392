"""Shell patterns (glob(7)), as guests' files name them.

What is longer than a pattern for the name of a file (NAME_MAX, 255) can sensibly be, matches
nothing: it would take more memory and time the longer it is.
"""

from __future__ import annotations

import fnmatch
from typing import Final

_LONGEST: Final = 1024


def matches(name: str, pattern: str) -> bool:
    """Tell whether all of `name` is meant by `pattern`; the case of letters counts."""
    return len(pattern) <= _LONGEST and fnmatch.fnmatchcase(name, pattern)
