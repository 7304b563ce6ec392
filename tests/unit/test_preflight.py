"""What is told of disks before an appliance starts: each rule, alone and together with others."""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import converter.source
from converter.errors import DamagedInputError, GuestRefusedError, InputError
from converter.model import Policy, Severity, Wanted
from converter.preflight import device_name, open_and_judge, open_readable
from tests.unit.disk.test_table import ESP, LINUX, ONE, SIZE, TWO, Image, gpt_image, put_grub
from tests.unit.source.build import dynamic_vhd, fixed_vhd, ovf, qcow2, stored, tar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from converter.model import Finding

SECOND = 4096 * 512
LUKS = b"LUKS\xba\xbe\0\2"
EXT4 = (1080, b"\x53\xef")
FLAT = ovf(['<File ovf:href="a.img" ovf:id="f0"/>']).encode()
BEYOND = (0, 0x83, 4096, SIZE // 512)


def bootable(*pieces: tuple[int, bytes]) -> Image:
    """Give a disk that GRUB starts, with an Ext4 and another partition, which holds `pieces`."""
    image = Image()
    put_grub(image, 1)
    image.record(0, (0x80, 0x83, 2048, 2048), (0, 0x83, 4096, 4096))
    image.put((1 << 20) + EXT4[0], EXT4[1])
    for at, piece in pieces:
        image.put(SECOND + at, piece)
    return image


def cut_off() -> Image:
    image = bootable()
    image.record(0, (0x80, 0x83, 2048, 2048), BEYOND)
    return image


def judged(
    directory: Path, *disks: Image | bytes, wanted: Wanted | None = None, ending: str = "img"
) -> tuple[Finding, ...]:
    paths = [
        stored(directory, f"{n}.{ending}", disk if isinstance(disk, bytes) else bytes(disk.data))
        for n, disk in enumerate(disks)
    ]
    return open_and_judge(paths, wanted or Wanted(), work=directory)[1]


def codes(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    assert all(finding.hint for finding in findings if finding.severity is not Severity.INFO)
    return [(finding.severity.value, finding.code) for finding in findings]


def fault(directory: Path, *disks: Image | bytes, ending: str = "img") -> InputError:
    with pytest.raises(InputError) as caught:
        judged(directory, *disks, ending=ending)
    return caught.value


@pytest.mark.parametrize(
    ("number", "name"), [(0, "a"), (25, "z"), (26, "aa"), (51, "az"), (52, "ba"), (701, "zz")]
)
def test_disks_have_linux_names(number: int, name: str) -> None:
    assert device_name(number) == f"/dev/sd{name}"


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert judged(tmp_path, bootable()) == ()
    assert judged(tmp_path, bootable(), Image(), bootable((0, b"XFSB"))) == ()


@pytest.mark.parametrize(
    ("pieces", "by"),
    [
        (((0, LUKS),), "LUKS"),
        (((3, b"-FVE-FS-"),), "BitLocker"),
        (((8, b"\1\0"), (88, b"CS"), (172, b"\2\0\0\0")), "FileVault"),
    ],
)
def test_encryption(tmp_path: Path, pieces: tuple[tuple[int, bytes], ...], by: str) -> None:
    (finding,) = judged(tmp_path, bootable(*pieces))
    assert codes([finding]) == [("error", "encrypted-volume")]
    assert finding.message == f"0.img (/dev/sda2) is encrypted with {by}"


def test_encryption_of_all_of_a_disk_beside_the_first(tmp_path: Path) -> None:
    image = Image()
    image.put(0, LUKS)
    (finding,) = judged(tmp_path, bootable(), image)
    assert finding.message == "1.img (/dev/sdb) is encrypted with LUKS"


def test_encryption_of_a_logical_partition(tmp_path: Path) -> None:
    image = bootable()
    image.record(0, (0x80, 0x83, 2048, 2048), (0, 0x05, 4096, 4096))
    image.record(4096, (0, 0x83, 64, 2048))
    image.put((4096 + 64) * 512, LUKS)
    (finding,) = judged(tmp_path, image)
    assert finding.message == "0.img (/dev/sda5) is encrypted with LUKS"


@pytest.mark.parametrize(("ending", "made"), [("qcow2", qcow2), ("vhd", dynamic_vhd)])
def test_in_another_format(tmp_path: Path, ending: str, made: object) -> None:
    data, unit = bytes(bootable((0, LUKS)).data), 65536 if made is qcow2 else 2 << 20
    blocks = {at // unit: data[at : at + unit] for at in range(0, SIZE, unit)}
    path = stored(tmp_path, f"a.{ending}", made(blocks, SIZE))  # type: ignore[operator]
    found = open_and_judge([path], Wanted(), work=tmp_path)[1]
    assert ("error", "encrypted-volume") in codes(found)


def test_a_guest_that_is_to_stay_as_it_is_may_be_encrypted(tmp_path: Path) -> None:
    found = judged(tmp_path, bootable((0, LUKS)), wanted=Wanted(as_is=True))
    assert codes(found) == [("warning", "encrypted-volume")]


def test_dynamic_disks(tmp_path: Path) -> None:
    image = bootable()
    image.record(0, (0x80, 0x83, 2048, 2048), (0, 0x42, 4096, 4096))
    assert codes(judged(tmp_path, image)) == [("error", "dynamic-disk")]


def filesystem(kind: str, size: int) -> bytes:
    """Give a disk of half of `SIZE` with the first blocks of a filesystem of `size` bytes."""
    image = Image()
    match kind:
        case "ext4":
            image.put(1024, struct.pack("<II", 0, (size >> 12) & 0xFFFFFFFF))
            image.put(1024 + 24, struct.pack("<I", 2))
            image.put(1024 + 96, struct.pack("<I", 0x80))
            image.put(1024 + 336, struct.pack("<I", size >> 44))
            image.put(*EXT4)
        case "xfs":
            image.put(0, b"XFSB" + struct.pack(">IQ", 4096, size >> 12))
        case "btrfs":
            image.put((64 << 10) + 64, b"_BHRfS_M")
            image.put((64 << 10) + 209, struct.pack("<Q", size))
        case "ntfs":
            image.put(0, b"\xeb\x52\x90NTFS    " + struct.pack("<H", 512))
            image.put(40, struct.pack("<Q", size // 512 - 1))
        case _:
            image.put(512, b"LABELONE" + struct.pack("<QIIQ", 1, 0, 32, 0))
            image.put(512 + 64, struct.pack("<Q", size))
    return bytes(image.data[: SIZE // 2])


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "ntfs", "lvm"])
@pytest.mark.parametrize("size", [SIZE, 1 << 45])
def test_a_disk_without_a_table_that_was_cut_off(tmp_path: Path, kind: str, size: int) -> None:
    error = fault(tmp_path, bootable(), filesystem(kind, size))
    end = size - 512 if kind == "ntfs" else size  # its last sector is the copy of the first
    assert (error.code, f"has {end} bytes" in error.message) == ("truncated", True)
    assert judged(tmp_path, bootable(), filesystem(kind, SIZE // 2)) == ()


def test_a_member_of_an_array_begins_with_what_is_on_all_of_it(tmp_path: Path) -> None:
    member = bytearray(filesystem("ext4", SIZE))
    at = (len(member) - 8192) // 4096 * 4096
    member[at : at + 4] = bytes.fromhex("fc4e2ba9")  # metadata 1.0
    assert judged(tmp_path, bootable(), bytes(member)) == ()


def test_a_partition_is_no_disk(tmp_path: Path) -> None:
    (finding,) = judged(tmp_path, filesystem("ext4", SIZE // 2))
    assert codes([finding]) == [("error", "no-partitions")]
    assert "0.img (/dev/sda) has no partition table" in finding.message
    assert finding.service_message == "No valid partitions. Not a valid volume."


def test_a_table_that_counts_in_larger_sectors(tmp_path: Path) -> None:
    image = Image()
    image.record(0, (0x80, 0x83, 256, 512))
    image.put(256 * 4096 + EXT4[0], EXT4[1])
    assert codes(fault(tmp_path, image).findings) == [("error", "sector-size")]
    assert codes(fault(tmp_path, bootable(), image).findings) == [("error", "sector-size")]


def test_disks_that_cannot_be_opened_count_too(tmp_path: Path) -> None:
    bad = [b"KDMV" + bytes(4096)] * 3
    with pytest.raises(InputError) as caught:
        judged(tmp_path, bootable(), *bad, *[Image()] * 18, wanted=Wanted(policy=Policy.AWS))
    assert "too-many-disks" in {finding.code for finding in caught.value.findings}


def test_only_the_backup_of_a_gpt_is_sound(tmp_path: Path) -> None:
    image = gpt_image(ONE, TWO)
    image.put(512, bytes(512))
    error = fault(tmp_path, image)
    assert (error.code, "gdisk" in error.hint) == ("partition-table-damaged", True)


def test_an_empty_disk(tmp_path: Path) -> None:
    labelled = Image()
    labelled.record(0)
    for image in (Image(), labelled, gpt_image()):
        (finding,) = judged(tmp_path, image)
        assert finding.code == "no-partitions"
        assert finding.service_message == "No valid partitions. Not a valid volume."


def test_nothing_to_start_from(tmp_path: Path) -> None:
    data = gpt_image((LINUX, TWO[1], *TWO[2:]))
    (finding,) = judged(tmp_path, data)
    assert codes([finding]) == [("error", "no-bootable-partition")]
    assert finding.service_message == "Client.Unsupported: No bootable partition found"


def test_an_efi_system_partition_may_hold_a_loader(tmp_path: Path) -> None:
    image = gpt_image(ONE, TWO)
    assert ONE[0] == ESP
    image.put((1 << 20) + 82, b"FAT32   ")
    assert judged(tmp_path, image) == ()


class TestTables:
    """Tables that make no sense, and those of a larger disk."""

    @pytest.mark.parametrize("place", [0, 1])
    def test_a_raw_file_that_was_cut_off_is_damage(self, place: int, tmp_path: Path) -> None:
        disks = [bootable(), bootable()]
        disks[place] = cut_off()
        error = fault(tmp_path, *disks)
        assert isinstance(error, DamagedInputError)
        assert error.code == "truncated"
        assert f"{place}.img: ends at byte {SIZE}" in error.message
        assert str(sum(BEYOND[2:]) * 512) in error.message

    @pytest.mark.parametrize("place", [0, 1])
    def test_of_other_sectors_are_refused(self, place: int, tmp_path: Path) -> None:
        disks = [bootable(), bootable()]
        disks[place] = gpt_image((LINUX, TWO[1], 256, 511, 0, "root"), sector=4096)
        error = fault(tmp_path, *disks)
        assert (error.exit_code, error.code) == (3, "sector-size")
        assert f"{place}.img" in error.message

    def test_a_disk_that_says_its_size_was_not_cut_off(self, tmp_path: Path) -> None:
        first, second = fixed_vhd(bytes(bootable().data)), fixed_vhd(bytes(cut_off().data))
        found = judged(tmp_path, first, second, ending="vhd")
        assert codes(found) == [("warning", "partition-table-unreadable")]
        assert fault(tmp_path, second, ending="vhd").code == "partition-table-damaged"

    def test_only_that_of_the_first_disk_must_make_sense(self, tmp_path: Path) -> None:
        broken = bootable()
        broken.record(0, (0x80, 0x83, 2048, 4096), (0, 0x83, 4096, 4096))
        found = judged(tmp_path, bootable(), broken)
        assert codes(found) == [("warning", "partition-table-unreadable")]
        assert "/dev/sdb" in found[0].message
        error = fault(tmp_path, broken, bootable())
        assert (error.exit_code, error.code) == (4, "partition-table-damaged")


class TestReadable:
    """What an inspection needs, which judges nothing."""

    def test_what_is_sound_or_refused_by_a_rule(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.img", bytes(bootable((0, LUKS)).data))
        assert open_readable([path], work=tmp_path).disks

    def test_what_cannot_be_read(self, tmp_path: Path) -> None:
        sectors = gpt_image((LINUX, TWO[1], 256, 511, 0, "root"), sector=4096)
        for disk, code in ((cut_off(), "truncated"), (sectors, "sector-size")):
            path = stored(tmp_path, f"{code}.img", bytes(disk.data))
            with pytest.raises(InputError) as caught:
                open_readable([path], work=tmp_path)
            assert caught.value.code == code


def test_an_answer_file_that_is_none(tmp_path: Path) -> None:
    wanted = Wanted(unattend=b"<?xml version='1.0' encoding='foo'?><x/>")
    assert codes(judged(tmp_path, bootable(), wanted=wanted)) == [("error", "answer-file-invalid")]
    assert judged(tmp_path, bootable(), wanted=replace(wanted, as_is=True)) == ()


def test_damage_does_not_hide_what_else_is_wrong(tmp_path: Path) -> None:
    paths = [
        stored(tmp_path, "a.qcow2", qcow2({0: bytes(65536)}, SIZE)[:-1]),
        stored(tmp_path, "b.img", bytes(bootable((0, LUKS)).data)),
        stored(tmp_path, "c.img", bytes(cut_off().data)),
        stored(tmp_path, "d.qcow2", qcow2({}, SIZE, backing=1)),
    ]
    with pytest.raises(DamagedInputError) as caught:
        open_and_judge(paths, Wanted(policy=Policy.AWS), work=tmp_path)
    assert codes(caught.value.findings) == [
        ("error", "truncated"),
        ("error", "foreign-file"),
        ("error", "truncated"),
        ("error", "container-not-in-service"),
        ("error", "encrypted-volume"),
    ]
    # The first disk keeps its name, though it cannot be opened.
    assert "/dev/sdb2" in caught.value.findings[-1].message


def test_a_missing_chunk_does_not_hide_that_there_are_chunks(tmp_path: Path) -> None:
    cut = '<File ovf:href="a.vmdk" ovf:id="f0" ovf:size="1024" ovf:chunkSize="512"/>'
    members = (("vm.ovf", ovf([cut]).encode()), ("a.vmdk.000000000", bytes(512)))
    path = stored(tmp_path, "vm.ova", tar(*members))
    with pytest.raises(DamagedInputError) as caught:
        open_and_judge([path], Wanted(policy=Policy.AWS), work=tmp_path)
    assert codes(caught.value.findings) == [
        ("error", "member-missing"), ("error", "ova-chunked-disk")
    ]  # fmt: skip


class TestManifest:
    """What is refused is so at once: whole files are not read for it, unless they are small."""

    def machine(self, directory: Path, disk: Image) -> Path:
        manifest = f"SHA256(a.img)= {0:064x}\n".encode()
        members = (("vm.ovf", FLAT), ("vm.mf", manifest), ("a.img", bytes(disk.data)))
        return stored(directory, "a.ova", tar(*members))

    def fault(self, directory: Path, disk: Image) -> InputError:
        with pytest.raises(InputError) as caught:
            open_and_judge([self.machine(directory, disk)], Wanted(), work=directory)
        return caught.value

    def test_of_what_is_sound(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(converter.source, "_QUICK", 0)
        assert self.fault(tmp_path, bootable()).code == "ova-manifest-mismatch"

    def test_of_a_small_machine_all_is_told(self, tmp_path: Path) -> None:
        found = self.fault(tmp_path, bootable((0, LUKS))).findings
        assert {finding.code for finding in found} == {"ova-manifest-mismatch", "encrypted-volume"}
        found = self.fault(tmp_path, cut_off()).findings
        assert {finding.code for finding in found} == {"ova-manifest-mismatch", "truncated"}

    def test_of_a_large_one_not(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(converter.source, "_QUICK", 0)
        path = self.machine(tmp_path, bootable((0, LUKS)))
        found = open_and_judge([path], Wanted(), work=tmp_path)[1]
        assert codes(found) == [("error", "encrypted-volume")]
        assert [item.code for item in self.fault(tmp_path, cut_off()).findings] == ["truncated"]


def test_refusals_stay_refusals(tmp_path: Path) -> None:
    first = stored(tmp_path, "a.img", bytes(bootable((0, LUKS)).data))
    second = stored(tmp_path, "b.qcow2", qcow2({}, SIZE, backing=1))
    with pytest.raises(GuestRefusedError) as caught:
        open_and_judge([first, second], Wanted(), work=tmp_path)
    assert codes(caught.value.findings) == [
        ("error", "foreign-file"),
        ("error", "encrypted-volume"),
    ]
