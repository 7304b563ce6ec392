# ruff: noqa: E501, RUF001 - tables
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import versions

TEXT = st.text(alphabet="019abZ~^+-._x", max_size=8)

# From rpm's own documentation and tests of rpmvercmp, and Fedora's for `+`.
RPM = [
    ("1.0", "1.0", 0), ("1.0", "2.0", -1), ("2.0.1", "2.0", 1), ("2.0.1a", "2.0.1", 1),
    ("5.5p1", "5.5p2", -1), ("5.5p10", "5.5p1", 1), ("10xyz", "10.1xyz", -1), ("xyz10", "xyz10.1", -1),
    ("xyz.4", "8", -1), ("xyz.4", "2", -1), ("5.5p2", "5.6p1", -1), ("6.0.rc1", "6.0", 1),
    ("10b2", "10a1", 1), ("7.10", "7.9", 1), ("0010", "10", 0), ("20101121", "20101122", -1),
    ("2_0", "2.0", 0), ("1.0~rc1", "1.0", -1), ("1.0~rc1", "1.0~rc2", -1), ("1.0~rc1~git", "1.0~rc1", -1),
    ("5.14.0+debug", "5.14.0", 1), ("5.14.0+debug", "5.14.0.1", -1), ("", "1", -1), ("", "", 0),
    ("284.11.1.el9_2.x86_64", "70.el9.x86_64", 1),
]  # fmt: skip
# From UAPI.10, "Examples".
UAPI = [
    ("11", "11", 0), ("systemd-123", "systemd-123", 0), ("bar-123", "foo-123", -1), ("123a", "123", 1),
    ("123.a", "123", 1), ("123.a", "123.b", -1), ("123a", "123.a", 1), ("11α", "11β", 0),
    ("A", "a", -1), ("", "0", -1), ("0.", "0", 1), ("0.0", "0", 1), ("0", "~", 1), ("", "~", 1),
    ("1_2", "12", -1), ("1~rc1", "1", -1), ("1^post", "1", 1), ("1-2", "1.2", -1), ("6.5.10", "6.5.9", 1),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right", "expected"), RPM)
def test_rpm(left: str, right: str, expected: int) -> None:
    assert versions.rpm(left, right) == expected
    assert versions.rpm(right, left) == -expected


@pytest.mark.parametrize(("left", "right", "expected"), UAPI)
def test_uapi(left: str, right: str, expected: int) -> None:
    assert versions.uapi(left, right) == expected
    assert versions.uapi(right, left) == -expected


@given(TEXT, TEXT)
def test_both_are_consistent(left: str, right: str) -> None:
    assert versions.uapi(left, right) == -versions.uapi(right, left)
    assert versions.uapi(left, left) == versions.rpm(left, left) == 0
