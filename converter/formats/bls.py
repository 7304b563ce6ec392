"""Entries of the Boot Loader Specification (UAPI.1, type #1), and systemd-boot's loader.conf(5).

Both are lines of a key and a value; lines that begin with `#` are remarks. Keys may stand several
times. The orders and defaults of the two boot loaders that read entries are here too: Fedora's GRUB
sorts by the file's name, systemd-boot by `sort-key`, `machine-id` and `version`, then the name.

Files in which nothing is understood are entries without keys: any text is accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cmp_to_key, total_ordering
from typing import TYPE_CHECKING, Final

from converter.formats import globs, kernel_args, versions
from converter.formats.kernel_args import Edit, Span, spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.formats.kernel_args import Editor, Piece

# As blscfg puts variables in: with the blank behind them, and another one for it.
VARIABLE: Final = re.compile(r"\$([A-Za-z0-9_]+) ?")
_LINE: Final = re.compile(r"^[ \t]*(?P<key>[^\s#]\S*)[ \t]+(?P<value>\S[^\n]*)$", re.MULTILINE)
# Of options; kernel-install writes one.
_MOST_LINES: Final = 64
# Boot counting (UAPI.1): tries left, and done, at the end of the name.
_COUNTER: Final = re.compile(r"\+(\d{1,9})(?:-\d{1,9})?$")


@dataclass(frozen=True, slots=True)
class Line:
    """A key and its value, with the value's place in the text."""

    key: str
    value: str
    start: int


@dataclass(frozen=True, slots=True)
class Entry:
    """The text of a file and what stands in it. Every edit gives a new one."""

    text: str
    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return self.text

    def all(self, key: str) -> tuple[str, ...]:
        """Give every value of `key`, in order."""
        return tuple(line.value for line in self.lines if line.key == key)

    def get(self, key: str) -> str | None:
        """Give the first value of `key`."""
        return next(iter(self.all(key)), None)

    @property
    def options(self) -> tuple[str, ...]:
        """The words of all `options` lines."""
        return tuple(word for _, found in self._options() for word in (span.word for span in found))

    def _options(self) -> list[tuple[Line, list[Span]]]:
        return [
            (
                line,
                [Span(s.word, s.start + line.start, s.end + line.start) for s in spans(line.value)],
            )
            for line in self.lines
            if line.key == "options"
        ]

    def with_options(self, edit: Editor) -> Entry:
        """Give the entry with the words of its `options` edited; new ones come into the last line.

        An entry without such a line stays: then the boot loader has its own default for it.
        """
        found = self._options()
        if len(found) > _MOST_LINES:
            return self
        wanted = edit(self.options)
        made: list[Piece] = []
        first = 0
        for number, (line, words) in enumerate(found):
            here = range(first, first + len(words))
            changed = {at - first: wanted.changed[at] for at in here if at in wanted.changed}
            added = wanted.added if number == len(found) - 1 else ()
            made += kernel_args.pieces(words, Edit(changed, added), start=line.start)
            first += len(words)
        return parse(kernel_args.put_in(self.text, made))

    def with_value(self, key: str, value: str) -> Entry:
        """Give the file with `value` for every `key`, or with a new line of it."""
        made = [
            (line.start, line.start + len(line.value), value)
            for line in self.lines
            if line.key == key
        ]
        text = kernel_args.put_in(self.text, made)
        if not made:
            gap = "" if not text or text.endswith("\n") else "\n"
            text = f"{text}{gap}{key} {value}\n"
        return parse(text)


def parse(text: str) -> Entry:
    """Read an entry, or loader.conf; any text is accepted."""
    return Entry(
        text,
        tuple(Line(m["key"], m["value"].rstrip(), m.start("value")) for m in _LINE.finditer(text)),
    )


@total_ordering
@dataclass(frozen=True, slots=True, eq=False)
class GrubOrder:
    """The place of an entry among others, by the name of its file without `.conf`.

    Fedora's blscfg takes the name apart at its last two `-`: name, version, release.
    """

    name: str

    def _compare(self, other: GrubOrder) -> int:
        for left, right in zip(_parts(self.name), _parts(other.name), strict=True):
            result = versions.rpm(left, right)
            if result:
                return result
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GrubOrder) and self._compare(other) == 0

    def __hash__(self) -> int:
        return 0

    def __lt__(self, other: GrubOrder) -> bool:
        return self._compare(other) < 0


def _parts(name: str) -> tuple[str, str, str]:
    match name.rsplit("-", 2):
        case [package, version, release]:
            return package, version, release
        case [package, version]:
            return package, version, ""
    return name, "", ""


# --- systemd-boot ---------------------------------------------------------------------------------


def identifier(name: str) -> str:
    """Give an entry's id by the name of its file: without the count of tries in it."""
    stem, dot, suffix = name.rpartition(".")
    return f"{_COUNTER.sub('', stem)}{dot}{suffix}"


def sort(entries: Iterable[tuple[str, Entry]]) -> list[tuple[str, Entry]]:
    """Put entries, by the names of their files, into the order of systemd-boot(7)'s menu."""

    def compare(left: tuple[str, Entry], right: tuple[str, Entry]) -> int:
        (name, one), (other, two) = left, right
        result = (_is_spent(name) > _is_spent(other)) - (_is_spent(name) < _is_spent(other))
        keys = one.get("sort-key"), two.get("sort-key")
        result = result or (keys[0] is None) - (keys[1] is None)
        if not result and keys[0] is not None and keys[1] is not None:
            result = _strings(keys[0], keys[1])
            result = result or _strings(one.get("machine-id") or "", two.get("machine-id") or "")
            result = result or -versions.uapi(one.get("version") or "", two.get("version") or "")
        return result or -versions.uapi(identifier(name), identifier(other))

    return sorted(entries, key=cmp_to_key(compare))


def default(names: Sequence[str], pattern: str) -> str | None:
    """Give the file of `names`, in the menu's order, that loader.conf's `default` means.

    It is a pattern for ids; `.conf` may be left out. Where it matches none, as where there is no
    pattern, the first counts.
    """
    found = (name for name in names if pattern and matches(name, pattern))
    return next(found, next(iter(names), None))


def matches(name: str, pattern: str) -> bool:
    """Tell whether a file's entry is meant by a pattern of loader.conf(5)."""
    wanted, found = pattern.casefold(), identifier(name).casefold()
    return globs.matches(found, wanted) or found == f"{wanted}.conf"


def _is_spent(name: str) -> bool:
    match = _COUNTER.search(name.rpartition(".")[0])
    return match is not None and int(match[1]) == 0


def _strings(left: str, right: str) -> int:
    return (left > right) - (left < right)
