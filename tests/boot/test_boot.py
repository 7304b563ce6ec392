"""What really comes up: guests from NVMe before and after their conversion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from images.cache import image
from images.exports import export
from tests.command import converter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.boot


def boot(path: Path, *, bus: str = "nvme", firmware: str = "bios", timeout: int = 300) -> Any:
    """Boot a raw image; the report is given whether it comes up or not."""
    done = converter(
        "boot", path, "--bus", bus, "--firmware", firmware, "--timeout", str(timeout), "--json"
    )
    report = done.document
    assert done.code == (0 if report["reached"] == "multi-user" else 6), done.stderr
    return report


def is_whole(report: Any, root: str) -> bool:
    """Tell whether the report is of a machine that came up as it should."""
    return bool(
        report["reached"] == "multi-user"
        and report["root"] == {"source": root, "fstype": "ext4"}
        and report["addresses"] != []
        and report["failed_units"] == []
        and report["state"] == "running"
    )


@pytest.fixture(scope="module")
def debian_12(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("debian-12")
    converter("convert", export(image("debian-12-bios"), "ova"), "-o", output).good()
    return output / "guest.raw"


@pytest.fixture(scope="module")
def debian_13(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("debian-13")
    source = image("debian-13-gpt").path
    converter("convert", source, "-o", output, "--name", "guest").good()
    return output / "guest.raw"


@pytest.mark.xdist_group("boot-debian-12")
class TestDebian12Bios:
    def test_source_does_not_come_up_from_nvme(self) -> None:
        report = boot(image("debian-12-bios").path, timeout=150)
        assert report["reached"] != "multi-user", report

    def test_source_comes_up_from_its_own_controller(self) -> None:
        report = boot(image("debian-12-bios").path, bus="ide")
        assert report["reached"] == "multi-user", report
        assert report["root"]["source"] == "/dev/sda1"

    def test_result_comes_up_from_nvme(self, debian_12: Path) -> None:
        report = boot(debian_12)
        assert is_whole(report, "/dev/nvme0n1p1"), report


@pytest.mark.xdist_group("boot-debian-13")
class TestDebian13Gpt:
    def test_source_does_not_come_up_from_nvme(self) -> None:
        report = boot(image("debian-13-gpt").path, timeout=150)
        assert report["reached"] != "multi-user", report

    @pytest.mark.parametrize("firmware", ["bios", "uefi"])
    def test_result_comes_up_from_nvme(self, debian_13: Path, firmware: str) -> None:
        report = boot(debian_13, firmware=firmware)
        assert is_whole(report, "/dev/nvme0n1p3"), report
        assert any(mount.startswith("/boot/efi ") for mount in report["mounts"]), report
