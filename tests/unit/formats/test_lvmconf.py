"""From lvm.conf(5)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats.lvmconf import without_disk_filters


@pytest.mark.parametrize(
    "setting",
    [
        'filter = [ "a|^/dev/sda[12]$|", "r|.*|" ]',
        'global_filter=["a/sd.*/","r/.*/"]',
        'filter = [\n  "a|/dev/disk/by-path/x|",\n  "r|^.*$|"\n]  # ours',
        'filter = [ "a|/dev/xvd|" "r|.*|" ]',
        'filter = [ "a|^/dev/sda2$|", "a|^/dev/drbd.*|", "r|.*|" ]',
        'filter = [ "a|/dev/mapper/mpath|", "a|/dev/sda|", "r|.*|" ]',
        'filter = [ "a|/dev/sda2|", "r|.*/|" ]',
        'filter = [ "a|^/dev/[sv]da2$|", "r|^/dev/.*|" ]',
        'filter = [\n  # the "system"\n  "a|/dev/sda|", # ours\n  "r|.*|"\n]',
        'devices/filter = [ "a|/dev/sda|", "r|.*|" ]',
    ],
)
def test_filters_for_certain_disks_go(setting: str) -> None:
    text = f"devices {{\n\t{setting}\n\tdir = /dev\n}}\n"
    edited = without_disk_filters(text)
    assert "\n# converter: " in edited
    kept = [line for line in edited.splitlines() if not line.startswith("#")]
    assert [line.strip() for line in kept] == ["devices {", "dir = /dev", "}"]
    assert without_disk_filters(edited) == edited


def test_a_section_on_one_line() -> None:
    text = 'devices { global_filter = [ "a|/dev/sda|", "r|.*|" ] dir = "/dev" }\n'
    edited = without_disk_filters(text)
    assert edited == 'devices { global_filter = [ "a|.*|" ] dir = "/dev" }\n'
    assert without_disk_filters(edited) == edited


@pytest.mark.parametrize(
    "setting",
    [
        'filter = [ "a|.*|" ]',
        'filter = [ "r|/dev/cdrom|", "a|.*|" ]',
        'filter = [ "r|.*|" ]',
        'filter = [ "a|/dev/mapper/mpath|", "r|.*|" ]',
        'filter = [ "a|/dev/sda|" ]',
        'filter = [ "a|/dev/sda|", "r|/dev/devious|" ]',
        'filter = [ # "a|/dev/sda|",\n "r|.*|" ]',
        '# filter = [ "a|/dev/sda|", "r|.*|" ]',
        'thin_filter = [ "a|/dev/sda|", "r|.*|" ]',
        'filter = [ "a|/dev/sda|", "r|.*|"',
    ],
)
def test_other_filters_stay(setting: str) -> None:
    assert without_disk_filters(f"devices {{\n{setting}\n}}\n") == f"devices {{\n{setting}\n}}\n"


@pytest.mark.parametrize(
    "text",
    [
        "filter = [" + '"a" ' * 50_000,
        "filter = [" + " " * 50_000 + "x",
        " " * 100_000 + "x",
        'filter = ["a"\n' * 10_000,
        'filter = "' + "\\" * 100_000,
        'filter = "x" ' + '\\"' * 100_000,
        "filter = [" + "#\n" * 50_000,
        "filter = [#\n" * 20_000,
        "devices { filter = [" * 10_000,
        "{" * 100_000,
    ],
)
def test_hostile_text_takes_no_time(text: str) -> None:
    start = time.monotonic()
    assert without_disk_filters(text) == text
    assert time.monotonic() - start < 5


PIECES = [*'filter=[]",\\ \n', "filter = [ ", '"r|.*|"', '"a|sda|"']


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_once_is_enough(text: str) -> None:
    once = without_disk_filters(text)
    assert without_disk_filters(once) == once
