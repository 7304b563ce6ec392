"""Well-formed inputs: files of the fixtures' guests, and texts as bytes."""

from __future__ import annotations

import fnmatch
from functools import cache
from typing import TYPE_CHECKING, Final

from tests.guests import harness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# One of each way to install, to boot and to name a network card.
_GUESTS: Final = (
    "amzn-2023", "arch", "centos-5.11", "debian-12.2", "fedora-41", "ol-7.9", "opensuse-leap-15.6",
    "rhel-6.10", "rhel-9.4", "sles-11.4", "sles-12.5", "ubuntu-14.04", "ubuntu-24.04",
)  # fmt: skip


@cache
def _files() -> tuple[tuple[str, str], ...]:
    return tuple(
        (path, text)
        for name in _GUESTS
        for path, text in harness.load(name).data.get("files", {}).items()
        if isinstance(text, str)
    )


def guests(*patterns: str, more: Iterable[str] = ()) -> Callable[[], Iterable[bytes]]:
    """Give the fixtures' files whose paths match one of `patterns`, and `more` texts."""

    def make() -> Iterable[bytes]:
        for path, text in _files():
            if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
                yield text.encode()
        for text in more:
            yield text.encode("utf-8", "surrogateescape")

    return make


def texts(*given: str) -> Callable[[], Iterable[bytes]]:
    """Give `given` as bytes."""
    return guests(more=given)
