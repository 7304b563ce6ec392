"""udev's rules (udev(7)): lines of comma-separated `KEY{attribute}operator"value"` terms.

A backslash at the end of a line continues it. Only what is needed to tell rules that name network
cards is understood; every line survives byte for byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_TERM: Final = re.compile(
    r'(?<![A-Z_])([A-Z_]++)(?:\{([^{}"\n]*)\})?[ \t]*(==|!=|\+=|-=|:=|=)[ \t]*[ei]?"([^"\n]*)"'
)


@dataclass(frozen=True, slots=True)
class Term:
    """One match or assignment of a rule; `attribute` is what stands in braces, "" for none."""

    key: str
    attribute: str
    operator: str
    value: str

    @property
    def matches(self) -> bool:
        """Whether it is a match, not an assignment."""
        return self.operator in ("==", "!=")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule with its continuation lines and its newline, or a comment or blank line."""

    text: str

    @property
    def terms(self) -> tuple[Term, ...]:
        """Its terms in order; none for a comment or a blank line."""
        if self.text.lstrip().startswith("#"):
            return ()
        joined = self.text.replace("\\\n", "")
        return tuple(Term(*(part or "" for part in found)) for found in _TERM.findall(joined))

    @property
    def is_blank(self) -> bool:
        """Whether nothing stands here but a comment, if that."""
        text = self.text.strip()
        return not text or text.startswith("#")


@dataclass(frozen=True, slots=True)
class Rules:
    """A file of rules. Every edit gives a new one."""

    rules: tuple[Rule, ...]

    def __str__(self) -> str:
        return "".join(rule.text for rule in self.rules)

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule at all."""
        return all(rule.is_blank for rule in self.rules)

    def without(self, unwanted: Callable[[Rule], bool]) -> Rules:
        """Give the file without the rules that `unwanted` holds for."""
        return Rules(tuple(rule for rule in self.rules if not unwanted(rule)))


def parse(text: str) -> Rules:
    """Read a file; any text is accepted, and `str` of the result is that text."""
    rules: list[Rule] = []
    waiting = ""
    for piece in re.findall(r"[^\n]*\n|[^\n]+\Z", text):
        comment = not waiting and piece.lstrip().startswith("#")
        waiting += piece
        if comment or not piece.endswith("\\\n"):
            rules.append(Rule(waiting))
            waiting = ""
    return Rules((*rules, Rule(waiting)) if waiting else tuple(rules))
