"""Guests of every shape: not one comes up from NVMe as it is, all do after their conversion.

What must be there then follows from each guest's recipe: its root, and all that it mounts.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from images import recipe
from images.cache import image
from tests import standins
from tests.boot import second_reader
from tests.command import converter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from images.recipe import Filesystem, Recipe

pytestmark = pytest.mark.boot

# Whose parts are in others as well: for `make thorough`.
_SPARED = frozenset(
    {"debian-11-lvm", "debian-12-rpm", "debian-12-uefi-xfs", "debian-13-uefi-btrfs"}
)
# Has the stand-in for the agent put in.
_WITH_AGENT = "debian-12-bios"
# Fails now and then in a Debian 13 with LVM, on the source's own controller as well.
_GUESTS_OWN = frozenset({"lvm2-monitor.service"})
# A guest that does not find its root says so within this time, in seconds.
_NEVER = 200
_DISK = re.compile(r"/dev/sd([a-z])(\d+)")


def shape(name: str, *arguments: Any) -> Any:
    """Let all tests of one guest share what it was converted to."""
    marks = [pytest.mark.xdist_group(f"shape-{name}")]
    if name in _SPARED:
        marks.append(pytest.mark.thorough)
    return pytest.param(name, *arguments, marks=marks)


def boot(disks: tuple[Path, ...], firmware: str, *options: str, timeout: int = 600) -> Any:
    """Boot raw images from NVMe; the report is given whether they come up or not."""
    arguments = ("--firmware", firmware, "--timeout", str(timeout), *options, "--json")
    done = converter("boot", *disks, *arguments)
    assert done.code == (0 if done.document["reached"] == "multi-user" else 6), done.stderr
    return done.document


@dataclass(frozen=True)
class Result:
    """A converted guest: its disks, and what the manifest says of it."""

    disks: tuple[Path, ...]
    guest: dict[str, Any]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Result]]:
    """Give what converts a guest, once."""
    directory = tmp_path_factory.mktemp("shapes")

    @cache
    def convert(name: str, *options: str) -> Result:
        output = directory / "".join((name, *options))
        arguments: tuple[str | Path, ...] = ("-o", output, "--name", "guest", *options)
        if name == _WITH_AGENT:
            package = standins.deb(directory)
            converter("drivers", "import", package, "--drivers", directory / "store").good()
            arguments = (*arguments, "--drivers", directory / "store")
        converter("convert", *image(name).disks, *arguments).good()
        manifest = json.loads((output / "guest.manifest.json").read_text("utf-8"))
        return Result(tuple(output / disk["path"] for disk in manifest["disks"]), manifest["guest"])

    yield convert
    shutil.rmtree(directory)


def problems(report: Any, wanted: Recipe, *, is_reversed: bool = False) -> list[str]:
    """Give what is not as it must be in a machine that came up."""
    if report["reached"] != "multi-user":
        return [f"it ended with {report['reached']}: {report['console_tail'][-2000:]}"]
    own = _GUESTS_OWN.intersection(report["failed_units"])
    found = [f"{name} failed" for name in report["failed_units"] if name not in own]
    if not report["addresses"]:
        found.append("it has no address")
    if report["state"] != ("degraded" if report["failed_units"] else "running"):
        found.append(f"its state is {report['state']}")
    mounts = dict(line.split(" ", 1) for line in report["mounts"])
    for filesystem in wanted.filesystems:
        for place, source in _mounts(filesystem, len(wanted.disks), is_reversed=is_reversed):
            if not re.fullmatch(source, mounts.get(place, "")):
                found.append(f"{place} is {mounts.get(place)}, not {source}")
    return found


def _mounts(filesystem: Filesystem, disks: int, *, is_reversed: bool) -> list[tuple[str, str]]:
    """Give where a filesystem must be mounted, and a pattern for the device and the type."""

    def renamed(match: re.Match[str]) -> str:
        place = ord(match[1]) - ord("a")
        return f"/dev/nvme{disks - 1 - place if is_reversed else place}n1p{match[2]}"

    device = _DISK.sub(renamed, filesystem.device)
    # An array has the number that was free, or its name.
    device = r"/dev/md\S+" if device.startswith("/dev/md") else re.escape(device)
    kind = filesystem.type
    if filesystem.subvolumes:
        return [
            (place, rf"{device}\[/{re.escape(subvolume)}\] {kind}")
            for place, subvolume in filesystem.subvolumes.items()
        ]
    return [(filesystem.mount, f"{device} {kind}")] if filesystem.mount else []


@pytest.mark.parametrize("name", [shape("debian-12-bios")])
def test_the_source_comes_up_from_its_own_controller(name: str) -> None:
    built = image(name)
    report = boot(built.disks, built.recipe.boot.firmware[0], "--bus", built.recipe.controller)
    assert report["reached"] == "multi-user", report
    assert report["root"]["source"] == "/dev/sda1"


@pytest.mark.parametrize("name", [shape(name) for name in recipe.names()])
def test_the_source_does_not_come_up(name: str) -> None:
    built = image(name)
    report = boot(built.disks, built.recipe.boot.firmware[0], timeout=_NEVER)
    assert report["reached"] != "multi-user", report


@pytest.mark.parametrize(
    ("name", "firmware"),
    [
        shape(name, firmware)
        for name in recipe.names()
        for firmware in recipe.load(name).boot.firmware
    ],
)
def test_the_result_comes_up(converted: Callable[..., Result], name: str, firmware: str) -> None:
    report = boot(converted(name).disks, firmware)
    assert problems(report, image(name).recipe) == []
    if name == _WITH_AGENT:
        assert f"{standins.AGENT}.service" in report["running_units"]


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "table", "start"),
    [shape("debian-12-bios", "gpt", b"EFI PART"), shape("debian-13-gpt", "mbr", bytes(8))],
)
def test_the_result_comes_up_with_another_partition_table(
    converted: Callable[..., Result], name: str, table: str, start: bytes
) -> None:
    result = converted(name, "--partition-table", table)
    with result.disks[0].open("rb") as disk:
        assert disk.read(520)[512:] == start
    assert problems(boot(result.disks, "bios"), image(name).recipe) == []


@pytest.mark.parametrize(
    "name", [shape(name) for name in recipe.names() if len(recipe.load(name).disks) > 1]
)
def test_the_result_finds_its_disks_in_another_order(
    converted: Callable[..., Result], name: str
) -> None:
    guest = image(name).recipe
    report = boot(converted(name).disks, guest.boot.firmware[0], "--reversed")
    assert problems(report, guest, is_reversed=True) == []


@pytest.mark.parametrize("name", [shape(name) for name in recipe.names()])
def test_another_reader_sees_the_same(converted: Callable[..., Result], name: str) -> None:
    result = converted(name)
    seen, told = second_reader.read(result.disks), result.guest
    assert (seen.family, seen.name, seen.hostname) == (
        told["family"], told["name"], told["hostname"],
    )  # fmt: skip
    assert seen.users >= {"root", "admin"}
    assert seen.mounts == {mount["path"] for mount in told["mounts"]}
    assert not re.search(r"^/dev/[shv]d|^/dev/nvme", seen.fstab, re.MULTILINE)
