"""Partition tables made field by field, after the UEFI specification and the PC's MBR."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.disk.table import BackupOnlyError, CutOffError, SectorSizeError, read_table
from converter.formats import FormatError
from converter.model import Disk, TableType
from tests.unit.disk.test_boot_code import core_image, grub2

SIZE = 8 << 20
LINUX = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ESP = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
DISK_ID = uuid.UUID("11111111-2222-3333-4444-555555555555")


@dataclass
class Image:
    """A disk in memory of which most is zero."""

    size: int = SIZE
    data: bytearray = field(init=False)

    def __post_init__(self) -> None:
        self.data = bytearray(self.size)

    def put(self, offset: int, data: bytes) -> None:
        self.data[offset : offset + len(data)] = data

    def record(self, sector: int, *entries: tuple[int, int, int, int]) -> None:
        """Write a boot record; entries are of flag, type, start, length."""
        for index, (flag, kind, start, length) in enumerate(entries):
            at = sector * 512 + 446 + 16 * index
            self.put(at, struct.pack("<BBBBBBBBII", flag, 0, 0, 0, kind, 0, 0, 0, start, length))
        self.put(sector * 512 + 510, b"\x55\xaa")

    def read(self, *, sector_size: int = 512) -> Disk:
        def read(offset: int, length: int) -> bytes:
            assert offset >= 0
            assert offset + length <= self.size
            return bytes(self.data[offset : offset + length])

        return read_table(read, device="/dev/sda", size=self.size, sector_size=sector_size)


def put_grub(image: Image, sector: int) -> None:
    """Put GRUB 2's first stage into the first sector, and what it goes on with."""
    image.put(0, grub2(sector)[:440])
    image.put(sector * 512, core_image())


Part = tuple[uuid.UUID, uuid.UUID, int, int, int, str]


def gpt_image(*parts: Part, size: int = SIZE, sector: int = 512) -> Image:
    image = Image(size)
    last = size // sector - 1
    image.record(0, (0, 0xEE, 1, last))
    table = b"".join(
        struct.pack("<16s16sQQQ72s", t.bytes_le, u.bytes_le, a, z, flags, n.encode("utf-16-le"))
        for t, u, a, z, flags, n in parts
    ).ljust(128 * 128, b"\0")
    blocks = len(table) // sector
    usable = (2 + blocks, last - blocks - 1)
    for own, other, at in ((1, last, 2), (last, 1, last - blocks)):
        image.put(at * sector, table)
        image.put(own * sector, gpt_header(own=own, other=other, at=at, table=table, usable=usable))
    return image


def gpt_header(*, own: int, other: int, at: int, table: bytes, usable: tuple[int, int]) -> bytes:
    def pack(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART", 0x10000, 92, crc, 0, own, other, *usable,
            DISK_ID.bytes_le, at, 128, 128, zlib.crc32(table),
        )  # fmt: skip

    return pack(zlib.crc32(pack(0)))


ONE = (ESP, uuid.UUID(int=1), 2048, 4095, 0, "EFI System")
TWO = (LINUX, uuid.UUID(int=2), 4096, 8191, 4, "root €")


def test_an_empty_disk_has_no_table() -> None:
    disk = Image().read()
    assert disk.table is TableType.NONE
    assert disk.partitions == ()
    assert not disk.boot_code


def test_mbr_with_primaries() -> None:
    image = Image()
    put_grub(image, 1)
    image.put(440, bytes.fromhex("efbeadde"))
    image.record(0, (0x80, 0x83, 2048, 2048), (0, 0, 0, 0), (0, 0x82, 4096, 1024))
    disk = image.read()
    assert disk.table is TableType.MBR
    assert disk.identifier == "deadbeef"
    assert disk.boot_code
    first, second = disk.partitions
    assert (first.number, first.start, first.size, first.type) == (1, 1 << 20, 1 << 20, "83")
    assert first.active
    assert first.uuid == "deadbeef-01"
    assert (second.number, second.type, second.active) == (3, "82", False)
    assert second.uuid == "deadbeef-03"


def logical_image() -> Image:
    image = Image()
    image.record(0, (0, 0x83, 2048, 2048), (0, 0x05, 4096, 8192))
    image.record(4096, (0, 0x83, 64, 1000), (0, 0x05, 2000, 2000))
    image.record(6096, (0, 0x8E, 64, 1000), (0, 0x05, 5000, 2000))
    image.record(9096, (0, 0x82, 64, 1000))
    return image


