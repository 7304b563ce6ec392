"""/etc/network/interfaces of ifupdown (interfaces(5)).

A file is a row of stanzas; a stanza begins at a line whose first word opens one and reaches to the
next such line. Comments and blank lines before a stanza belong to the one above, and stay.

A backslash at the very end of a line continues it, but for a comment's; what follows is part of the
line even if it looks like a comment (ifupdown's config.c).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

# What isspace(3) takes for blank in the C locale.
_BLANKS: Final = " \t\n\v\f\r"
_TO_BLANK: Final = str.maketrans(dict.fromkeys("\t\n\v\f\r", " "))
_SOURCE_DIRECTORY: Final = "source-dir"
_OPENING: Final = frozenset({
    "iface", "mapping", "auto", "source", "rename", "no-auto-down", "no-scripts", "template",
})  # fmt: skip
_LISTS: Final = frozenset({"auto", "no-auto-down", "no-scripts"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its continuations, its newline included; or blank ones that follow each other."""

    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """Its words; none for a comment."""
        text = self.text.lstrip(_BLANKS)
        if not text or text.startswith("#"):
            return ()
        joined = text.replace("\\\n", "").rstrip("\\")
        return tuple(filter(None, joined.translate(_TO_BLANK).split(" ")))


@dataclass(frozen=True)
class Stanza:
    """A stanza: the line that opens it, its options, and the comments and blanks among them."""

    keyword: str
    names: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def name(self) -> str:
        """The (first) interface it is about."""
        return self.names[0] if self.names else ""

    @property
    def family(self) -> str:
        """The address family of an `iface` stanza: inet, inet6 and so on."""
        return self._iface_word(2)

    @property
    def method(self) -> str:
        """The method of an `iface` stanza: static, dhcp, loopback and so on; it may be left out."""
        return "" if self.family == "inherits" else self._iface_word(3)

    @property
    def inherits(self) -> str:
        """The stanza whose options an `iface` stanza takes over."""
        words = self._iface_words
        place = words.index("inherits", 2) if "inherits" in words[2:] else len(words)
        return words[place + 1] if place + 1 < len(words) else ""

    @cached_property
    def options(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Its options in order, each with its words; `_` in their names is written `-`."""
        found = (line.words for line in self.lines[1:])
        return tuple((words[0].replace("_", "-"), words[1:]) for words in found if words)

    def values(self, *names: str) -> tuple[str, ...]:
        """Give the words of every option that has one of `names`."""
        return tuple(word for name, words in self.options if name in names for word in words)

    @property
    def _iface_words(self) -> tuple[str, ...]:
        return self.lines[0].words if self.keyword == "iface" else ()

    def _iface_word(self, place: int) -> str:
        return self._iface_words[place] if len(self._iface_words) > place else ""


@dataclass(frozen=True, slots=True)
class Source:
    """A pattern of files that are read too; of a directory's, only some names are taken."""

    pattern: str
    directory: bool


@dataclass(frozen=True, slots=True)
class Interfaces:
    """A file: what stands before the first stanza, and the stanzas. Every edit gives a new one."""

    head: tuple[Line, ...]
    stanzas: tuple[Stanza, ...]

    def __str__(self) -> str:
        body = (line for stanza in self.stanzas for line in stanza.lines)
        return "".join(line.text for line in (*self.head, *body))

    @property
    def ifaces(self) -> tuple[Stanza, ...]:
        """The `iface` stanzas."""
        return tuple(stanza for stanza in self.stanzas if stanza.keyword == "iface")

    @property
    def allowed(self) -> tuple[str, ...]:
        """Every name or pattern that is brought up by `auto` or an `allow-` class."""
        return tuple(
            name
            for stanza in self.stanzas
            if stanza.keyword == "auto" or stanza.keyword.startswith("allow-")
            for name in stanza.names
        )

    @property
    def sources(self) -> tuple[Source, ...]:
        """The patterns of the files that are read too, as they are written."""
        return tuple(
            Source(name, directory=stanza.keyword != "source")
            for stanza in self.stanzas
            if stanza.keyword.startswith("source")
            for name in stanza.names
        )

    def only(self, kept: Container[str]) -> Interfaces:
        """Give the file with the interfaces in `kept` alone, its `source` lines and its comments.

        Mappings and renamings go: they speak of cards. So does what ifupdown could not read.
        """
        head = tuple(line for line in self.head if not line.words)
        stanzas = (_only(stanza, kept) for stanza in self.stanzas)
        return replace(self, head=head, stanzas=tuple(stanzas))


def parse(text: str) -> Interfaces:
    """Read a file; any text is accepted, and `str` of the result is that text."""
    head: list[Line] = []
    stanzas: list[tuple[str, tuple[str, ...], list[Line]]] = []
    for line in _lines(text):
        words = line.words
        if words and _opens(words[0]):
            names = words[1:2] if words[0] in ("iface", "template") else words[1:]
            stanzas.append((words[0], names, [line]))
        else:
            (stanzas[-1][2] if stanzas else head).append(line)
    return Interfaces(
        tuple(head), tuple(Stanza(word, names, tuple(lines)) for word, names, lines in stanzas)
    )


def _lines(text: str) -> Iterator[Line]:
    pieces = text.split("\n")
    last = pieces.pop()
    waiting: list[str] = []
    blank: list[str] = []
    for piece in pieces:
        if not waiting and not piece.strip(_BLANKS):
            blank.append(f"{piece}\n")
            continue
        if blank:
            yield Line("".join(blank))
            blank.clear()
        waiting.append(f"{piece}\n")
        if piece.endswith("\\") and not (len(waiting) == 1 and _is_comment(piece)):
            continue
        yield Line("".join(waiting))
        waiting.clear()
    if blank:
        yield Line("".join(blank))
    if waiting or last:
        yield Line("".join([*waiting, last]))


def _is_comment(text: str) -> bool:
    return text.lstrip(_BLANKS).startswith("#")


def _opens(word: str) -> bool:
    return (
        word in _OPENING
        or word.startswith(_SOURCE_DIRECTORY)
        or (word.startswith("allow-") and word != "allow-")
    )


def _only(stanza: Stanza, kept: Container[str]) -> Stanza:
    """Give what is left of a stanza: all of it, less names, or its comments and blank lines."""
    rest = tuple(line for line in stanza.lines if not line.words)
    if stanza.keyword.startswith("source"):
        return replace(stanza, lines=(stanza.lines[0], *rest))
    if stanza.keyword in _LISTS or stanza.keyword.startswith("allow-"):
        names = tuple(name for name in stanza.names if name in kept)
        first = Line(f"{stanza.keyword} {' '.join(names)}\n")
        if names == stanza.names and names:
            first = stanza.lines[0]
        return replace(stanza, names=names, lines=(first, *rest)) if names else _nothing(rest)
    stays = stanza.keyword in ("iface", "template") and stanza.name in kept
    return stanza if stays else _nothing(rest)


def _nothing(rest: tuple[Line, ...]) -> Stanza:
    return Stanza("", (), rest)
