from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from converter.errors import GuestRefusedError, InputError, UsageError
from converter.model import ContainerFormat, Policy, Wanted
from converter.preflight import open_and_judge
from converter.source import compressed
from tests.unit.disk.test_table import ONE, Image, gpt_image
from tests.unit.source.build import (
    MIB,
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
from tests.unit.source.opening import damage, open_at, open_one, refusal

RAW = bytes(446) + pattern(1602)
FORMATS = {
    ".vmdk": (ContainerFormat.VMDK, sparse_vmdk({}, 128)),
    ".vhd": (ContainerFormat.VHD, dynamic_vhd({}, MIB)),
    ".vhdx": (ContainerFormat.VHDX, vhdx({}, MIB)),
    ".qcow2": (ContainerFormat.QCOW2, qcow2({}, 65536)),
    ".vdi": (ContainerFormat.VDI, vdi({}, MIB)),
    ".raw": (ContainerFormat.RAW, RAW),
    ".gz": (ContainerFormat.COMPRESSED_RAW, gzip.compress(RAW)),
}


@pytest.mark.parametrize("ending", FORMATS)
class TestFormats:
    @pytest.mark.parametrize("named", ["", ".img", ".DISK", "upper"])
    def test_are_known_by_their_bytes(self, tmp_path: Path, ending: str, named: str) -> None:
        form, data = FORMATS[ending]
        name = f"disk{ending.upper()}" if named == "upper" else f"disk{named}"
        assert open_at(stored(tmp_path, name, data)).format is form

    @pytest.mark.parametrize("named", [*FORMATS, ".ova", ".ovf", ".xz", ".zst", ".bz2"])
    def test_are_not_what_another_name_says(self, tmp_path: Path, ending: str, named: str) -> None:
        form, data = FORMATS[ending]
        if named in (ending, ".xz", ".zst", ".bz2"):
            return
        error = damage(stored(tmp_path, f"disk{named}", data))
        if (ending, named) == (".raw", ".vhd"):  # it may be what is left of one
            assert error.code == "vhd-footers-differ"
            return
        assert error.code == "format-mismatch"
        assert form.value in error.message


@pytest.mark.parametrize("name", ["disk", "disk.raw", "disk.vmdk", "disk.ova", "disk.gz"])
def test_an_empty_file(tmp_path: Path, name: str) -> None:
    error = damage(stored(tmp_path, name, b""))
    assert error.code == "disk-size-zero"
    [finding] = error.findings
    assert finding.service_message == "disk-image-size=0 has invalid format"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\x03\x04", "zip"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"<html><head>\n<title>404 Not Found</title></head>\n" + b"<p>.</p>\n" * 100, "text"),
        (b'.encoding = "UTF-8"\nconfig.version = "8"\n' * 20, "text"),
        (bytes(32769) + b"CD001", "ISO 9660"),
        (bytes(32769) + b"BEA01", "UDF"),
        (b"QED\0", "QED"),
        (b"VMA\0\0\0\0\1", "Proxmox"),
        (b"EVF\x09\x0d\x0a\xff\0", "EnCase"),
        (b"\xed\xab\xee\xdb", "RPM"),
        (b"!<arch>\ndebian-binary", "ar"),
        (b"070701", "cpio"),
        (bytes(65536 - 512) + b"koly", "DMG"),
        ("<html><head><title>\u00dcbersicht</title>".encode() + "\u00fc".encode() * 400, "text"),
        ("# Disk DescriptorFile\n\u00fc".encode("utf-16") + b"x\0" * 400, "text"),
        (b'{"message": "' + b"no such object " * 100, "text"),
        (b"\x1b[31merror\x1b[0m: no such disk\n" * 40, "text"),
    ],
)
def test_what_is_no_disk(tmp_path: Path, data: bytes, what: str) -> None:
    data = data if what == "text" else data.ljust(65536, b"\0")
    error = refusal(stored(tmp_path, "disk", data))
    assert error.code == "format-unknown"
    assert what in error.message
    error_named = damage(stored(tmp_path, "disk.vmdk", data))
    assert error_named.code == "format-mismatch"
    assert what in error_named.message


class TestWhatWasACd:
    """A descriptor that was left in the gap before the first partition of a disk."""

    DESCRIPTOR = b"\1CD001\1"

    def test_a_disk_stays_a_disk(self, tmp_path: Path) -> None:
        mbr, gpt = Image(), gpt_image(ONE)
        mbr.record(0, (0x80, 0x83, 2048, 4096))
        for image in (mbr, gpt):
            image.put(32768, self.DESCRIPTOR)
            assert open_one(stored(tmp_path, "disk", bytes(image.data))).virtual_size == image.size

    def test_a_cd_for_a_stick_stays_a_cd(self, tmp_path: Path) -> None:
        for start in (0, 1, 64):
            image = Image()
            image.record(0, (0x80, 0x17, start, 4096))
            image.put(32768, self.DESCRIPTOR)
            assert refusal(stored(tmp_path, "disk", bytes(image.data))).code == "format-unknown"


