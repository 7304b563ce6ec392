"""Drivers out of real cabinets and Windows Installer packages (gcab, wixl), and of damaged ones."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING

import pytest

from converter import process
from tests import standins
from tests.command import converter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.command import Done

ENA = ("PCI\\VEN_1D0F&DEV_EC20",)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("packages")
    standins.driver_package(root / "NVMe" / "x64")
    standins.driver_package(root / "ENA", ENA, name="ena", version="2.6.0.3")
    return root


@pytest.fixture(scope="module")
def containers(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("containers")
    made = {
        "cab": standins.cab(packages, work / "drivers.cab"),
        "msi": standins.msi(packages, work / "drivers.msi"),
    }
    with zipfile.ZipFile(work / "vendor.zip", "w") as archive:
        archive.write(made["msi"], "Setup/drivers.msi")
    return {**made, "zip": work / "vendor.zip"}


def bring(source: Path, tmp_path: Path) -> Done:
    return converter("drivers", "import", source, "--drivers", tmp_path / "store", "--json")


def taken(done: Done) -> list[str]:
    rows = done.good().document["payloads"]
    return [f"{row['bundle']}/{row['payload']} {row['version']}" for row in rows]


@pytest.mark.parametrize("kind", ["cab", "msi", "zip"])
def test_they_are_found_by_what_they_drive(
    containers: dict[str, Path], packages: Path, tmp_path: Path, kind: str
) -> None:
    expected = ["aws-ena/2012 2.6.0.3", "aws-nvme/latest 1.6.0.35"]
    assert taken(bring(containers[kind], tmp_path)) == expected
    converter("drivers", "verify", "--drivers", tmp_path / "store").good()
    with zipfile.ZipFile(tmp_path / "store" / "aws-nvme" / "latest" / "AWSNVMe.zip") as archive:
        for name in ("AWSNVMe.inf", "AWSNVMe.sys", "AWSNVMe.cat"):
            assert archive.read(name) == (packages / "NVMe" / "x64" / name).read_bytes()
        assert len(archive.namelist()) == 3


@pytest.mark.parametrize(
    ("version", "expected"),
    [("8.4.3", "2012 8.4.3"), ("8.3.5", "2008-r2 8.3.5"), ("9.0.1", "latest ")],
)
@pytest.mark.parametrize("is_zipped", [False, True])
def test_an_installer_is_a_payload_by_its_name(
    packages: Path,
    tmp_path: Path,
    version: str,
    expected: str,
    is_zipped: bool,  # noqa: FBT001
) -> None:
    source = standins.msi(packages, tmp_path / "AWSPVDriverSetup.msi", version=version)
    content = source.read_bytes()
    if is_zipped:
        with zipfile.ZipFile(tmp_path / "AWSPVDriver.zip", "w") as archive:
            archive.write(source, source.name)
        source = tmp_path / "AWSPVDriver.zip"
    assert taken(bring(source, tmp_path)) == [f"aws-pv/{expected}"]
    (kept,) = (tmp_path / "store" / "aws-pv").rglob("*.zip")
    with zipfile.ZipFile(kept) as archive:
        assert archive.namelist() == ["AWSPVDriverSetup.msi"]
        assert archive.read("AWSPVDriverSetup.msi") == content


def cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flip(data: bytes) -> bytes:
    """Change a byte of what is compressed, near the end."""
    place = len(data) - 300
    return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]


def enlarged(data: bytes) -> bytes:
    """Make the first file of a cabinet look longer than all of it."""
    start = struct.unpack_from("<I", data, 16)[0]
    return data[:start] + struct.pack("<I", 100 << 20) + data[start + 4 :]


def renamed(data: bytes) -> bytes:
    return data.replace(b"ENA\\ena.inf\0", b"..\\..\\a.inf\0")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("cab", cut),
        ("cab", flip),
        ("cab", enlarged),
        ("cab", renamed),
        ("msi", cut),
        ("msi", lambda data: data[:512]),
        ("msi", lambda data: data[:512] + data[:511:-1]),
    ],
)
def test_damaged_ones_are_refused(
    containers: dict[str, Path], tmp_path: Path, kind: str, change: Callable[[bytes], bytes]
) -> None:
    source = tmp_path / f"x.{kind}"
    before = containers[kind].read_bytes()
    source.write_bytes(change(before))
    assert source.read_bytes() != before
    refused = bring(source, tmp_path)
    assert refused.code == 4, refused.stderr
    assert [p["code"] for p in refused.document["problems"]] == ["import-refused"]
    assert not (tmp_path / "store").exists()


def test_output_that_never_ends_is_ended(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as file:
        done = process.pour(["yes"], file, limit=100_000, timeout=60)
    assert done.status != 0
    assert (tmp_path / "out").stat().st_size == 100_000
