from __future__ import annotations

import json
import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from converter.errors import ConversionError, DamagedInputError, UsageError
from converter.handoff import manifest, results
from converter.handoff.workspace import Workspace
from converter.model import BootMode, Capabilities, Finding, Policy, Severity
from converter.policy import judge_source
from tests.unit.samples import linux, report, source


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """Publish two small disks with manifest and report; gives the manifest."""
    with Workspace(tmp_path, "web") as space:
        images = [space.staged(results.image_name("web", number)) for number in range(2)]
        for image in images:
            image.write_bytes(image.name.encode() * 1000)
            os.truncate(image, 1 << 20)
        disks = tuple(results.output_disk(image) for image in images)
        results.publish(space, replace(report(), disks=disks), images)
    return tmp_path / "web.manifest.json"


def rewrite(path: Path, **changed: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))


def codes(path: Path) -> list[str]:
    return [difference.code for difference in manifest.verify(path)]


class TestDocument:
    def test_has_what_the_contract_names(self) -> None:
        found = json.loads(manifest.render(report()))
        assert set(found) >= {
            *("schema", "tool", "source", "guest", "boot_mode", "disks", "capabilities"),
            *("changes", "findings", "register_image", "timings"),
        }
        assert found["schema"] == 1
        assert set(found["tool"]) == {"name", "version"}
        assert set(found["source"]) >= {"paths", "format", "virtual_size"}
        assert set(found["guest"]) >= {
            *("family", "distribution", "version", "architecture", "hostname", "kernel"),
            *("bootloader", "network", "mounts"),
        }
        assert found["guest"]["family"] == "linux"
        assert set(found["guest"]["kernel"]) >= {"version", "initramfs"}
        assert set(found["capabilities"]) >= {"nvme", "ena", "xen_blk", "xen_net"}
        assert found["timings"] == {"copy": 1.5}
        (disk,) = found["disks"]
        assert disk == {
            "path": "web.raw",
            "virtual_size": 4 << 30,
            "allocated_size": 1 << 20,
            "checksum": {"method": "m", "value": "00"},
        }
        (change,) = found["changes"]
        assert set(change) == {"code", "kind", "path", "reason", "backup"}
        (finding,) = found["findings"]
        assert set(finding) == {"severity", "code", "message", "hint", "service_message"}

    def test_spells_out_what_is_no_text(self) -> None:
        bad = Finding(Severity.INFO, "x", "a \udcff name")
        made = report(
            after=linux(hostname="\udcfe"),
            source=replace(source(), paths=(Path("/in/\udcfd"),)),
            findings=(bad,),
        )
        found = json.loads(manifest.render(made))
        assert found["guest"]["hostname"] == "\\udcfe"
        assert found["source"]["paths"] == ["/in/\\udcfd"]
        assert found["findings"][0]["message"] == "a \\udcff name"


class TestRegisterImage:
    """The shape of RegisterImage in the EC2 API Reference."""

    def test_gives_what_must_be_given(self) -> None:
        found = manifest.register_image(report())
        assert found["Architecture"] == "x86_64"
        assert found["VirtualizationType"] == "hvm"
        assert found["BootMode"] == "legacy-bios"
        assert found["EnaSupport"] is True
        assert "SriovNetSupport" not in found
        assert found["RootDeviceName"] == found["BlockDeviceMappings"][0]["DeviceName"]
        assert found["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"] == 4
        assert set(found) <= {
            *("Name", "Architecture", "VirtualizationType", "BootMode", "EnaSupport"),
            *("RootDeviceName", "BlockDeviceMappings", "SriovNetSupport"),
        }

    def test_declares_only_what_is_there(self) -> None:
        none = Capabilities(nvme=False, ena=False, xen_blk=False, xen_net=False, ixgbevf=True)
        found = manifest.register_image(report(capabilities=none, boot_mode=BootMode.UEFI))
        assert "EnaSupport" not in found
        assert found["SriovNetSupport"] == "simple"
        assert found["BootMode"] == "uefi"

    def test_names_arm_as_the_service_does(self) -> None:
        found = manifest.register_image(report(after=linux(architecture="aarch64")))
        assert found["Architecture"] == "arm64"

    @pytest.mark.parametrize("size", [512, 1 << 30, (1 << 30) + 1, 10**15])
    def test_volumes_hold_the_disk(self, size: int) -> None:
        made = report()
        made = replace(made, disks=(replace(made.disks[0], virtual_size=size),))
        volume = manifest.register_image(made)["BlockDeviceMappings"][0]["Ebs"]["VolumeSize"]
        assert volume == max(1, math.ceil(size / 2**30))

    def test_names_as_many_disks_as_are_not_refused(self) -> None:
        most = len(manifest.DEVICE_NAMES)
        mappings = manifest.register_image(report(disks=most))["BlockDeviceMappings"]
        names = [mapping["DeviceName"] for mapping in mappings]
        assert len(set(names)) == most
        assert all(re.fullmatch(r"/dev/(xvda|sd[f-z]|xvd[bc][a-z])", name) for name in names)
        codes = [finding.code for finding in judge_source(source(disks=most), Policy.OPEN)]
        assert "too-many-disks" not in codes
        codes = [finding.code for finding in judge_source(source(disks=most + 1), Policy.OPEN)]
        assert "too-many-disks" in codes

    @pytest.mark.parametrize(
        ("name", "expected"), [("web", "web"), ("a", "a--"), ("bücher+1", "b-cher-1")]
    )
    def test_has_a_name_that_is_accepted(self, name: str, expected: str) -> None:
        made = report()
        made = replace(made, disks=(replace(made.disks[0], path=f"{name}.raw"),))
        assert manifest.register_image(made)["Name"] == expected


