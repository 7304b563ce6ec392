"""Shell patterns, and those that are none."""

from __future__ import annotations

import pytest

from converter.formats import globs


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("eth0", "eth*", True),
        ("eth0", "ETH*", False),
        ("eth0", "e?h[0-9]", True),
        ("eth0", "eth", False),
        ("", "*", True),
        ("a" * 255, "a" * 255, True),
    ],
)
def test_matches(name: str, pattern: str, expected: bool) -> None:  # noqa: FBT001
    assert globs.matches(name, pattern) is expected


def test_a_pattern_without_end_matches_nothing() -> None:
    assert globs.matches("a", "*" * 1024)
    assert not globs.matches("a", "*" * 1025)
