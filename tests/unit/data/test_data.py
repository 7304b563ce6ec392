"""The tables of converter/data: what they name exists, and their rows have the fields they need."""

from __future__ import annotations

import re
import time
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from converter.data import load
from converter.formats.initramfs import _GENERATORS
from converter.formats.initramfs_config import EDITS
from converter.network.stack import STACKS

LINUX: dict[str, Any] = load("linux")
TABLES = sorted(
    path.name for path in files("converter.data").iterdir() if path.name.endswith("toml")
)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_read_and_names_its_sources(name: str) -> None:
    text = files("converter.data").joinpath(name).read_text("utf-8")
    assert tomllib.loads(text)
    assert re.search(r"^# (?:.*\b)?[Ss]ources?\b", text, re.MULTILINE)


def test_every_edit_of_an_initramfs_configuration_is_one() -> None:
    for generator, row in LINUX["initramfs"].items():
        assert row["edit"] in EDITS, generator
        assert row["file"].startswith("/")
        assert row["installed"]


def test_every_generator_of_images_has_a_row() -> None:
    assert {name for name, _ in _GENERATORS} == set(LINUX["initramfs"])


def test_every_network_stack_has_a_row() -> None:
    rows = set(LINUX["network"]["stacks"])
    assert {stack.name for stack in STACKS} - {"suse"} <= rows
    assert {"wicked", "ifcfg-suse"} <= rows
    assert set(LINUX["dhcp_clients"]) <= rows


def test_every_driver_can_be_found_and_told() -> None:
    for name, row in LINUX["drivers"].items():
        assert row["modules"], name
        assert not any("-" in module for module in row["modules"]), "names are normalised"
        assert row["option"].startswith("CONFIG_")
        assert isinstance(row["boot"], bool)
        assert row["summary"]


def test_what_starts_guest_tools_is_of_tools_that_are_known() -> None:
    assert set(LINUX["guest_services"]) <= set(LINUX["guest_tools"])


@pytest.mark.parametrize("table", ["guest_tools", "agents", "package_managers", "init_systems"])
def test_marks_are_absolute_paths(table: str) -> None:
    for name, marks in LINUX[table].items():
        assert marks, name
        assert all(mark.startswith("/") for mark in marks)


def test_patterns_of_releases_take_no_time_on_any_text() -> None:
    hostile = [
        "release " * 200,
        "1." * 512,
        "9" * 1024,
        "\n" * 1024,
        "SUSE Linux Enterprise Server ",
    ]
    started = time.process_time()
    for row in LINUX["releases"]:
        assert row["path"].startswith("/etc/")
        for text in hostile:
            re.match(row["pattern"], text + text[:64])
    assert time.process_time() - started < 1
