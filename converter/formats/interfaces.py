"""/etc/network/interfaces of ifupdown (interfaces(5)).

A file is a row of stanzas; a stanza begins at a line whose first word opens one and reaches to the
next such line. Comments and blank lines before a stanza belong to the one above, and stay.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

# A line with its continuations. Backslash-newline continues, also in comments' place.
_LINE: Final = re.compile(r"(?:[^\n\\]|\\[^\n]|\\\n)*(?:\\?\n|\\?\Z)")


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its continuations, its newline included."""

    text: str

    @property
    def words(self) -> tuple[str, ...]:
        """Its words; none for a comment."""
        joined = self.text.replace("\\\n", " ")
        return () if joined.lstrip().startswith("#") else tuple(joined.split())


@dataclass(frozen=True, slots=True)
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
    def method(self) -> str:
        """The method of an `iface` stanza: static, dhcp, loopback and so on."""
        words = self.lines[0].words
        return words[3] if self.keyword == "iface" and len(words) > 3 else ""

    @property
    def family(self) -> str:
        """The address family of an `iface` stanza: inet, inet6 and so on."""
        words = self.lines[0].words
        return words[2] if self.keyword == "iface" and len(words) > 2 else ""


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
    def allowed(self) -> frozenset[str]:
        """Every name or pattern that is brought up by `auto` or an `allow-` class."""
        return frozenset(
            name for stanza in self.stanzas if _allows(stanza.keyword) for name in stanza.names
        )

    @property
    def sources(self) -> tuple[str, ...]:
        """The patterns of the files that are read too; a directory's as `DIR/*`."""
        found: list[str] = []
        for stanza in self.stanzas:
            if stanza.keyword == "source":
                found += stanza.names
            elif stanza.keyword == "source-directory":
                found += [f"{name.rstrip('/')}/*" for name in stanza.names]
        return tuple(found)

    def without_cards(self) -> Interfaces:
        """Give the file with nothing but the loopback, the `source` lines and the comments."""
        loopback = {stanza.name for stanza in self.ifaces if stanza.method == "loopback"}
        kept: list[Stanza] = []
        for stanza in self.stanzas:
            if _allows(stanza.keyword):
                kept.append(_only(stanza, loopback))
            elif stanza.keyword in ("source", "source-directory") or stanza.method == "loopback":
                kept.append(stanza)
            else:
                kept.append(_comments(stanza))
        return replace(self, stanzas=tuple(kept))


def parse(text: str) -> Interfaces:
    """Read a file; any text is accepted, and `str` of the result is that text."""
    head: list[Line] = []
    stanzas: list[Stanza] = []
    for piece in _LINE.findall(text):
        if not piece:
            continue
        line = Line(piece)
        words = line.words
        if words and _opens(words[0]):
            names = words[1:2] if words[0] == "iface" else words[1:]
            stanzas.append(Stanza(words[0], names, (line,)))
        elif stanzas:
            stanzas[-1] = replace(stanzas[-1], lines=(*stanzas[-1].lines, line))
        else:
            head.append(line)
    return Interfaces(tuple(head), tuple(stanzas))


def _opens(word: str) -> bool:
    return word in {
        "iface", "mapping", "auto", "source", "source-directory", "rename", "template",
        "no-auto-down", "no-scripts",
    } or word.startswith("allow-")  # fmt: skip


def _allows(keyword: str) -> bool:
    return keyword == "auto" or keyword.startswith("allow-")


def _comments(stanza: Stanza) -> Stanza:
    """Give what is left of a stanza that goes: its comments and blank lines."""
    return Stanza("", (), tuple(line for line in stanza.lines if not line.words))


def _only(stanza: Stanza, names: set[str]) -> Stanza:
    """Give an `auto` or `allow-` stanza for those of its names that are in `names`."""
    kept = tuple(name for name in stanza.names if name in names)
    if kept == stanza.names:
        return stanza
    rest = _comments(stanza).lines
    if not kept:
        return Stanza("", (), rest)
    line = Line(f"{stanza.keyword} {' '.join(kept)}\n")
    return Stanza(stanza.keyword, kept, (line, *rest))
