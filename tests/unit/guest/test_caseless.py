from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import GuestError
from converter.guest import caseless
from converter.guest.memory import MemoryGuest
from converter.guest.protocol import Code
from tests.unit.machines import link

GUEST = MemoryGuest(
    {
        "/C/WINDOWS/System32/CONFIG/System": "hive",
        "/C/WINDOWS/System32/config.old": "",
        "/C/Both/name": "lower",
        "/C/Both/NAME": "upper",
        "/C/Straße": "",
        "/C/inside": link("WINDOWS/System32"),
        "/C/outside": link("/ESP"),
        "/C/loop": link("loop"),
        "/C/dangling": link("/C:/Windows"),
        "/ESP/EFI/Boot/bootx64.efi": "",
    }
)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (r"Windows\system32\config\SYSTEM", "/C/WINDOWS/System32/CONFIG/System"),
        ("windows/SYSTEM32", "/C/WINDOWS/System32"),
        (r"\Windows\\.\System32\\", "/C/WINDOWS/System32"),
        (r"Windows\..\..\etc", "/C/WINDOWS/etc"),
        ("Windows/Fonts/x.ttf", "/C/WINDOWS/Fonts/x.ttf"),
        ("nothing/WINDOWS", "/C/nothing/WINDOWS"),
        # The very name comes before one that is written in another way.
        ("Both/NAME", "/C/Both/NAME"),
        ("Both/name", "/C/Both/name"),
        ("STRASSE", "/C/Straße"),
        ("", "/C"),
        # A file is no directory, nor is what leads nowhere.
        (r"Windows\System32\config.old\x", "/C/WINDOWS/System32/config.old/x"),
        ("loop/x", "/C/loop/x"),
        ("dangling/System32", "/C/dangling/System32"),
        ("INSIDE/config/system", "/C/inside/CONFIG/System"),
    ],
)
def test_names_have_no_case(path: str, found: str) -> None:
    assert caseless.find(GUEST, "/C", path) == found


def test_the_top() -> None:
    assert caseless.find(GUEST, "/", "c/windows") == "/C/WINDOWS"
    assert caseless.find(GUEST, "/", "") == "/"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("windows/system32/config/system", True),
        ("inside/config/system", True),
        ("windows/system32/config", False),
        ("windows/nothing", False),
        ("loop", False),
        ("loop/x", False),
        ("dangling", False),
        ("windows/system32/config/system/x", False),
    ],
)
def test_files(path: str, *, expected: bool) -> None:
    assert caseless.is_file(GUEST, "/C", path) is expected


IMPOSSIBLE = [
    "x" * 256,
    "é" * 128,
    "\\".join(["x"] * 4000),
    "a\0b",
    "\ud800",
    "windows/\udc80",
    "\udcff" * 300,
]


@pytest.mark.parametrize("path", IMPOSSIBLE)
def test_what_no_file_is_called(path: str) -> None:
    assert not caseless.is_file(GUEST, "/C", path)
    assert caseless.find(GUEST, "/C", path).startswith("/C/")


class Strict(MemoryGuest):
    """A guest that says where it is asked for what the appliance would fail on."""

    def list(self, path: str) -> tuple[str, ...]:
        if path.startswith("/broken"):
            raise GuestError(Code.FAILED, f"{path}: Input/output error")
        return super().list(path)


def test_a_disk_that_cannot_be_read_is_no_missing_file() -> None:
    guest = Strict({"/broken/x": ""})
    with pytest.raises(GuestError, match="Input/output"):
        caseless.is_file(guest, "/", "broken/Y")


@given(st.text(max_size=40))
def test_nothing_leads_out(path: str) -> None:
    assert f"{caseless.find(GUEST, '/C/WINDOWS', path)}/".startswith("/C/WINDOWS/")
