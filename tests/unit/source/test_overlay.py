"""How QEMU is told of a source: one layer after the other, and nothing left to probe."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from converter import process
from converter.errors import ConversionError, HostError
from converter.model import ByteRange, DiskFormat, SourceDisk
from converter.source import open_source
from converter.source.overlay import create_overlay, filename, node, padded, plain_data
from tests.unit.source.build import (
    MIB,
    descriptor,
    dynamic_vhd,
    fixed_vhd,
    ovf,
    pattern,
    qcow2,
    sparse_vmdk,
    stored,
    tar,
    vdi,
    vhdx,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "work"
    path.mkdir()
    return path


def layers(path: Path, work: Path) -> dict[str, Any]:
    """Give the layers, without the window that a VMDK is seen through."""
    [disk] = open_source([path], work=work).disks
    found = node(disk, work)
    if disk.format is DiskFormat.VMDK and plain_data(disk) is None:
        assert (found["driver"], found["size"]) == ("raw", disk.virtual_size)
        found = found["file"]
    return found


@pytest.mark.parametrize(
    ("name", "data", "driver"),
    [
        ("a.raw", pattern(1000), "raw"),
        ("a.vmdk", sparse_vmdk({}, 128), "vmdk"),
        ("a.vhd", dynamic_vhd({}, MIB), "vpc"),
        ("a.vhdx", vhdx({}, MIB), "vhdx"),
        ("a.qcow2", qcow2({}, MIB), "qcow2"),
        ("a.vdi", vdi({}, MIB), "vdi"),
    ],
)
def test_a_file_of_its_own(tmp_path: Path, work: Path, name: str, data: bytes, driver: str) -> None:
    path = stored(tmp_path, name, data)
    found = layers(path, work)
    assert found["driver"] == driver
    assert found["file"]["driver"] == "file"
    assert (work / found["file"]["filename"]).resolve() == path


@pytest.mark.parametrize(("name", "data"), [("a.vmdk", sparse_vmdk({}, 128)),
                                            ("a.qcow2", qcow2({}, MIB))])  # fmt: skip
def test_formats_with_backing_files_are_told_that_there_is_none(
    tmp_path: Path, work: Path, name: str, data: bytes
) -> None:
    found = layers(stored(tmp_path, name, data), work)
    assert "backing" in found
    assert found["backing"] is None
    assert '"backing":null' in filename(found)


def test_a_member_is_a_window(tmp_path: Path, work: Path) -> None:
    disk = sparse_vmdk({}, 128)
    path = stored(tmp_path, "a.ova", tar(("vm.ovf", ovf().encode()), ("a.vmdk", disk)))
    window = layers(path, work)["file"]
    offset = path.read_bytes().index(disk)
    assert (window["driver"], window["offset"], window["size"]) == ("raw", offset, len(disk))


def test_a_fixed_vhd_is_a_window_before_its_footer(tmp_path: Path, work: Path) -> None:
    window = layers(stored(tmp_path, "a.vhd", fixed_vhd(pattern(MIB))), work)
    assert (window["driver"], window["offset"], window["size"]) == ("raw", 0, MIB)


class TestExtents:
    def split(self, directory: Path, name: str, *lines: str) -> Path:
        text = descriptor(lines, kind="custom")
        return stored(directory, name, text.encode())

    def test_get_a_descriptor_of_ours(self, tmp_path: Path, work: Path) -> None:
        stored(tmp_path, 'one", RW', pattern(2048))
        stored(tmp_path, "two", pattern(2048))
        name = tmp_path / "one"
        (tmp_path / 'one", RW').rename(name)
        path = self.split(
            tmp_path, "a.vmdk", 'RW 4 FLAT "one" 0', "RW 63 ZERO", 'RW 2 VMFS "two" 2'
        )
        found = layers(path, work)
        text = (work / found["file"]["filename"]).read_text()
        lines = [line.split() for line in text.splitlines() if line.startswith("RW ")]
        assert [line[:3] for line in lines] == [
            ["RW", "4", "FLAT"], ["RW", "63", "FLAT"], ["RW", "2", "FLAT"],
        ]  # fmt: skip
        files = [work / line[3].strip('"') for line in lines]
        assert files[0].resolve() == name
        assert (files[1].read_bytes(), files[1].stat().st_blocks) == (bytes(63 * 512), 0)
        assert lines[2][4] == "2"
        assert "\n\n" not in text  # an extent after an empty line is two for QEMU
        assert str(tmp_path) not in text.replace(str(work), "")

    def test_two_disks_have_two_descriptors(self, tmp_path: Path, work: Path) -> None:
        for name in ("one", "two"):
            stored(tmp_path, name, pattern(2048))
        paths = [
            self.split(tmp_path, f"{name}.vmdk", f'RW 4 FLAT "{name}" 0', "RW 4 ZERO")
            for name in ("one", "two")
        ]
        found = [layers(path, work)["file"]["filename"] for path in paths]
        assert len(set(found)) == 2
        assert layers(paths[0], work)["file"]["filename"] == found[0]

    def test_a_single_flat_one_is_a_window(self, tmp_path: Path, work: Path) -> None:
        stored(tmp_path, "one", pattern(2048))
        window = layers(self.split(tmp_path, "a.vmdk", 'RW 2 FLAT "one" 1'), work)
        assert (window["driver"], window["offset"], window["size"]) == ("raw", 512, 1024)


@pytest.mark.parametrize("name", ["a,b", "a:b", 'a"b', "a\nb", "ä", "\udcff", "json:{}", "x" * 250])
def test_names_do_not_get_into_what_qemu_is_told(tmp_path: Path, work: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pattern(4096))
    found = filename(layers(path, work))
    assert len(found) < 300
    assert json.loads(found.removeprefix("json:"))["file"]["filename"].startswith(f"{work}/s")


def test_the_directory_may_be_relative(
    tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = stored(tmp_path, "a.raw", pattern(512))
    [disk] = open_source([path], work=work).disks
    relative = work.relative_to(tmp_path)
    assert node(disk, relative)["file"]["filename"].startswith(str(work))


@pytest.mark.parametrize(("size", "sectors"), [(0, 0), (1, 512), (512, 512), (513, 1024)])
def test_padded(size: int, sectors: int) -> None:
    assert padded(size) == sectors


def test_plain_data_ends_where_the_disk_does(tmp_path: Path) -> None:
    file = ByteRange(tmp_path, 512, 5000)
    disk = SourceDisk("a", DiskFormat.VHD, "fixed", 4096, file)
    assert plain_data(disk) == ByteRange(tmp_path, 512, 4096)
    assert plain_data(SourceDisk("a", DiskFormat.VHDX, "fixed", 4096, file)) is None


@pytest.mark.parametrize(
    ("answer", "kind", "code"),
    [
        (process.Completed(1, b"", b"x: No space left on device"), HostError, "disk-full"),
        (process.Completed(-signal.SIGXFSZ, b"", b""), HostError, "disk-full"),
        (process.Completed(1, b"", b"something else"), ConversionError, "overlay-failed"),
    ],
)
def test_an_overlay_that_cannot_be_made(
    work: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: process.Completed,
    kind: type[ConversionError],
    code: str,
) -> None:
    def run(argv: list[str], **_: Any) -> process.Completed:
        if argv[1] == "info":
            return process.Completed(0, b'{"virtual-size": 1024}', b"")
        return answer

    monkeypatch.setattr(process, "run", run)
    path = stored(work.parent, "a.raw", pattern(1024))
    [disk] = open_source([path], work=work).disks
    with pytest.raises(ConversionError) as raised:
        create_overlay(disk, directory=work, name="disk0")
    assert (type(raised.value), raised.value.code) == (kind, code)
    assert raised.value.hint