def test_logical_partitions_count_from_their_own_record() -> None:
    parts = {p.number: p for p in logical_image().read().partitions}
    assert sorted(parts) == [1, 2, 5, 6, 7]
    assert parts[2].type == "05"
    assert [parts[n].start // 512 for n in (5, 6, 7)] == [4160, 6160, 9160]
    assert [parts[n].type for n in (5, 6, 7)] == ["83", "8e", "82"]


def test_an_extended_partition_that_was_never_used_is_empty() -> None:
    image = Image()
    image.record(0, (0, 0x83, 2048, 2048), (0, 0x0F, 4096, 8192))
    assert [p.number for p in image.read().partitions] == [1, 2]


def test_what_is_left_of_an_extended_partition_is_none() -> None:
    """Linux passes over entries without a length."""
    image = logical_image()
    image.record(0, (0, 0x83, 2048, 2048), (0, 0x05, 0, 0), (0, 0x05, 4096, 8192))
    assert [part.number for part in image.read().partitions] == [1, 3, 5, 6, 7]
    image.record(0, (0, 0x83, 2048, 2048), (0, 0x05, 0, 0), (0, 0, 0, 0))
    assert [part.number for part in image.read().partitions] == [1]


def test_an_endless_chain_is_refused() -> None:
    image = logical_image()
    image.record(9096, (0, 0x82, 64, 1000), (0, 0x05, 2000, 2000))
    with pytest.raises(FormatError, match="does not end"):
        image.read()


@pytest.mark.parametrize(
    ("entries", "match"),
    [
        (((0, 0x83, 2048, SIZE // 512),), "is not on the"),
        (((0, 0x83, 0, 10),), "is not on the"),
        (((0, 0x83, 2048, 2048), (0, 0x83, 3000, 2048)), "1 and 2 share space"),
        (((0, 0x05, 2048, 2048), (0, 0x05, 5000, 2048)), "more than one extended"),
        (((0, 0x05, SIZE, 2048),), "is not on the"),
    ],
)
def test_mbr_nonsense(entries: tuple[tuple[int, int, int, int], ...], match: str) -> None:
    image = Image()
    image.record(0, *entries)
    with pytest.raises(FormatError, match=match):
        image.read()


def test_a_logical_partition_outside_is_refused() -> None:
    image = Image()
    image.record(0, (0, 0x05, 4096, 1024))
    image.record(4096, (0, 0x83, 64, 2000))
    with pytest.raises(FormatError, match="not in the extended"):
        image.read()


def test_a_filesystem_without_a_table() -> None:
    image = Image()
    image.put(0, b"\xeb\x3c\x90mkfs.fat")
    image.put(54, b"FAT16   ")
    image.put(446, b"This is not a bootable disk. Insert another, press a key and try again")
    image.put(510, b"\x55\xaa")
    disk = image.read()
    assert disk.table is TableType.NONE
    assert not disk.boot_code


def test_a_table_under_the_remains_of_a_filesystem_counts() -> None:
    image = Image()
    image.put(3, b"NTFS    ")
    image.record(0, (0x80, 0x07, 2048, 2048))
    assert image.read().table is TableType.MBR


def test_gpt() -> None:
    disk = gpt_image(ONE, TWO).read()
    assert disk.table is TableType.GPT
    assert disk.identifier == str(DISK_ID)
    assert not disk.boot_code
    first, second = disk.partitions
    assert (first.number, first.start, first.size) == (1, 1 << 20, 1 << 20)
    assert first.type == str(ESP)
    assert (second.name, second.uuid, second.active) == ("root €", str(uuid.UUID(int=2)), True)
    assert not first.active


def test_gpt_with_large_sectors() -> None:
    part = (LINUX, uuid.UUID(int=3), 256, 511, 0, "root")
    disk = gpt_image(part, sector=4096).read(sector_size=4096)
    assert [(p.start, p.size) for p in disk.partitions] == [(1 << 20, 1 << 20)]


@pytest.mark.parametrize("damage", [0, 4096])
def test_a_gpt_with_other_sectors_is_told_from_damage(damage: int) -> None:
    image = gpt_image((LINUX, uuid.UUID(int=3), 256, 511, 0, "root"), sector=4096)
    image.put(damage, bytes(446))
    with pytest.raises(SectorSizeError, match="4096") as caught:
        image.read()
    assert caught.value.sector_size == 4096


@pytest.mark.parametrize("damage", [512, 512 + 16, 512 + 40, 1024, 1024 + 128])
def test_linux_does_not_look_for_the_backup_of_a_damaged_primary(damage: int) -> None:
    image = gpt_image(ONE, TWO)
    image.data[damage] ^= 0xFF
    with pytest.raises(BackupOnlyError, match="at the disk's end"):
        image.read()


def test_both_copies_damaged() -> None:
    image = gpt_image(ONE)
    image.data[512] ^= 0xFF
    image.data[SIZE - 512] ^= 0xFF
    with pytest.raises(FormatError, match="no copy is sound"):
        image.read()


def test_a_hybrid_mbr_is_a_gpt_and_may_have_boot_code() -> None:
    image = gpt_image(ONE, TWO)
    put_grub(image, 40)
    image.record(0, (0, 0xEE, 1, 2047), (0x80, 0x83, 4096, 4096))
    disk = image.read()
    assert disk.table is TableType.GPT
    assert disk.boot_code


def test_a_gpt_without_a_protective_mbr_does_not_count() -> None:
    image = gpt_image(ONE)
    image.record(0, (0x80, 0x83, 2048, 2048))
    assert image.read().table is TableType.MBR


@pytest.mark.parametrize(
    ("parts", "match"),
    [
        (((LINUX, uuid.UUID(int=1), 4096, 2048, 0, ""),), "has the sectors"),
        (((LINUX, uuid.UUID(int=1), 1, 100, 0, ""),), "has the sectors"),
        (((LINUX, uuid.UUID(int=1), 2048, SIZE, 0, ""),), "has the sectors"),
        ((ONE, (LINUX, uuid.UUID(int=1), 4000, 5000, 0, "")), "share space"),
    ],
)
def test_gpt_nonsense(parts: tuple[Part, ...], match: str) -> None:
    with pytest.raises(FormatError, match=match):
        gpt_image(*parts).read()


class TestCutOff:
    """A table for a larger disk than there is tells how large that must have been."""

    @pytest.mark.parametrize(
        "entries",
        [
            ((0x80, 0x83, 2048, 2048), (0, 0x83, 4096, SIZE // 512)),
            ((0, 0x83, SIZE // 512 + 2048, 2048),),
            ((0, 0x83, 2048, 2048), (0, 0x0F, 4096, SIZE // 512)),
        ],
    )
    def test_mbr(self, entries: tuple[tuple[int, int, int, int], ...]) -> None:
        image = Image()
        image.record(0, *entries)
        with pytest.raises(CutOffError) as caught:
            image.read()
        assert caught.value.needed == sum(entries[-1][2:]) * 512

    @pytest.mark.parametrize("size", [SIZE // 2, SIZE - 40 * 512])
    def test_gpt(self, size: int) -> None:
        image = gpt_image(ONE, TWO)
        image.size = size
        with pytest.raises(CutOffError) as caught:
            image.read()
        assert caught.value.needed == SIZE

    def test_a_gpt_that_lost_only_its_backup_is_whole(self) -> None:
        image = gpt_image(ONE, TWO)
        sound = image.read()
        image.size -= 512
        assert image.read().partitions == sound.partitions

    def test_the_backup_of_the_disk_as_it_is_does_not_count(self) -> None:
        """Of a disk that was made smaller, tools write the backup anew, and may stop there."""
        small, large = gpt_image(ONE, TWO), gpt_image(ONE, TWO, size=2 * SIZE)
        small.put(512, bytes(large.data[512:1024]))
        with pytest.raises(BackupOnlyError):
            small.read()

    def test_a_damaged_table_is_not_cut_off(self) -> None:
        image = gpt_image(ONE, TWO)
        image.data[1024] ^= 0xFF
        image.size = SIZE // 2
        image.data[512 + 16] ^= 0xFF
        with pytest.raises(FormatError) as caught:
            image.read()
        assert not isinstance(caught.value, CutOffError)


def test_a_disk_too_small_for_a_table() -> None:
    with pytest.raises(FormatError, match="are no disk"):
        read_table(lambda _offset, length: bytes(length), device="sda", size=100)


def test_a_short_read_is_an_error() -> None:
    with pytest.raises(FormatError, match="can be read"):
        read_table(lambda _offset, _length: b"", device="sda", size=SIZE)


@given(st.binary(min_size=66, max_size=66), st.integers(0, 3), st.binary(max_size=600))
def test_any_table_is_read_or_refused(entries: bytes, kind: int, header: bytes) -> None:
    image = (Image, lambda: gpt_image(ONE), logical_image, Image)[kind]()
    image.put(446 if kind in (0, 3) else 512, entries)
    image.put(510, b"\x55\xaa")
    image.put(SIZE - 512, header[:512])
    try:
        disk = image.read()
    except FormatError:
        return
    assert all(0 < p.start < p.start + p.size <= SIZE for p in disk.partitions)
