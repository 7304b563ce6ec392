"""What is not asked again, and what must be."""

from __future__ import annotations

import pytest

from converter.guest.seen import Seen
from converter.model import FileKind, Stat


def stat(kind: FileKind) -> Stat:
    return Stat(kind, 0o644, 0, 0, 0)


@pytest.mark.parametrize(
    ("kind", "absent"),
    [
        (None, True),
        (FileKind.FILE, True),
        (FileKind.OTHER, True),
        (FileKind.DIRECTORY, False),
        (FileKind.SYMLINK, False),
    ],
)
def test_nothing_is_below_what_is_no_directory(kind: FileKind | None, *, absent: bool) -> None:
    seen = Seen()
    seen.stats["/etc"] = None if kind is None else stat(kind)
    assert seen.is_absent("/etc/x") is absent
    assert not seen.is_absent("/usr/x")


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("fstab", False),
        ("FSTAB", False),
        ("none", True),
        ("EFI", False),
        ("x~1", False),
        ("stra\u00dfe", False),
        (".", False),
        ("..", False),
        ("", False),
    ],
)
def test_what_a_listing_has_not(name: str, *, absent: bool) -> None:
    """FAT has no case, and two names for one file; what may be there is asked for."""
    seen = Seen()
    assert not seen.is_absent(f"/etc/{name}")
    seen.keep_names("/etc", ("Efi", "fstab"))
    assert seen.is_absent(f"/etc/{name}") is absent


def test_the_top() -> None:
    seen = Seen()
    assert not seen.is_absent("/")
    seen.keep_names("/", ("etc",))
    assert not seen.is_absent("/")
    assert not seen.is_absent("/etc")
    assert seen.is_absent("/boot")


def test_contents_are_kept_by_what_was_read_of_them() -> None:
    seen = Seen()
    seen.keep_content("/a", 4, b"abc")
    assert seen.content("/a", 4) == b"abc"
    assert seen.content("/a", 3) is None
    assert seen.content("/b", 4) is None


def test_contents_are_bounded() -> None:
    seen = Seen()
    seen.keep_content("/large", 2 << 20, bytes(2 << 20))
    assert seen.content("/large", 2 << 20) is None
    for number in range(100):
        seen.keep_content(f"/{number}", 1 << 20, bytes(1 << 20))
        held = sum(seen.content(f"/{kept}", 1 << 20) is not None for kept in range(100))
        assert seen.content(f"/{number}", 1 << 20) is not None
        assert held <= 32


def test_nothing_holds_for_ever() -> None:
    seen = Seen()
    seen.stats["/etc"] = None
    seen.links["/lib"] = "usr/lib"
    seen.keep_names("/", ())
    seen.keep_content("/a", 1, b"a")
    seen.clear()
    assert not seen.is_absent("/etc/x")
    assert not seen.is_absent("/x")
    assert (seen.stats, seen.links, seen.names("/"), seen.content("/a", 1)) == ({}, {}, None, None)
