"""The words of a kernel command line (Documentation/admin-guide/kernel-parameters.rst).

Words are separated by blanks; double quotes protect blanks in a value.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_WORD: Final = re.compile(r'(?:"[^"]*"?|[^\s"])+')


def split(line: str) -> list[str]:
    """Give the words of a command line, their quotes kept."""
    return _WORD.findall(line)


def join(words: Sequence[str]) -> str:
    """Give the command line of `words`."""
    return " ".join(words)


def values(words: Sequence[str], key: str) -> list[str]:
    """Give every value of `key`, in order; for most keys the last one counts."""
    prefix = f"{key}="
    return [word.removeprefix(prefix) for word in words if word.startswith(prefix)]


def with_consoles(words: Sequence[str], consoles: Sequence[str]) -> list[str]:
    """Give `words` with every console of `consoles` (`ttyS0,115200n8`), added where missing.

    A console that is there keeps its own speed. The last console becomes /dev/console, so what is
    missing is added at the end, and one that is there but should come later is added again only if
    it is not last already.
    """
    present = [value.partition(",")[0] for value in values(words, "console")]
    wanted = [console.partition(",")[0] for console in consoles]
    if [name for name in present if name in wanted][-len(wanted) :] == wanted:
        return list(words)
    if not set(wanted) & set(present):
        return [*words, *(f"console={console}" for console in consoles)]
    ours = {
        value.partition(",")[0]: value
        for value in values(words, "console")
        if value.partition(",")[0] in wanted
    }
    kept = [word for word in words if word.removeprefix("console=") not in ours.values()]
    return [
        *kept,
        *(
            f"console={ours.get(name, console)}"
            for name, console in zip(wanted, consoles, strict=True)
        ),
    ]
