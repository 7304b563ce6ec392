from __future__ import annotations

import io
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

import pycdlib
import pytest

from converter import importing
from converter.errors import ConversionError, HostError, UsageError
from converter.store import Store
from tests import standins
from tests.unit import package_samples as made
from tests.unit.formats.test_cabinet import made as cabinet

if TYPE_CHECKING:
    from pathlib import Path

DEB = made.deb()
MSI = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def packed(names: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def nvme(version: str = "1.6.0.35") -> bytes:
    """Make what the vendor of the NVMe driver publishes."""
    text = standins.inf(version=version)
    return packed({"AWSNVMe/AWSNVMe.inf": text.encode("utf-16"), "install.ps1": b"#"})


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def bring(source: Path, tmp_path: Path) -> list[str]:
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    found = importing.bring(Store(tmp_path / "store"), source, work)
    return [f"{item.entry.bundle}/{item.entry.payload}" for item in found]


def refused(source: Path, tmp_path: Path) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        bring(source, tmp_path)
    assert Store(tmp_path / "store").entries == ()
    return caught.value


class TestByName:
    def test_a_file(self, tmp_path: Path) -> None:
        source = tmp_path / "downloaded.deb"
        source.write_bytes(DEB)
        assert bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    def test_the_version_tells_packages_apart(self, tmp_path: Path) -> None:
        source = tmp_path / "amazon-ssm-agent.rpm"
        source.write_bytes(made.rpm(version="3.0.1479.0"))
        assert bring(source, tmp_path) == ["amazon-ssm-agent/rpm-x86_64-el6"]

    def test_a_directory(self, tmp_path: Path) -> None:
        source = tmp_path / "given"
        (source / "NVMe" / "1.5.1").mkdir(parents=True)
        (source / "NVMe" / "1.5.1" / "AWSNVMe.zip").write_bytes(nvme())
        (source / "agent.rpm").write_bytes(made.rpm(architecture="aarch64"))
        (source / "other.rpm").write_bytes(made.rpm(name="bash"))
        (source / "link.deb").symlink_to("/etc/passwd")
        assert bring(source, tmp_path) == ["amazon-ssm-agent/rpm-aarch64", "aws-nvme/2012"]

    @pytest.mark.parametrize(
        ("version", "payload"),
        [("1.5.1.6", "2012"), ("1.3.2.53", "2008-r2"), ("1.6.0.35", "latest"), ("", "latest")],
    )
    def test_the_inf_tells_drivers_apart(self, tmp_path: Path, version: str, payload: str) -> None:
        source = tmp_path / "AWSNVMe.zip"
        source.write_bytes(nvme(version))
        assert bring(source, tmp_path) == [f"aws-nvme/{payload}"]

    def test_another_driver_by_that_name(self, tmp_path: Path) -> None:
        source = tmp_path / "AWSNVMe.zip"
        source.write_bytes(packed({"ena.inf": standins.inf(["PCI\\VEN_1D0F&DEV_EC20"]).encode()}))
        error = refused(source, tmp_path)
        assert error.code == "payload-damaged"
        assert "is no driver for PCI\\VEN_1D0F&DEV_0061" in error.message
        assert "name PCI\\VEN_1D0F&DEV_EC20" in error.message

    def test_a_zip(self, tmp_path: Path) -> None:
        source = tmp_path / "all.zip"
        source.write_bytes(packed({"x/amazon-ssm-agent.deb": DEB, "x/readme": b"x"}))
        assert bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    def test_an_installer(self, tmp_path: Path) -> None:
        source = tmp_path / "AmazonEC2Launch.msi"
        source.write_bytes(MSI)
        assert bring(source, tmp_path) == ["ec2launch-v2/latest"]

    def test_a_tar(self, tmp_path: Path) -> None:
        source = tmp_path / "all.tar"
        source.write_bytes(made.tar({"x/amazon-ssm-agent.deb": DEB}))
        assert bring(source, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    @pytest.mark.parametrize(
        "data",
        [
            packed({"amazon-ssm-agent.deb": DEB, "../x": b"x"}),
            packed({"amazon-ssm-agent.deb": DEB})[:-30],
            packed({"amazon-ssm-agent.deb": DEB, "inner.zip": b"PK"}),
            packed({"amazon-ssm-agent.deb": DEB, "inner.zip": packed({"../x": b"x"})}),
            made.tar({"amazon-ssm-agent.deb": DEB, "/x": b"x"}),
            b"nothing at all",
            b"",
        ],
    )
    def test_takes_nothing_from_what_is_hostile(self, tmp_path: Path, data: bytes) -> None:
        source = tmp_path / "all.zip"
        source.write_bytes(data)
        assert refused(source, tmp_path).code == "import-refused"

    def test_nothing_to_import(self, tmp_path: Path) -> None:
        source = tmp_path / "given"
        source.mkdir()
        (source / "notes.txt").write_text("hello")
        assert refused(source, tmp_path).code == "nothing-to-import"

    def test_nothing_there(self, tmp_path: Path) -> None:
        error = refused(tmp_path / "missing", tmp_path)
        assert isinstance(error, UsageError)
        assert error.code == "import-unreadable"


class TestUnpacked:
    """Drivers as they lie in a vendor's folders."""

    @pytest.fixture
    def given(self, tmp_path: Path) -> Path:
        root = tmp_path / "given"
        standins.driver_package(root / "Drivers" / "w10")
        standins.driver_package(root / "old" / "2012", version="1.5.1.6")
        standins.driver_package(root / "ENA", ["PCI\\VEN_1D0F&DEV_EC20&REV_01"], name="ena")
        standins.driver_package(root / "other", ["PCI\\VEN_1AF4&DEV_1001"], name="viostor")
        (root / "other" / "broken.inf").write_bytes(b"[")
        return root

    EXPECTED = ("aws-ena/latest", "aws-nvme/latest", "aws-nvme/2012")

    def check(self, tmp_path: Path, given: Path) -> None:
        """Look into what the store got: the driver's own files, under their own names."""
        opened = Store(tmp_path / "store")
        for entry in opened.entries:
            with zipfile.ZipFile(opened.check(entry).path) as archive:
                name = "ena" if entry.bundle == "aws-ena" else "AWSNVMe"
                names = sorted(f"{name}.{kind}" for kind in ("cat", "inf", "sys"))
                assert archive.namelist() == names
        latest = next(e for e in opened.entries if (e.bundle, e.payload) == ("aws-nvme", "latest"))
        assert latest.version == "1.6.0.35"
        assert latest.origin.endswith("Drivers/w10/AWSNVMe.inf")
        with zipfile.ZipFile(opened.path(latest)) as archive:
            content = archive.read("AWSNVMe.sys")
        assert content == (given / "Drivers" / "w10" / "AWSNVMe.sys").read_bytes()

    def test_in_a_directory(self, tmp_path: Path, given: Path) -> None:
        assert bring(given, tmp_path) == list(self.EXPECTED)
        self.check(tmp_path, given)

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_in_an_archive(self, tmp_path: Path, given: Path, kind: str) -> None:
        source = tmp_path / f"vendor.{kind}"
        source.write_bytes(packed(tree(given)) if kind == "zip" else made.tar(tree(given)))
        assert bring(source, tmp_path) == list(self.EXPECTED)
        self.check(tmp_path, given)

    def test_in_a_program_that_unpacks_itself(self, tmp_path: Path) -> None:
        device = ["PCI\\VEN_8086&DEV_10ED"]
        root = tmp_path / "given" / "PROXGB"
        for number, target in ((62, "6.1"), (63, "6.2"), (64, "6.3"), (65, "10.0")):
            standins.driver_package(
                root / f"NDIS{number}",
                device,
                name=f"vxn{number}x64",
                decorations=[f"NTamd64.{target}"],
                version="2.0" if number != 64 else "1.0",
            )
        source = tmp_path / "PROWinx64.exe"
        source.write_bytes(b"MZ" + bytes(510) + packed(tree(root)))
        assert bring(source, tmp_path) == ["intel-82599-vf/2012-r2"]
        (entry,) = Store(tmp_path / "store").entries
        with zipfile.ZipFile(Store(tmp_path / "store").path(entry)) as archive:
            # What is made for that Windows goes before what is newer.
            assert "vxn64x64.inf" in archive.namelist()

    def test_in_an_archive_in_an_image(self, tmp_path: Path, given: Path) -> None:
        data = packed(tree(given))
        iso: Any = pycdlib.PyCdlib()
        iso.new(joliet=3)
        iso.add_fp(io.BytesIO(data), len(data), "/A.ZIP;1", joliet_path="/drivers.zip")
        source = tmp_path / "vendor.iso"
        iso.write(str(source))
        iso.close()
        assert bring(source, tmp_path) == list(self.EXPECTED)
        self.check(tmp_path, given)

    def test_in_an_image(self, tmp_path: Path) -> None:
        package = standins.driver_package(tmp_path / "given")
        iso: Any = pycdlib.PyCdlib()
        iso.new(joliet=3)
        iso.add_directory("/X", joliet_path="/x")
        for name in ("AWSNVMe.inf", "AWSNVMe.sys", "AWSNVMe.cat"):
            path = "/X/" + name.upper()
            iso.add_file(str(package / name), f"{path};1", joliet_path=f"/x/{name}")
        source = tmp_path / "vendor.iso"
        iso.write(str(source))
        iso.close()
        assert bring(source, tmp_path) == ["aws-nvme/latest"]

    def test_in_an_archive_in_an_archive_in_an_archive(self, tmp_path: Path, given: Path) -> None:
        source = tmp_path / "a.zip"
        source.write_bytes(packed({"b.zip": packed({"c.zip": packed(tree(given))})}))
        assert refused(source, tmp_path).code == "nothing-to-import"

    def test_the_vendors_own_archive_goes_before_it(self, tmp_path: Path, given: Path) -> None:
        (given / "AWSNVMe.zip").write_bytes(nvme())
        (given / "Drivers" / "w10" / "AWSNVMe.sys").unlink()
        expected = ["aws-nvme/latest", "aws-ena/latest", "aws-nvme/2012"]
        assert bring(given, tmp_path) == expected

    def test_the_same_files_are_the_same_payload(self, tmp_path: Path, given: Path) -> None:
        bring(given, tmp_path)
        first = Store(tmp_path / "store").entries
        shutil.copytree(given, tmp_path / "copy")
        bring(tmp_path / "copy", tmp_path)
        digests = [entry.sha256 for entry in Store(tmp_path / "store").entries]
        assert digests == [entry.sha256 for entry in first]

    def test_names_are_those_of_windows(self, tmp_path: Path) -> None:
        package = standins.driver_package(tmp_path / "given")
        (package / "AWSNVMe.sys").rename(package / "awsnvme.SYS")
        assert bring(package, tmp_path) == ["aws-nvme/latest"]

    def test_files_in_folders_below(self, tmp_path: Path) -> None:
        package = standins.driver_package(tmp_path / "given")
        text = (
            (package / "AWSNVMe.inf").read_text().replace("AWSNVMe.sys = 1", "AWSNVMe.sys = 1,x64")
        )
        (package / "AWSNVMe.inf").write_text(text)
        (package / "x64").mkdir()
        (package / "AWSNVMe.sys").rename(package / "x64" / "AWSNVMe.sys")
        assert bring(package, tmp_path) == ["aws-nvme/latest"]
        (entry,) = Store(tmp_path / "store").entries
        with zipfile.ZipFile(Store(tmp_path / "store").path(entry)) as archive:
            assert archive.namelist() == ["AWSNVMe.cat", "AWSNVMe.inf", "x64/AWSNVMe.sys"]

    @pytest.mark.parametrize("name", ["AWSNVMe.sys", "AWSNVMe.cat"])
    def test_all_of_it_must_be_there(self, tmp_path: Path, name: str) -> None:
        package = standins.driver_package(tmp_path / "given")
        (package / name).unlink()
        error = refused(package, tmp_path)
        assert error.code == "import-refused"
        assert f"'AWSNVMe.inf' names '{name}', which is not there" in error.message

    def test_and_once(self, tmp_path: Path) -> None:
        package = standins.driver_package(tmp_path / "given")
        (package / "awsnvme.SYS").write_bytes(b"x")
        assert "which is there twice" in refused(package, tmp_path).message

    @pytest.mark.parametrize(
        "decorations", [["NTx86.6.1"], ["NTarm64.10.0"], ["NTamd64.10.0...99999999"]]
    )
    def test_what_no_guest_of_a_payload_takes(self, tmp_path: Path, decorations: list[str]) -> None:
        package = standins.driver_package(tmp_path / "given", decorations=decorations)
        assert refused(package, tmp_path).code == "nothing-to-import"


class TestArchives:
    def test_many_of_them(self, tmp_path: Path) -> None:
        source = tmp_path / "all.zip"
        source.write_bytes(packed({f"{number}.zip": packed({}) for number in range(65)}))
        assert "65 archives" in refused(source, tmp_path).message

    def test_that_hold_too_much(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(importing, "_NESTED_LIMIT", 100)
        source = tmp_path / "all.zip"
        source.write_bytes(packed({f"{n}.zip": packed({"x": bytes(60)}) for n in range(2)}))
        assert "archives hold 120 bytes" in refused(source, tmp_path).message

    @pytest.mark.parametrize(
        ("name", "data", "package"),
        [
            ("drivers.cab", cabinet(), "cabextract"),
            ("drivers.msi", MSI, "msitools"),
            ("AWSPVDriverSetup.msi", MSI, "msitools"),
        ],
    )
    def test_without_the_tool_for_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, package: str
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda _: None)
        source = tmp_path / name
        source.write_bytes(data)
        error = refused(source, tmp_path)
        assert isinstance(error, HostError)
        assert error.code == "tool-missing"
        assert f"apt-get install {package}" in error.hint
        # What else there is, does not need it.
        outer = tmp_path / "all.zip"
        outer.write_bytes(packed({"x.cab": cabinet()}))
        assert refused(outer, tmp_path).code == "tool-missing"
        outer.write_bytes(packed({"x.cab": cabinet(), "x.deb": DEB}))
        assert bring(outer, tmp_path) == ["amazon-ssm-agent/deb-x86_64"]

    @pytest.mark.parametrize(
        ("entries", "match"),
        [
            ([(b"../x", 0x20, 1)], "leads out"),
            ([(b"\\x", 0x20, 1)], "leads out"),
            ([(b"C:\\x", 0x20, 1)], "leads out"),
            ([(b"x\\con.sys", 0x20, 1)], "no name of a file"),
            ([(b"x", 0x20, 1 << 30), (b"y", 0x20, 1)], "holds 1073741825 bytes"),
            ([(b"x", 0x20, 0)] * 20_001, "more than 20000 members"),
        ],
    )
    def test_cabinets_that_no_tool_is_to_read(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        entries: list[tuple[bytes, int, int]],
        match: str,
    ) -> None:
        monkeypatch.setattr(shutil, "which", pytest.fail)
        source = tmp_path / "x.cab"
        source.write_bytes(cabinet(entries))
        assert match in refused(source, tmp_path).message
