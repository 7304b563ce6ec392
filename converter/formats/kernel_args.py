"""The words of a kernel command line, and edits of them wherever such a line stands.

Documentation/admin-guide/kernel-parameters.rst: words are separated by blanks, double quotes
protect blanks in a value, and what follows `--` is for init. Most parameters may stand several
times; the last one counts.

Bootloaders write such lines in their own ways (with other quotes, over several lines). An edit
therefore says what becomes of each word (`Edit`), and `spliced` puts just that into the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Editor = Callable[[Sequence[str]], "Edit"]
    # What comes into a text: from where to where, and what.
    Piece = tuple[int, int, str]

_WORD: Final = re.compile(r'(?:"[^"]*"?|[^\s"])+')
_FOR_INIT: Final = "--"
# A console with its speed; with blanks or quotes in it, it is none.
_SPEED: Final = re.compile(r'[^\s",]+,[^\s"]+')
# Programs that are loaded as Linux is, and take other arguments: memtest86+, SYSLINUX's memdisk,
# iPXE; by the names that their packages give them.
_NOT_LINUX: Final = re.compile(r"(?:memtest|mt86|memdisk|[gi]pxe)[^/]*")


@dataclass(frozen=True, slots=True)
class Edit:
    """What becomes of the words of a line: others by index, None for one that goes; and new ones.

    The new words come last, but before what is for init (the `--` before that does not change),
    and before a quote that never ends.
    """

    changed: Mapping[int, str | None] = field(default_factory=dict)
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """A word of a line and where it stands in the text around it."""

    word: str
    start: int
    end: int


def spans(line: str) -> list[Span]:
    """Give the words of a command line, their quotes kept, with their places."""
    return [Span(match[0], match.start(), match.end()) for match in _WORD.finditer(line)]


def split(line: str) -> list[str]:
    """Give the words of a command line, their quotes kept."""
    return _WORD.findall(line)


def join(words: Iterable[str]) -> str:
    """Give the command line of `words`."""
    return " ".join(words)


def parameter(word: str) -> tuple[str, str]:
    """Give the name and the value of a word, without quotes; a flag has the value ""."""
    name, _, value = word.partition("=")
    return name.lstrip('"'), value.strip('"')


def values(words: Sequence[str], key: str) -> list[str]:
    """Give every value of `key`, in order; for most keys the last one counts."""
    named = (parameter(word) for word in words if "=" in word)
    return [value for name, value in named if name == key]


def is_linux(image: str) -> bool:
    """Tell whether the file `image`, which a bootloader starts as Linux, may be Linux."""
    return not _NOT_LINUX.fullmatch(image.rpartition("/")[2])


# --- edits ----------------------------------------------------------------------------------------


def applied(words: Sequence[str], edit: Edit) -> list[str]:
    """Give the words after an edit."""
    kept = [edit.changed.get(number, word) for number, word in enumerate(words)]
    at = _place_of_new(words)
    return [word for word in (*kept[:at], *edit.added, *kept[at:]) if word is not None]


def edited(line: str, edit: Editor) -> str:
    """Give a plain command line with its words edited; everything else stays as it stands."""
    found = spans(line)
    return spliced(line, found, edit([span.word for span in found]))


def spliced(text: str, words: Sequence[Span], edit: Edit, *, start: int = 0) -> str:
    """Give `text` with an edit of its `words` put in.

    `start` is where words would begin if there were none.
    """
    return put_in(text, pieces(words, edit, start=start))


def pieces(
    words: Sequence[Span],
    edit: Edit,
    *,
    start: int = 0,
    before: str = "",
    quote: Callable[[str], str] = str,
) -> list[Piece]:
    """Give what an edit of `words` puts into the text around them.

    `start` is where words would begin if there were none, and `before` what separates the first
    one from what stands there. New words are written by `quote`.
    """
    found = [*_changes(words, edit, quote)]
    if edit.added:
        gone = all(edit.changed.get(number, "") is None for number in range(len(words)))
        gap = before if not words else "" if gone else " "
        found.append(_addition(words, edit, quote, start, gap))
    return found


def put_in(text: str, pieces: Iterable[Piece]) -> str:
    """Give `text` with each piece (start, end, new text) in the place of what is there."""
    done, at = [], 0
    for begin, end, new in sorted(pieces, key=lambda piece: piece[:2]):
        done += [text[at:begin], new]
        at = max(at, end)
    return "".join([*done, text[at:]])


def _changes(
    words: Sequence[Span], edit: Edit, quote: Callable[[str], str]
) -> Iterator[tuple[int, int, str]]:
    for number, new in edit.changed.items():
        span = words[number]
        if new is not None:
            yield span.start, span.end, quote(new)
        elif number > 0:
            yield words[number - 1].end, span.end, ""
        else:
            yield span.start, words[1].start if len(words) > 1 else span.end, ""


def _addition(
    words: Sequence[Span], edit: Edit, quote: Callable[[str], str], start: int, gap: str
) -> tuple[int, int, str]:
    new = " ".join(quote(word) for word in edit.added)
    at = _place_of_new([span.word for span in words])
    if at < len(words):
        return words[at].start, words[at].start, f"{new} "
    place = words[-1].end if words else start
    return place, place, f"{gap}{new}"


def _place_of_new(words: Sequence[str]) -> int:
    """Give where new words come: before what is for init, and before a quote that never ends.

    The latter takes all that is behind it into its word.
    """
    end = len(words) - (bool(words) and words[-1].count('"') % 2)
    return min(words.index(_FOR_INIT), end) if _FOR_INIT in words else end


def renaming(words: Sequence[str], name: Callable[[str, str], str | None]) -> Edit:
    """Give the edit that passes each parameter's name and value through `name`.

    What it gives is the new value; None means that the parameter goes.
    """
    changed: dict[int, str | None] = {}
    for number, word in enumerate(words):
        key, value = parameter(word)
        new = name(key, value) if "=" in word else value
        if new != value:
            changed[number] = None if new is None else f"{key}={new}"
    return Edit(changed)


def consoles(words: Sequence[str], wanted: Sequence[str]) -> Edit:
    """Give the edit that makes every console of `wanted` (`ttyS0,115200n8`) one, the last one last.

    The last console becomes /dev/console. Others stay, and one that is there keeps its own speed.
    What is for init names none: the kernel alone opens them. Nor does what a quote without an end
    has taken into its word.
    """
    *others, last = wanted
    last_name = _console_name(last)
    there = [
        (number, parameter(word)[1])
        for number, word in enumerate(words[: _place_of_new(words)])
        if parameter(word)[0] == "console" and "=" in word
    ]
    ours = [(number, value) for number, value in there if _console_name(value) == last_name]
    full = next((value for _, value in reversed(ours) if _SPEED.fullmatch(value)), last)
    names = {_console_name(value) for _, value in there}
    missing = [value for value in others if _console_name(value) not in names]
    if not missing and ours and ours[-1] == there[-1]:
        number, value = ours[-1]
        return Edit({} if value == full else {number: f"console={full}"})
    added = tuple(f"console={value}" for value in (*missing, full))
    return Edit(dict.fromkeys((number for number, _ in ours), None), added)


def _console_name(value: str) -> str:
    return value.partition(",")[0]