class TestVerify:
    def test_what_was_published(self, published: Path) -> None:
        assert manifest.verify(published) == ()
        assert sorted(path.name for path in published.parent.iterdir()) == [
            *("web-1.raw", "web.manifest.json", "web.raw", "web.report.html"),
        ]

    def test_another_place(self, published: Path, tmp_path: Path) -> None:
        moved = tmp_path / "moved"
        moved.mkdir()
        for name in ("web.raw", "web-1.raw", published.name):
            (tmp_path / name).rename(moved / name)
        assert manifest.verify(moved / published.name) == ()

    def test_a_flipped_byte(self, published: Path) -> None:
        with (published.parent / "web-1.raw").open("r+b") as image:
            image.seek(1000)
            image.write(b"\xff")
        assert codes(published) == ["disk-checksum"]

    @pytest.mark.parametrize("size", [0, (1 << 20) - 1, (1 << 20) + 512])
    def test_another_size(self, published: Path, size: int) -> None:
        os.truncate(published.parent / "web.raw", size)
        assert codes(published) == ["disk-size"]

    def test_missing_disks(self, published: Path) -> None:
        (published.parent / "web.raw").unlink()
        (published.parent / "web-1.raw").unlink()
        (published.parent / "web-1.raw").mkdir()
        assert codes(published) == ["disk-missing", "disk-missing"]

    def test_a_checksum_of_another_kind(self, published: Path) -> None:
        (disk, _) = json.loads(published.read_text())["disks"]
        rewrite(published, disks=[{**disk, "checksum": {"method": "md5", "value": "0"}}])
        assert codes(published) == ["checksum-unknown"]

    def test_disks_that_cannot_be_read(
        self, published: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_: Path) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(manifest, "disk_checksum", fail)
        with pytest.raises(UsageError, match="Permission denied"):
            manifest.verify(published)


class TestLoad:
    @pytest.mark.parametrize(
        "name",
        ["../../etc/shadow", "/etc/shadow", "sub/web.raw", "..", ".", "", "a\0b", "../web.raw"],
    )
    def test_refuses_names_that_lead_away(self, published: Path, name: str) -> None:
        (disk, _) = json.loads(published.read_text())["disks"]
        rewrite(published, disks=[{**disk, "path": name}])
        with pytest.raises(DamagedInputError) as caught:
            manifest.verify(published)
        assert caught.value.code == "manifest-path"

    @pytest.mark.parametrize(
        ("data", "code"),
        [
            (b"", "manifest-invalid"),
            (b"no json", "manifest-invalid"),
            (b"\xff\xfe{}", "manifest-invalid"),
            (b"[]", "manifest-invalid"),
            (b"{}", "manifest-invalid"),
            (b'{"schema": "1", "disks": []}', "manifest-invalid"),
            (b'{"schema": 1, "disks": []}', "manifest-invalid"),
            (b'{"schema": 1, "disks": [{"path": "x"}]}', "manifest-invalid"),
            (b'{"schema": 2, "volumes": []}', "manifest-schema"),
            (b"[" * 100000, "manifest-invalid"),
            (b'{"schema": 1, "x": ' + b"[" * 100000, "manifest-invalid"),
        ],
    )
    def test_refuses_what_is_no_manifest(self, tmp_path: Path, data: bytes, code: str) -> None:
        path = tmp_path / "manifest.json"
        path.write_bytes(data)
        with pytest.raises(DamagedInputError) as caught:
            manifest.load(path)
        assert caught.value.code == code

    def test_does_not_read_a_whole_disk(self, tmp_path: Path) -> None:
        path = tmp_path / "disk.raw"
        path.touch()
        os.truncate(path, 1 << 40)
        with pytest.raises(DamagedInputError):
            manifest.load(path)

    def test_needs_a_file(self, tmp_path: Path) -> None:
        for path in (tmp_path, tmp_path / "missing"):
            with pytest.raises(UsageError) as caught:
                manifest.load(path)
            assert caught.value.code == "manifest-missing"


def test_a_report_that_cannot_be_written_publishes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    def run() -> None:
        with Workspace(tmp_path, "web") as space:
            image = space.staged("web.raw")
            image.touch()
            monkeypatch.setattr(Path, "write_bytes", fail)
            results.publish(space, report(), [image])

    with pytest.raises(ConversionError) as caught:
        run()
    assert caught.value.code == "disk-full"
    assert list(tmp_path.iterdir()) == []