def test_an_ova_of_another_kind_of_tar(tmp_path: Path) -> None:
    error = damage(stored(tmp_path, "a.ova", b"vm.ovf".ljust(65536, b"\0")))
    assert (error.code, "ustar" in error.hint) == ("format-mismatch", True)


@pytest.mark.parametrize("path", ["s3:/bucket/a.ova", "https:/example.com/a.ova"])
def test_a_url(path: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_at(Path(path))
    assert (caught.value.code, "download" in caught.value.hint) == ("source-unreadable", True)


def test_a_few_bytes_are_no_disk(tmp_path: Path) -> None:
    assert refusal(stored(tmp_path, "disk", b"\0" * 100)).code == "format-unknown"


@pytest.mark.parametrize("byte", [b"\0", b"A", b"\xff"])
def test_a_disk_may_be_filled_with_anything(tmp_path: Path, byte: bytes) -> None:
    assert open_one(stored(tmp_path, "disk", byte * 4096)).virtual_size == 4096


@pytest.mark.parametrize(
    "name", ["a,b.raw", "a'b\"c.raw", "a:b.raw", "json:{}", "a\nb.raw", "ä.raw", "\udcff.raw", " "]
)
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(RAW)
    assert open_one(path).virtual_size == len(RAW)


class TestSeveral:
    def test_are_the_disks_of_one_machine(self, tmp_path: Path) -> None:
        paths = [stored(tmp_path, f"disk{ending}", data) for ending, (_, data) in FORMATS.items()]
        source = open_at(*paths)
        assert [disk.label for disk in source.disks] == [path.name for path in paths]
        assert source.paths == tuple(paths)

    def test_are_not_the_same_file(self, tmp_path: Path) -> None:
        path, link = stored(tmp_path, "disk.raw", RAW), tmp_path / "link.raw"
        link.symlink_to("disk.raw")
        for other in (path, link):
            with pytest.raises(UsageError, match=f"{other.name}: is given twice") as caught:
                open_at(path, other)
            assert caught.value.code == "source-twice"

    def test_what_is_compressed_is_not_unpacked_for_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        packed = stored(tmp_path, "disk.raw.gz", gzip.compress(RAW))
        text = stored(tmp_path, "notes.txt", b"These are no disks.\n" * 200)
        monkeypatch.setattr(compressed, "unpack", None)
        with pytest.raises(InputError):
            open_at(packed, text)
        with pytest.raises(GuestRefusedError) as caught:
            open_and_judge([packed], Wanted(policy=Policy.AWS), work=tmp_path)
        assert caught.value.code == "container-not-in-service"
        assert len(caught.value.findings) == 1

    @pytest.mark.parametrize("order", [1, -1])
    def test_are_no_machines_themselves(self, tmp_path: Path, order: int) -> None:
        for machine in (
            stored(tmp_path, "a.ova", tar(("vm.ovf", ovf().encode()))),
            stored(tmp_path, "a.ovf", ovf().encode()),
        ):
            paths = [machine, stored(tmp_path, "disk.raw", RAW)][::order]
            with pytest.raises(UsageError) as caught:
                open_at(*paths)
            assert caught.value.code == "source-mixed"


class TestPlaces:
    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        stored(tmp_path, "disk.raw", RAW)
        (tmp_path / "link.raw").symlink_to("disk.raw")
        assert open_one(tmp_path / "link.raw").label == "link.raw"

    def test_all_that_are_not_there_are_named(self, tmp_path: Path) -> None:
        stored(tmp_path, "disk.raw", RAW)
        with pytest.raises(UsageError, match=r"one.*; .*two") as caught:
            open_at(tmp_path / "one", tmp_path / "disk.raw", tmp_path / "two")
        assert caught.value.code == "source-unreadable"

    @pytest.mark.parametrize("what", ["directory", "pipe", "dangling", "absent"])
    def test_what_is_no_file_is_a_wrong_request(self, tmp_path: Path, what: str) -> None:
        path = tmp_path / what
        if what == "directory":
            path.mkdir()
        elif what == "pipe":
            os.mkfifo(path)
        elif what == "dangling":
            path.symlink_to("nowhere")
        with pytest.raises(UsageError) as caught:
            open_at(path)
        assert caught.value.code in ("source-not-a-file", "source-unreadable")
        assert str(path) in caught.value.message


def test_the_source_is_not_touched(tmp_path: Path) -> None:
    path = stored(tmp_path, "disk.vhd", fixed_vhd(RAW))
    path.chmod(0o400)
    os.utime(path, (1, 1))
    open_one(path)
    assert path.read_bytes() == fixed_vhd(RAW)
    assert path.stat().st_mtime == 1
