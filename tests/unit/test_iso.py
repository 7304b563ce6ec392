from __future__ import annotations

import io
import os
import time
from typing import TYPE_CHECKING, Any

import pycdlib
import pytest

from converter import importing, iso
from converter.errors import ConversionError, DamagedInputError
from converter.store import Store
from tests.unit import package_samples as made

if TYPE_CHECKING:
    from pathlib import Path

DEB = made.deb()
SECTOR = 2048


def written(path: Path, **options: Any) -> Path:
    """Make an image with the agent's package in a folder, named in every way there is."""
    image: Any = pycdlib.PyCdlib()
    image.new(**options)
    names = {"iso_path": "/DRIVERS"}
    file = {"iso_path": "/DRIVERS/AGENT.DEB;1"}
    if "rock_ridge" in options:
        names["rr_name"], file["rr_name"] = "drivers", "amazon-ssm-agent.deb"
    if "joliet" in options:
        names["joliet_path"] = "/drivers"
        file["joliet_path"] = "/drivers/amazon-ssm-agent.deb"
    if "udf" in options:
        names["udf_path"] = "/drivers"
        file["udf_path"] = "/drivers/amazon-ssm-agent.deb"
    image.add_directory(**names)
    image.add_fp(io.BytesIO(DEB), len(DEB), **file)
    image.write(str(path))
    image.close()
    return path


def bring(source: Path, tmp_path: Path) -> list[str]:
    work = tmp_path / "work"
    work.mkdir()
    found = importing.bring(Store(tmp_path / "store"), source, work)
    return [f"{item.entry.bundle}/{item.entry.payload}" for item in found]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"joliet": 3},
        {"rock_ridge": "1.09"},
        {"udf": "2.60"},
        {"joliet": 3, "rock_ridge": "1.09"},
    ],
    ids=lambda options: "+".join(options) or "iso9660",
)  # fmt: skip
def test_every_kind_of_directory(tmp_path: Path, options: dict[str, Any]) -> None:
    source = written(tmp_path / "vendor.iso", **options)
    assert bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]
    (entry,) = Store(tmp_path / "store").entries
    assert Store(tmp_path / "store").check(entry).path.read_bytes() == DEB


def enlarged(source: Path, sizes: list[int]) -> None:
    """Give files of an image other lengths, and the image a hole as large as all of them."""
    data = bytearray(source.read_bytes())
    for number, size in enumerate(sizes):
        old = _both(1000 + number)
        assert data.count(old) == 1
        place = data.index(old)
        data[place : place + 8] = _both(size)
    source.write_bytes(data)
    os.truncate(source, len(data) + sum(sizes))


def _both(number: int) -> bytes:
    return number.to_bytes(4, "little") + number.to_bytes(4, "big")


def of_files(path: Path, names: list[str]) -> Path:
    image: Any = pycdlib.PyCdlib()
    image.new(interchange_level=3)
    for number, name in enumerate(names):
        image.add_fp(io.BytesIO(b"x" * (1000 + number)), 1000 + number, iso_path=f"/{name};1")
    image.write(str(path))
    image.close()
    return path


@pytest.mark.parametrize(
    ("names", "sizes", "match"),
    [
        # 10 GiB of nothing in all, in files as large as ECMA-119 has them.
        (["A", "B", "C"], [4 << 30, 4 << 30, 2 << 30], "more than any vendor's"),
        (["AGENT.DEB"], [3 << 30], "no payload is as large"),
    ],
)
def test_one_with_files_of_no_vendor(
    tmp_path: Path, names: list[str], sizes: list[int], match: str
) -> None:
    source = of_files(tmp_path / "vendor.iso", names)
    enlarged(source, [min(size, 0xFFFFFFFF) for size in sizes])
    with pytest.raises(DamagedInputError, match=match):
        bring(source, tmp_path)
    assert Store(tmp_path / "store").entries == ()


@pytest.mark.parametrize("length", [0, 16 * SECTOR, 17 * SECTOR + 100, 20 * SECTOR])
def test_one_that_is_cut_off(tmp_path: Path, length: int) -> None:
    source = written(tmp_path / "vendor.iso", joliet=3)
    os.truncate(source, length)
    with pytest.raises(ConversionError) as caught:
        bring(source, tmp_path)
    # Without its first sectors it is nothing at all.
    assert caught.value.code in ("import-refused", "nothing-to-import")


def test_one_with_a_size_that_lies(tmp_path: Path) -> None:
    source = of_files(tmp_path / "vendor.iso", ["AGENT.DEB"])
    size = source.stat().st_size
    enlarged(source, [100 << 20])
    os.truncate(source, size)
    with pytest.raises(ConversionError) as caught:
        bring(source, tmp_path)
    assert caught.value.code in ("import-refused", "payload-damaged")
    assert Store(tmp_path / "store").entries == ()


def of_folders(path: Path, number: int) -> Path:
    """Make an image of empty folders."""
    image: Any = pycdlib.PyCdlib()
    image.new(interchange_level=3)
    for index in range(number):
        image.add_directory(f"/D{index:05}")
    image.write(str(path))
    image.close()
    return path


def test_one_that_goes_round_in_circles(tmp_path: Path) -> None:
    source = of_folders(tmp_path / "vendor.iso", 2)
    data = bytearray(source.read_bytes())
    root = data.index(b"CD001\x01") - 1 + 156
    entry = data.index(b"\x06D00001", 20 * SECTOR) - 32
    # The folder is its own parent: the root, by its place and its length.
    data[entry + 2 : entry + 18] = data[root + 2 : root + 18]
    source.write_bytes(data)
    with pytest.raises(DamagedInputError):
        bring(source, tmp_path)


def test_one_that_takes_more_reading_than_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = of_folders(tmp_path / "vendor.iso", 100)
    monkeypatch.setattr(iso, "_DIRECTORIES", 100_000)
    with pytest.raises(DamagedInputError, match="more reading"):
        bring(source, tmp_path)


def test_one_that_takes_more_time_than_it_should(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = written(tmp_path / "vendor.iso", joliet=3)
    now = iter(range(0, 10_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with pytest.raises(DamagedInputError, match="more reading"):
        bring(source, tmp_path)


def test_one_with_a_directory_of_gigabytes(tmp_path: Path) -> None:
    source = of_folders(tmp_path / "vendor.iso", 1)
    data = bytearray(source.read_bytes())
    entry = data.index(b"\x06D00000", 20 * SECTOR) - 32
    data[entry + 10 : entry + 18] = _both(2 << 30)
    source.write_bytes(data)
    os.truncate(source, 3 << 30)
    with pytest.raises(DamagedInputError):
        bring(source, tmp_path)
