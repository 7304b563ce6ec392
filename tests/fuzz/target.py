"""What is fuzzed: a parser called as the converter calls it, and well-formed inputs to begin with.

A target may end with a result, a `FormatError` or a `ConversionError` with a code; anything else is
a finding, and so is an `AssertionError`: what it says of a round trip does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter.errors import ConversionError, DefectError
from converter.formats import FormatError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Seeds = Callable[[], Iterable[bytes]]
    Repair = Callable[[bytes], bytes]

_REGRESSIONS: Final = Path(__file__).parent / "regressions"
TARGETS: Final[dict[str, Target]] = {}
"""Every target by its name; `tests.fuzz.targets` fills it."""


@dataclass(frozen=True)
class Target:
    """`repair` puts checksums right, so that the code behind them is reached.

    `is_large`: the converter would read megabytes of it, which is tried too. `then` gets what
    `call` gave, but in a long run for every fourth input only: it is what takes long, such as to
    do a plan and to make another one.
    """

    name: str
    call: Callable[[bytes, Path], object]
    then: Callable[[Any], object] | None
    make_seeds: Seeds
    repair: Repair | None
    is_large: bool

    @cached_property
    def seeds(self) -> tuple[bytes, ...]:
        """Give the inputs to begin with, each once."""
        return tuple(dict.fromkeys(self.make_seeds()))

    def run(self, data: bytes, work: Path, *, whole: bool = True) -> bool:
        """Parse `data`, files in `work`, and tell whether it made sense. Raises for a finding."""
        try:
            result = self.call(data, work)
            if whole and self.then is not None:
                self.then(result)
        except FormatError:
            return False
        except ConversionError as error:
            if isinstance(error, DefectError) or not error.code or not error.message:
                raise
            return False
        return True


def known(name: str) -> list[bytes]:
    """Give the inputs of a target with which something was wrong once."""
    return [path.read_bytes() for path in sorted((_REGRESSIONS / name).glob("*"))]


def of_bytes(
    seeds: Seeds,
    *,
    repair: Repair | None = None,
    large: bool = False,
    then: Callable[[Any], object] | None = None,
) -> Callable[[Callable[[bytes], object]], None]:
    """Make a target of a function of bytes."""

    def register(function: Callable[[bytes], object]) -> None:
        _add(function.__name__, lambda data, _: function(data), then, seeds, repair, is_large=large)

    return register


def of_text(
    seeds: Seeds, *, then: Callable[[Any], object] | None = None
) -> Callable[[Callable[[str], object]], None]:
    """Make a target of a function of text, read as `guest.paths.text` reads it."""

    def register(function: Callable[[str], object]) -> None:
        _add(
            function.__name__,
            lambda data, _: function(data.decode("utf-8", "surrogateescape")),
            then,
            seeds,
            None,
            is_large=True,
        )

    return register


def of_file(
    seeds: Seeds,
    *,
    name: str,
    repair: Repair | None = None,
    put: Callable[[Path, bytes], object] | None = None,
) -> Callable[[Callable[[Path], object]], None]:
    """Make a target of a function of a file called `name`; `put` writes the file, if not as it is.

    The function may leave other files beside it: they are removed.
    """

    def register(function: Callable[[Path], object]) -> None:
        def call(data: bytes, work: Path) -> object:
            path = work / name
            path.write_bytes(data) if put is None else put(path, data)
            try:
                return function(path)
            finally:
                for left in work.iterdir():
                    left.unlink()

        _add(function.__name__, call, None, seeds, repair, is_large=False)

    return register


def _add(
    name: str,
    call: Callable[[bytes, Path], object],
    then: Callable[[Any], object] | None,
    seeds: Seeds,
    repair: Repair | None,
    *,
    is_large: bool,
) -> None:
    assert name not in TARGETS
    TARGETS[name] = Target(name, call, then, seeds, repair, is_large)
