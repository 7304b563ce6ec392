"""What VM Import/Export says of a guest's system and kernel: look-ups in data/support.toml.

Versions and kernel releases are compared number by number: 8.10 comes after 8.9, and a row for the
kernel 4.4 takes 4.4.73-5-default. Whether a verdict refuses is not decided here but in `policy`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING, Final

import msgspec

from converter.data import load

if TYPE_CHECKING:
    from collections.abc import Iterable

_NUMBERS: Final = re.compile(r"\d{1,9}(?:[.-]\d{1,9})*")
_UEK: Final = re.compile(r"\.el\d+uek")


class Verdict(StrEnum):
    """What the table says of a distribution's version."""

    SUPPORTED = "supported"
    END_OF_LIFE = "end-of-life"
    UNTABLED = "untabled"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table; data/support.toml says what each field means."""

    distribution: str
    versions: str
    kernels: tuple[str, ...]
    uek: tuple[str, ...] = ()
    excluded_kernels: tuple[str, ...] = ()
    points: str = ""
    end_of_life: bool = False

    def takes_version(self, version: str) -> bool:
        """Tell whether `version` is one of this row's."""
        return _is_in(version, self.versions)

    def takes_kernel(self, release: str) -> bool:
        """Tell whether the kernel `release` (uname -r) is one of this row's."""
        numbers = _numbers(release)
        taken = self.kernels + (self.uek if _UEK.search(release) else ())
        return _begins_with(numbers, taken) and not _begins_with(numbers, self.excluded_kernels)

    @property
    def kernel_names(self) -> tuple[str, ...]:
        """The kernels of this row, as people name them."""
        return (*self.kernels, *(f"UEK {version}".rstrip() for version in self.uek))

    def names_point(self, point_release: str) -> bool:
        """Tell whether the row names that point release, or any will do."""
        return not self.points or not point_release or _is_in(point_release, self.points)


@cache
def rows() -> tuple[Row, ...]:
    """Give the table of Linux systems."""
    return msgspec.convert(load("support")["linux"], tuple[Row, ...])


def find_row(distribution: str, version: str) -> Row | None:
    """Give the row for a distribution's version, if there is one."""
    name = _known_as(distribution)
    named = (row for row in rows() if row.distribution == name)
    return next((row for row in named if row.takes_version(version)), None)


def family_name(distribution: str) -> str | None:
    """Give the name of a distribution that is known, in the table or not."""
    family = load("support")["families"].get(_known_as(distribution))
    return None if family is None else str(family["name"])


def judge(distribution: str, version: str) -> Verdict:
    """Give the verdict on a distribution's version."""
    row = find_row(distribution, version)
    if row is not None:
        return Verdict.END_OF_LIFE if row.end_of_life else Verdict.SUPPORTED
    return Verdict.UNKNOWN if family_name(distribution) is None else Verdict.UNTABLED


def is_own_kernel(distribution: str, release: str) -> bool:
    """Tell whether `release` is named as the distribution names its kernels.

    Where it is not known how that is, every kernel counts as the distribution's.
    """
    family = load("support")["families"].get(_known_as(distribution))
    return family is None or re.search(family["kernel_releases"], release) is not None


def _known_as(distribution: str) -> str:
    return str(load("support")["aliases"].get(distribution, distribution))


def _numbers(text: str) -> tuple[int, ...]:
    """Give the numbers that a version or release begins with; none if it begins with none."""
    found = _NUMBERS.match(text)
    return tuple(int(number) for number in re.split("[.-]", found[0])) if found else ()


def _begins_with(numbers: tuple[int, ...], starts: Iterable[str]) -> bool:
    return any(numbers[: len(start)] == start for start in map(_numbers, starts))


def _is_in(version: str, ranges: str) -> bool:
    """Tell whether `version` is in any of `ranges`, which blanks separate."""
    numbers = _numbers(version)
    return bool(numbers) and any(_is_in_range(numbers, part) for part in ranges.split())


def _is_in_range(numbers: tuple[int, ...], part: str) -> bool:
    if "-" not in part and "." not in part:
        return numbers[0] == int(part)
    low, _, high = part.partition("-")
    lowest, highest = _numbers(low), _numbers(high or low)
    return _order(lowest, numbers) <= 0 <= _order(highest, numbers)


def _order(left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Compare number by number, missing ones being zeros: -1, 0 or 1."""
    for one, other in zip_longest(left, right, fillvalue=0):
        if one != other:
            return -1 if one < other else 1
    return 0
