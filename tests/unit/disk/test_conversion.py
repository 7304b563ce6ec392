"""Another table over the same data, after the specifications of both tables."""

from __future__ import annotations

import uuid
import zlib
from dataclasses import replace

import pytest

from converter.disk.conversion import BIOS_BOOT, Conversion, prepare
from converter.disk.table import read_table
from converter.disk.writing import gpt, mbr
from converter.errors import GuestRefusedError
from converter.model import Disk, Partition, TableType
from tests.unit.disk.core_images import core_image
from tests.unit.disk.cuts import cuts, table
from tests.unit.disk.test_boot_code import WINDOWS, grub2

SIZE = 16 << 20
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SWAP = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
ESP = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
DISK = "11111111-2222-3333-4444-555555555555"
CORE = core_image("biosdisk", "part_gpt")
CORE_SECTORS = len(CORE) // 512


def part(number: int, start: int, sectors: int, kind: str = LINUX, name: str = "") -> Partition:
    return Partition(number, start * 512, sectors * 512, kind, name, str(uuid.UUID(int=number)))


class Image:
    """A disk in memory."""

    def __init__(self, size: int = SIZE) -> None:
        self.data = bytearray(size)

    def put(self, offset: int, data: bytes) -> None:
        if len(self.data) < offset + len(data):
            self.data.extend(bytes(offset + len(data) - len(self.data)))
        self.data[offset : offset + len(data)] = data

    def read(self, offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(self.data)
        return bytes(self.data[offset : offset + length])

    def disk(self) -> Disk:
        return read_table(self.read, device="/dev/sda", size=len(self.data))

    def prepared(self, table: TableType, *, bios: bool = True) -> Conversion:
        found = prepare(self.read, self.disk(), table, bios=bios)
        assert found is not None
        return found

    def converted(self, conversion: Conversion, core: bytes) -> Disk:
        """Write what is planned, and give the disk that comes of it."""
        self.data.extend(bytes(conversion.size - len(self.data)))
        for offset, data in conversion.pieces(core):
            self.put(offset, data)
        assert len(self.data) == conversion.size
        return self.disk()


def gpt_image(*parts: Partition, core_at: int = 34, size: int = SIZE) -> Image:
    image = Image(size)
    for offset, data in gpt(parts, identifier=DISK, size=size, boot_code=grub2(core_at)):
        image.put(offset, data)
    core = bytearray(CORE)
    core[0x1F4:0x1FC] = (core_at + 1).to_bytes(8, "little")
    image.put(core_at * 512, bytes(core))
    return image


def mbr_image(*parts: Partition, size: int = SIZE, code: bytes = grub2(1)) -> Image:
    image = Image(size)
    image.put(0, mbr(parts, signature=0xDEADBEEF, boot_code=code))
    image.put(512, CORE)
    return image


def primary(number: int, start: int, sectors: int, kind: str = "83") -> Partition:
    return Partition(number, start * 512, sectors * 512, kind)


def tables_at_any_end(image: Image, conversion: Conversion, core: bytes) -> list[TableType]:
    """Give the kind of the table after every sector that is written; it is always a whole one."""
    before = bytes(image.data)
    old, new = image.disk(), image.converted(conversion, core)
    found = []
    for cut in cuts(before, conversion.pieces(core), size=conversion.size):
        disk = table(cut)
        whole = new if disk.table is new.table else old
        assert (disk.identifier, disk.partitions) == (whole.identifier, whole.partitions)
        found.append(disk.table)
    return found


GPT_PARTS = (part(1, 34, 2014, BIOS_BOOT), part(2, 2048, 4096, ESP), part(3, 6144, 8192))


class TestGptToMbr:
    def test_partitions_stay_where_they_are_with_their_numbers(self) -> None:
        image = gpt_image(*GPT_PARTS)
        image.put(2048 * 512, b"first")
        conversion = image.prepared(TableType.MBR)
        assert conversion.core == image.read(34 * 512, len(CORE))
        after = image.converted(conversion, CORE)
        assert after.table is TableType.MBR
        assert [(p.number, p.start, p.size, p.type) for p in after.partitions] == [
            (2, 2048 * 512, 4096 * 512, "ef"),
            (3, 6144 * 512, 8192 * 512, "83"),
        ]
        assert [p.active for p in after.partitions] == [False, True]
        assert [p.uuid for p in after.partitions] == [p.uuid for p in conversion.partitions]
        assert image.read(2048 * 512, 5) == b"first"
        assert after.boot_code

    def test_no_gpt_is_left(self) -> None:
        image = gpt_image(*GPT_PARTS)
        image.converted(image.prepared(TableType.MBR), CORE)
        assert bytes(image.data).count(b"EFI PART") == 0

    def test_numbers_that_an_mbr_has_not_get_free_ones(self) -> None:
        """The layout of Ubuntu's cloud images: 1, 14 (BIOS boot), 15 (ESP), 16 (/boot)."""
        image = gpt_image(
            part(1, 8192, 8192), part(14, 34, 1000, BIOS_BOOT), part(15, 2048, 2048, ESP),
            part(16, 4096, 4096),
        )  # fmt: skip
        conversion = image.prepared(TableType.MBR)
        assert conversion.numbers == {1: 1, 15: 2, 16: 3}
        assert len(image.converted(conversion, CORE).partitions) == 3

    def test_the_same_disk_gives_the_same_identifiers(self) -> None:
        first, second = (gpt_image(*GPT_PARTS).prepared(TableType.MBR) for _ in range(2))
        assert first.identifier == second.identifier
        assert int(first.identifier, 16)

    @pytest.mark.parametrize(
        ("parts", "core_at", "expected"),
        [
            (GPT_PARTS, 34, range(34 + CORE_SECTORS, 2048)),
            (GPT_PARTS, 1500, range(34, 1500)),
            (
                (part(1, 2048, 2048, BIOS_BOOT), part(2, 4096, 4096)),
                2048,
                range(2048 + CORE_SECTORS, 4096),
            ),
        ],
        ids=["behind the old one", "before the old one", "in a later partition"],
    )
    def test_core_img_goes_where_nothing_is(
        self, parts: tuple[Partition, ...], core_at: int, expected: range
    ) -> None:
        """As long as the disk has its GPT, GRUB starts from there as before."""
        conversion = gpt_image(*parts, core_at=core_at).prepared(TableType.MBR)
        start, room = conversion.core_start // 512, conversion.core_room // 512
        assert range(start, start + room) == expected

    def test_a_large_gpt_is_not_written_into(self) -> None:
        image = gpt_image(part(2, 2048, 4096), core_at=1500)
        header = bytearray(image.read(512, 512))
        header[40:48] = (200).to_bytes(8, "little")
        header[16:20] = bytes(4)
        header[16:20] = zlib.crc32(header[:92]).to_bytes(4, "little")
        image.put(512, bytes(header))
        assert image.prepared(TableType.MBR).core_start == 200 * 512

    def test_an_end_at_any_sector_leaves_one_table_whole_and_grub_starting(self) -> None:
        image = gpt_image(*GPT_PARTS)
        before, old = bytes(image.data), slice(34 * 512, 34 * 512 + len(CORE))
        conversion = image.prepared(TableType.MBR)
        assert len(set(tables_at_any_end(image, conversion, CORE))) == 2
        for cut in cuts(before, conversion.pieces(CORE), size=SIZE):
            assert table(cut).boot_code
            assert cut[old] == before[old]

    def test_without_bios_there_is_no_boot_code(self) -> None:
        image = gpt_image(part(1, 2048, 4096, ESP), part(2, 6144, 8192))
        conversion = image.prepared(TableType.MBR, bios=False)
        assert conversion.core == b""
        assert not image.converted(conversion, b"").boot_code
        assert not any(image.data[:440])

    def test_a_partition_up_to_the_end_keeps_its_end(self) -> None:
        image = gpt_image(*GPT_PARTS)
        last = GPT_PARTS[2]
        whole = replace(last, size=SIZE - last.start, type="83")
        conversion = replace(image.prepared(TableType.MBR), partitions=(whole,))
        assert [offset for offset, _ in conversion.pieces(b"")] == [0, 512]

    @pytest.mark.parametrize(
        ("image", "code"),
        [
            (gpt_image(*(part(n, 2048 * n, 2048) for n in range(1, 6))), "too-many-partitions"),
            (gpt_image(part(1, 2048, 2048), core_at=5000), ""),
        ],
    )
    def test_refusals(self, image: Image, code: str) -> None:
        if code:
            with pytest.raises(GuestRefusedError) as caught:
                image.prepared(TableType.MBR)
            assert caught.value.code == f"table-{code}"
            assert caught.value.hint
        else:
            image.prepared(TableType.MBR)

    def test_a_disk_of_more_than_2_tib(self) -> None:
        disk = replace(
            gpt_image(*GPT_PARTS).disk(),
            size=4 << 40,
            partitions=(Partition(1, 1 << 20, 3 << 40, LINUX),),
        )
        with pytest.raises(GuestRefusedError) as caught:
            prepare(gpt_image(*GPT_PARTS).read, disk, TableType.MBR, bios=False)
        assert caught.value.code == "table-too-large"


class TestMbrToGpt:
    def test_partitions_stay_and_a_bios_boot_partition_is_made(self) -> None:
        image = mbr_image(primary(1, 2048, 4096), primary(3, 8192, 4096, "82"))
        conversion = image.prepared(TableType.GPT)
        assert (conversion.core_start, conversion.core_room) == (34 * 512, (2048 - 34) * 512)
        after = image.converted(conversion, CORE)
        assert after.table is TableType.GPT
        assert [(p.number, p.start // 512, p.size // 512, p.type) for p in after.partitions] == [
            (1, 2048, 4096, LINUX),
            (2, 34, 2014, BIOS_BOOT),
            (3, 8192, 4096, SWAP),
        ]
        assert after.size == SIZE
        assert after.boot_code
        assert len({p.uuid for p in after.partitions}) == 3

    @pytest.mark.parametrize("sectors", [4096, SIZE // 512 - 2048])
    def test_an_end_at_any_sector_leaves_one_table_whole(self, sectors: int) -> None:
        image = mbr_image(primary(1, 2048, sectors))
        found = tables_at_any_end(image, image.prepared(TableType.GPT), CORE)
        assert found[-1] is TableType.GPT
        assert found[0] is found[-2] is TableType.MBR

    def test_logical_partitions_become_partitions_like_others(self) -> None:
        image = mbr_image(primary(1, 2048, 2048), primary(2, 4096, 8192, "05"))
        image.put(4096 * 512, mbr([primary(1, 64, 1000, "8e")], signature=0, boot_code=b""))
        after = image.converted(image.prepared(TableType.GPT), CORE)
        assert [(p.number, p.start // 512) for p in after.partitions] == [
            (1, 2048),
            (2, 34),
            (5, 4160),
        ]

    def test_the_disk_grows_where_the_backup_has_no_room(self) -> None:
        image = mbr_image(primary(1, 2048, SIZE // 512 - 2048))
        conversion = image.prepared(TableType.GPT)
        assert conversion.size == SIZE + (1 << 20)
        assert image.converted(conversion, CORE).partitions[0].size == SIZE - (1 << 20)

    @pytest.mark.parametrize(
        ("image", "code"),
        [
            (mbr_image(primary(1, 34, 4096)), "no-room"),
            (mbr_image(primary(1, 2048, 4096), code=WINDOWS), "bootloader"),
            (mbr_image(primary(1, 2048, 4096), code=grub2(60)), "bootloader"),
            (mbr_image(primary(1, 2048, 4096), code=grub2(1 << 40)), "bootloader"),
        ],
    )
    def test_refusals(self, image: Image, code: str) -> None:
        with pytest.raises(GuestRefusedError) as caught:
            image.prepared(TableType.GPT)
        assert caught.value.code == f"table-{code}"
        assert caught.value.hint


def test_there_and_back_is_the_same_layout() -> None:
    image = mbr_image(primary(1, 2048, 4096), primary(2, 8192, 4096, "82"))
    before = [(p.number, p.start, p.size, p.type) for p in image.disk().partitions]
    image.converted(image.prepared(TableType.GPT), CORE)
    image.converted(image.prepared(TableType.MBR), CORE)
    assert [(p.number, p.start, p.size, p.type) for p in image.disk().partitions] == before


@pytest.mark.parametrize("table", [TableType.GPT, TableType.MBR])
def test_what_is_so_already_is_left(table: TableType) -> None:
    image = gpt_image(*GPT_PARTS) if table is TableType.GPT else mbr_image(primary(1, 2048, 9))
    assert prepare(image.read, image.disk(), table, bios=True) is None


def test_a_disk_without_a_table_is_refused() -> None:
    image = Image()
    with pytest.raises(GuestRefusedError):
        prepare(image.read, image.disk(), TableType.GPT, bios=False)
