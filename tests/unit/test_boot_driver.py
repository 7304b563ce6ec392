"""The driver of EC2's disks, as the INF of a package has it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter import bundles
from converter.archive import DAMAGE
from converter.boot_driver import BootDriver, read_boot_driver
from converter.bundles import Choice, Verdict
from converter.formats import FormatError
from converter.provision import Provided
from converter.store import Checked, Entry
from tests.standins import NVME, inf
from tests.unit.windows_samples import DRIVER

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WINDOWS_7 = (6, 1, 7601)
GUID = "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
ENTRY = Entry("aws-nvme", "latest", "AWSNVMe.zip", 1, "ab", "here")
INF = "aws/AWSNVMe.inf"
SYS = "aws/AWSNVMe.sys"


Files = dict[str, bytes | str]


def provided(path: Path) -> Provided:
    bundle = bundles.find("aws-nvme")
    assert bundle is not None
    return Provided(
        Choice(bundle, Verdict.INSTALL, "because", tuple(bundle.payloads)), Checked(ENTRY, path)
    )


def packed(files: Mapping[str, bytes | str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def read(
    tmp_path: Path, files: Mapping[str, bytes | str], version: tuple[int, int, int]
) -> BootDriver:
    path = tmp_path / "drivers.zip"
    path.write_bytes(packed(files))
    return read_boot_driver(provided(path), architecture="x86_64", version=version)


def test_a_package(tmp_path: Path) -> None:
    found = read(tmp_path, {INF: inf(), SYS: DRIVER, "readme.txt": "x"}, WINDOWS_7)
    assert found == BootDriver(
        service="AWSNVMe",
        file="AWSNVMe.sys",
        data=DRIVER,
        hardware_ids=NVME,
        inf="AWSNVMe.inf",
        class_guid=GUID,
        version=(1, 6, 0, 35),
        date="06/21/2023",
    )


def test_of_several_the_newest_for_this_windows(tmp_path: Path) -> None:
    files: Files = {
        "7/a.inf": inf(version="1.3.2", decorations=["NTamd64.6.1"]),
        "7/awsnvme.SYS": b"older",
        "10/a.inf": inf(version="1.6.0", decorations=["NTamd64.10.0"]),
        "10/AWSNVMe.sys": b"newer",
    }
    assert read(tmp_path, files, WINDOWS_7).data == b"older"
    found = read(tmp_path, files, (10, 0, 17763))
    assert (found.data, found.version) == (b"newer", (1, 6, 0, 0))


def test_only_devices_of_the_bundle(tmp_path: Path) -> None:
    ids = (*NVME, "PCI\\VEN_1234&DEV_0001", f"{NVME[0]}&SUBSYS_00000000")
    found = read(tmp_path, {INF: inf(ids), SYS: DRIVER}, WINDOWS_7)
    assert found.hardware_ids == (*NVME, f"{NVME[0]}&SUBSYS_00000000")


def test_a_file_below_its_inf(tmp_path: Path) -> None:
    files: Files = {INF: inf(), "aws/amd64/AWSNVMe.sys": DRIVER, "other/AWSNVMe.sys": b"other"}
    assert read(tmp_path, files, WINDOWS_7).data == DRIVER


TEXT = inf()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "no driver for Windows 6.1.7601"),
        ({INF: "noise", SYS: DRIVER}, "no driver"),
        ({INF: inf(["PCI\\VEN_1234&DEV_0001"]), SYS: DRIVER}, "no driver"),
        ({INF: inf(decorations=["NTamd64.10.0"]), SYS: DRIVER}, "no driver"),
        ({INF: inf(decorations=["NTx86.6.1"]), SYS: DRIVER}, "no driver"),
        ({INF: TEXT}, "AWSNVMe.sys is not in the package"),
        ({INF: TEXT, "other/AWSNVMe.sys": DRIVER}, "is not in the package"),
        ({INF: TEXT.replace("AddService", "DelService"), SYS: DRIVER}, "names no service"),
        ({INF: TEXT.replace("ServiceBinary", "Other"), SYS: DRIVER}, "names no service"),
        ({INF: TEXT.replace(GUID, "{nonsense}"), SYS: DRIVER}, "class"),
        (
            {INF: TEXT.replace("AddService = AWSNVMe,", "AddService = a\\b,"), SYS: DRIVER},
            "service",
        ),
        ({INF: TEXT, SYS: bytes((16 << 20) + 1)}, "bytes"),
    ],
)
def test_one_that_cannot_be_used(
    tmp_path: Path, files: Mapping[str, bytes | str], said: str
) -> None:
    with pytest.raises(FormatError, match=said):
        read(tmp_path, files, WINDOWS_7)


def test_without_a_class_it_is_one_of_disks(tmp_path: Path) -> None:
    text = TEXT.replace("ClassGuid", ";")
    assert read(tmp_path, {INF: text, SYS: DRIVER}, WINDOWS_7).class_guid == ""


@pytest.mark.parametrize("data", [b"", b"PK", packed({INF: TEXT})[:-30]])
def test_what_is_no_archive(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    with pytest.raises((FormatError, *DAMAGE)):
        read_boot_driver(provided(path), architecture="x86_64", version=WINDOWS_7)


@given(st.integers(0, len(TEXT)), st.text(max_size=20))
def test_any_inf(tmp_path_factory: pytest.TempPathFactory, at: int, noise: str) -> None:
    text = TEXT[:at] + noise + TEXT[at + len(noise) :]
    try:
        found = read(
            tmp_path_factory.mktemp("inf"),
            {INF: text.encode("utf-8", "replace"), SYS: DRIVER},
            WINDOWS_7,
        )
    except FormatError:
        return
    assert replace(found, data=b"").hardware_ids
