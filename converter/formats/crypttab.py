"""/etc/crypttab as crypttab(5) of systemd and of cryptsetup have it; written back byte for byte.

Fields: the name below /dev/mapper, the device, the key file, options between commas.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import columns

if TYPE_CHECKING:
    from collections.abc import Callable

_FIELDS: Final = 4
# Key files that are another key at every start: what was on the device is lost then.
_RANDOM_KEYS: Final = frozenset({"/dev/urandom", "/dev/random", "/dev/hw_random", "/dev/hwrng"})


@dataclass(frozen=True, slots=True)
class Line:
    """A line as it stands, its newline included."""

    text: str


@dataclass(frozen=True, slots=True)
class Entry(Line):
    """A line that opens a device as /dev/mapper/`name`."""

    name: str
    device: str
    key: str
    options: tuple[str, ...]

    @property
    def is_random(self) -> bool:
        """Whether the device is made anew with a random key at every start."""
        return self.key in _RANDOM_KEYS

    def with_device(self, device: str) -> Line:
        """Give the line with another device."""
        return _parse_line(columns.with_field(self.text, 1, columns.encode(device)))

    def with_options(self, options: tuple[str, ...]) -> Line:
        """Give the line with other options; missing fields are added."""
        text = columns.with_field(self.text, 2, self.key)
        return _parse_line(columns.with_field(text, 3, ",".join(options)))


@dataclass(frozen=True, slots=True)
class Crypttab:
    """The lines of a file, in order. An edit gives a new table."""

    lines: tuple[Line, ...]

    def __str__(self) -> str:
        return "".join(line.text for line in self.lines)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The lines that open something."""
        return tuple(line for line in self.lines if isinstance(line, Entry))

    def edited(self, edit: Callable[[Entry], Line]) -> Crypttab:
        """Give the table with `edit` of each entry in its place."""
        texts = [(edit(line) if isinstance(line, Entry) else line).text for line in self.lines]
        return parse("".join(texts))


def parse(text: str) -> Crypttab:
    """Read a whole file; any text is accepted, and `str` of the result is that text."""
    return Crypttab(tuple(_parse_line(line) for line in columns.lines(text)))


def _parse_line(text: str) -> Line:
    found = columns.fields(text, most=_FIELDS)
    if len(found) < 2:
        return Line(text)
    key, options = (*found[2:], *("none", "")[len(found) - 2 :])
    return Entry(
        text,
        name=columns.decode(found[0]),
        device=columns.decode(found[1]),
        key=key,
        options=tuple(option for option in options.split(",") if option),
    )
