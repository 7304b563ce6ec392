"""sshd_config(5) as far as it decides who can log in: keywords, the first value of each counts.

Of some all values do. Only what stands before the first `Match` is read: what follows holds for
some connections alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import globs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# sshd itself allows 16 levels of files that include each other; there are a dozen files at most.
_DEPTH: Final = 16
_MOST_FILES: Final = 256
_REPEATED: Final = frozenset(
    {"port", "listenaddress", "allowusers", "denyusers", "allowgroups", "denygroups"}
)

Setting = tuple[str, tuple[str, ...]]


def parse(text: str, *, include: Callable[[str], Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Give each keyword, in lower case, with the words of its first value, or of all.

    `include` gives the texts of the files that the pattern of an `Include` matches, in order.
    """
    found: dict[str, list[str]] = {}
    for keyword, words in _Reader(include).settings(text, _DEPTH):
        if keyword not in found:
            found[keyword] = [*words]
        elif keyword in _REPEATED:
            found[keyword] += words
    return {keyword: tuple(words) for keyword, words in found.items()}


class _Reader:
    """Reads a file with what it includes: up to `_MOST_FILES` patterns and files in all."""

    def __init__(self, include: Callable[[str], Iterable[str]]) -> None:
        self._include = include
        self._left = _MOST_FILES

    def settings(self, text: str, depth: int) -> Iterator[Setting]:
        """Give the settings before the first `Match`; one in an included file ends with that."""
        for line in text.splitlines():
            keyword, *words = line.replace("=", " ", 1).split() or [""]
            keyword = keyword.lower()
            if keyword == "match":
                return
            if keyword == "include":
                yield from self._included(words, depth - 1)
            elif words and not keyword.startswith("#"):
                yield keyword, tuple(word.strip('"') for word in words)

    def _included(self, patterns: list[str], depth: int) -> Iterator[Setting]:
        for pattern in patterns if depth else ():
            place = pattern if pattern.startswith("/") else f"/etc/ssh/{pattern}"
            if not self._may_go_on():
                return
            for text in self._include(place):
                if not self._may_go_on():
                    return
                yield from self.settings(text, depth)

    def _may_go_on(self) -> bool:
        self._left -= 1
        return self._left >= 0


def is_listed(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether a user matches the patterns of `AllowUsers` or `DenyUsers`, hosts left out."""
    return any(globs.matches(name, pattern.partition("@")[0]) for pattern in patterns)
