"""From path_resolution(7) and glob(7)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.memory import MemoryGuest, Node
from converter.guest.protocol import Code
from converter.model import FileKind
from tests.unit.machines import link

GUEST = MemoryGuest(
    {
        "/etc/fstab": b"caf\xe9\n",
        "/etc/rules.d/10-a.rules": "",
        "/etc/rules.d/20-b.rules": "",
        "/etc/rules.d/.hidden.rules": "",
        "/etc/rules.d/x.txt": "",
        "/etc/rules.d/[odd].rules": "",
        "/out": link("/../../../etc"),
        "/deep/up": link("../../../../etc/fstab"),
        "/loop": link("loop"),
        "/a": link("b"),
        "/b": link("/a"),
        "/dangling": link("/nowhere"),
        "/fifo": Node(FileKind.OTHER),
        **{f"/chain{number}": link(f"/chain{number + 1}") for number in range(60)},
        "/chain60": "end",
    }
)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", "/"),
        ("", "/"),
        ("//etc///fstab/", "/etc/fstab"),
        ("/etc/./fstab", "/etc/fstab"),
        ("/..", "/"),
        ("/../../etc/../etc/fstab", "/etc/fstab"),
        ("/out/fstab", "/etc/fstab"),
        ("/deep/up", "/etc/fstab"),
        ("/out/../out/fstab", "/etc/fstab"),
        ("/dangling", "/nowhere"),
        ("/not/there/../x", "/not/x"),
        ("/chain25", "/chain60"),
    ],
)
def test_paths_stay_in_the_guest(path: str, wanted: str) -> None:
    assert paths.resolve(GUEST, path) == wanted


@pytest.mark.parametrize("path", ["/loop", "/a", "/a/x", "/chain0"])
def test_links_in_circles_end(path: str) -> None:
    with pytest.raises(GuestError) as caught:
        paths.resolve(GUEST, path)
    assert caught.value.code == Code.LINK_LOOP


def test_the_last_link_may_be_kept() -> None:
    assert paths.resolve(GUEST, "/deep/up", follow_last=False) == "/deep/up"
    assert paths.resolve(GUEST, "/out", follow_last=False) == "/out"


def test_endless_paths_are_refused() -> None:
    with pytest.raises(GuestError):
        paths.resolve(GUEST, "/a" * 5000)


@pytest.mark.parametrize("path", ["/nowhere", "/dangling", "/loop", "/a", "/x\0y", "/a" * 5000])
def test_where_nothing_is(path: str) -> None:
    assert paths.kind(GUEST, path) is None
    assert paths.text(GUEST, path) is None
    assert paths.names(GUEST, path) == ()


def test_kinds() -> None:
    assert paths.is_file(GUEST, "/out/fstab")
    assert paths.is_directory(GUEST, "/out")
    assert paths.kind(GUEST, "/fifo") is FileKind.OTHER
    assert paths.text(GUEST, "/fifo") is None
    assert paths.text(GUEST, "/etc") is None


def test_text_keeps_bytes_that_are_not_utf_8() -> None:
    text = paths.text(GUEST, "/etc/fstab")
    assert text == "caf\udce9\n"
    assert paths.encode(text or "") == b"caf\xe9\n"
    with pytest.raises(GuestError) as caught:
        paths.text(GUEST, "/etc/fstab", limit=2)
    assert caught.value.code == Code.TOO_LARGE


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("/etc/rules.d/*.rules", ("10-a.rules", "20-b.rules", "[odd].rules")),
        ("/out/rules.d/?0-*", ("10-a.rules", "20-b.rules")),
        ("/etc/rules.d/.*.rules", (".hidden.rules",)),
        ("/etc/rules.d/[[]odd].rules", ("[odd].rules",)),
        ("/etc/*/x.txt", ("x.txt",)),
        ("/etc/fstab", ("fstab",)),
        ("/nowhere/*", ()),
        ("/etc/fstab/*", ()),
        ("/dangl*", ()),
    ],
)
def test_patterns(pattern: str, wanted: tuple[str, ...]) -> None:
    assert tuple(found.rpartition("/")[2] for found in paths.glob(GUEST, pattern)) == wanted


@given(st.lists(st.sampled_from(["..", ".", "", "out", "deep", "up", "etc", "x"]), max_size=12))
def test_no_path_leads_out(parts: list[str]) -> None:
    found = paths.resolve(GUEST, "/" + "/".join(parts))
    assert found.startswith("/")
    assert ".." not in found.split("/")
    assert paths.resolve(GUEST, found) == found
