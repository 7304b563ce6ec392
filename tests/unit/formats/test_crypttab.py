"""From crypttab(5) of systemd and of cryptsetup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import crypttab

if TYPE_CHECKING:
    from converter.formats.crypttab import Entry


def entry(line: str) -> Entry:
    (found,) = crypttab.parse(line).entries
    return found


@pytest.mark.parametrize(
    ("line", "name", "device", "key", "options"),
    [
        ("swap /dev/sda5 /dev/urandom swap,cipher=x\n", "swap", "/dev/sda5", "/dev/urandom",
         ("swap", "cipher=x")),
        ("home\tUUID=1-2\tnone\tluks\n", "home", "UUID=1-2", "none", ("luks",)),
        ("home UUID=1-2\n", "home", "UUID=1-2", "none", ()),
        ("home UUID=1-2 -\n", "home", "UUID=1-2", "-", ()),
        ("home UUID=1-2 none # mine\n", "home", "UUID=1-2", "none", ()),
        ("a /dev/b\\040c none luks", "a", "/dev/b c", "none", ("luks",)),
    ],
)  # fmt: skip
def test_lines(line: str, name: str, device: str, key: str, options: tuple[str, ...]) -> None:
    found = entry(line)
    assert (found.name, found.device, found.key, found.options) == (name, device, key, options)


@pytest.mark.parametrize("line", ["", "\n", "# <target name> <source device>\n", "lonely\n"])
def test_lines_that_open_nothing(line: str) -> None:
    assert crypttab.parse(line).entries == ()


def test_random_keys_are_told() -> None:
    assert entry("a /dev/sda5 /dev/urandom swap").is_random
    assert entry("a /dev/sda5 /dev/random swap").is_random
    assert not entry("a /dev/sda5 /root/key").is_random


def test_edits() -> None:
    assert entry("a\t/dev/b\n").with_device("/dev/c").text == "a\t/dev/c\n"
    assert entry("a /dev/b\n").with_options(("noauto",)).text == "a /dev/b none noauto\n"
    assert entry("a /dev/b /k x,y # z\n").with_options(("x",)).text == "a /dev/b /k x # z\n"


@given(st.text(st.sampled_from("a /dev\t#\\0,\n\r\udcff")))
def test_any_text_comes_back(text: str) -> None:
    table = crypttab.parse(text)
    assert str(table) == text
    edited = table.edited(lambda line: line.with_options(("noauto",)))
    assert [line.options for line in edited.entries] == [("noauto",)] * len(table.entries)
