from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import bundles, driver_package
from converter.driver_package import Driver
from converter.formats import FormatError, inf
from converter.formats.inf import TargetOS
from tests import standins

if TYPE_CHECKING:
    from pathlib import Path

    from converter.bundles import Payload

_FOUND = bundles.find("aws-nvme")
assert _FOUND is not None
BUNDLE = _FOUND
LATEST, FOR_2012, FOR_2008 = BUNDLE.payloads


def driver(*decorations: str, name: str = "x/AWSNVMe.inf", ids: str = standins.NVME[0]) -> Driver:
    text = standins.inf([ids], decorations=decorations or ("NTamd64",))
    return Driver(name, inf.parse(text))


@pytest.mark.parametrize(
    ("decoration", "payload", "expected"),
    [
        ("NTamd64", FOR_2008, TargetOS(0, 0, 0, "x86_64")),
        ("NTamd64.6.1", FOR_2008, TargetOS(6, 1, 0, "x86_64")),
        ("NTamd64.6.2", FOR_2008, None),
        ("NTamd64.6.3", FOR_2012, TargetOS(6, 3, 0, "x86_64")),
        ("NTamd64.10.0...14393", FOR_2012, None),
        ("NTamd64.10.0...20348", LATEST, TargetOS(10, 0, 20348, "x86_64")),
        ("NTx86.6.1", LATEST, None),
        ("NTarm64.10.0", LATEST, None),
    ],
)
def test_on_which_windows_it_serves(
    decoration: str, payload: Payload, expected: TargetOS | None
) -> None:
    assert driver_package.serves(driver(decoration), BUNDLE, payload) == expected


@pytest.mark.parametrize(
    ("identifier", "serves"),
    [
        ("PCI\\VEN_1D0F&DEV_8061", True),
        ("pci\\ven_1d0f&dev_8061&subsys_00000000&rev_01", True),
        ("PCI\\VEN_1D0F&DEV_80611", False),
        ("PCI\\VEN_1D0F&DEV_EC20", False),
        ("PCI\\CC_010802", False),
    ],
)
def test_which_devices_it_serves(identifier: str, serves: bool) -> None:  # noqa: FBT001
    found = driver_package.serves(driver(ids=identifier), BUNDLE, LATEST)
    assert (found is not None) is serves


def test_what_it_needs() -> None:
    expected = ("AWSNVMe.inf", "AWSNVMe.sys", "AWSNVMe.cat")
    assert driver_package.needs(driver(), LATEST) == expected


@pytest.mark.parametrize("name", ["..\\x.sys", "C:x.sys", "a\\..\\..\\x", "nul.sys", "x:y", "COM1"])
def test_what_it_may_not_need(name: str) -> None:
    found = inf.parse(f"[Version]\n[i]\nCopyFiles=@{name}\n")
    with pytest.raises(FormatError, match=r"leads out|no name"):
        driver_package.needs(Driver("x.inf", found), LATEST)


def test_it_may_not_need_everything() -> None:
    files = "".join(f"f{number}.sys=1\n" for number in range(600))
    found = inf.parse(f"[Version]\n[SourceDisksFiles]\n{files}")
    with pytest.raises(FormatError, match="names 601 files"):
        driver_package.needs(Driver("x.inf", found), LATEST)


def test_the_same_files_make_the_same_zip(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        folder = standins.driver_package(tmp_path / name)
        names = sorted(path.name for path in folder.iterdir())
        if name == "two":
            names.reverse()
            (folder / names[0]).chmod(0o600)
        target = io.BytesIO()
        driver_package.pack({item: folder / item for item in names}, target)
        made.append(target.getvalue())
    assert made[0] == made[1]
    with zipfile.ZipFile(io.BytesIO(made[0])) as archive:
        assert archive.testzip() is None
        assert [entry.external_attr >> 16 for entry in archive.infolist()] == [0o100644] * 4


def packed(*texts: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, text in enumerate(texts):
            archive.writestr(f"{number}/x.inf", text)
    return buffer


def test_a_zip_with_its_driver() -> None:
    texts = ["no INF at all", standins.inf(), standins.inf(["PCI\\OTHER"], version="9.9")]
    assert driver_package.check(packed(*texts), BUNDLE, LATEST) == "1.6.0.35"


@pytest.mark.parametrize(
    ("texts", "match"),
    [
        ([], "no device"),
        (["no INF at all"], "no device"),
        ([standins.inf(["PCI\\VEN_1D0F&DEV_EC20"])], r"name PCI\\VEN_1D0F&DEV_EC20 for x86_64"),
        ([standins.inf([f"PCI\\X{n}" for n in range(50)])], "and 42 more"),
        ([standins.inf(decorations=["NTx86"])], "no device"),
    ],
)
def test_a_zip_without_one(texts: list[str], match: str) -> None:
    with pytest.raises(FormatError, match=match):
        driver_package.check(packed(*texts), BUNDLE, LATEST)


def test_more_inf_files_than_is_sensible() -> None:
    files = [(f"{number}.inf", 1, bytes) for number in range(5001)]
    with pytest.raises(FormatError, match="too many"):
        list(driver_package.read_drivers(files))
    files = [(f"{number}.inf", inf.LIMIT, bytes) for number in range(10)]
    with pytest.raises(FormatError, match="too many"):
        list(driver_package.read_drivers(files))


def test_every_bundle_of_drivers_names_its_devices() -> None:
    for bundle in filter(driver_package.is_package, bundles.definitions()):
        assert bundle.hardware_ids
        assert all(p.format == "zip" and p.architectures for p in bundle.payloads)
        assert all(name == name.upper() for name in bundle.hardware_ids)


def test_a_driver_without_a_version() -> None:
    found = replace(driver(), inf=inf.parse("[Version]\n"))
    assert found.version == ()
