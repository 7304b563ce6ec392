"""GPT to MBR for Windows: the conditions, the result, and an end at any sector."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.disk.boot_code import CHAIN
from converter.disk.ntfs_boot import parse
from converter.disk.windows_conversion import WindowsConversion, prepare_windows
from converter.disk.windows_mbr import CODE
from converter.disk.writing import mbr
from converter.errors import GuestRefusedError
from converter.formats.mounted_devices import MbrPlace
from converter.model import Disk, Partition, TableType
from tests.unit.disk.cuts import cuts, table
from tests.unit.disk.ntfs_samples import (
    DATA,
    LAYOUT,
    MSR,
    RECOVERY,
    format_ntfs,
    part,
    put,
    windows_disk,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

WINDOWS = LAYOUT[2]
LDM_DATA = "af9b60a0-1431-4f62-bc68-3311714a69ad"
LDM_METADATA = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
SPACES = "e75caf8f-f680-4cee-afa3-b001e56efc2d"


def prepared(
    data: bytearray, *, disk: Disk | None = None, system: Partition = WINDOWS
) -> WindowsConversion:
    def read(offset: int, length: int) -> bytes:
        assert 0 <= offset <= offset + length <= len(data)
        return bytes(data[offset : offset + length])

    found = prepare_windows(read, disk or table(data), system=system)
    assert found is not None
    return found


def refused(
    data: bytearray, *, disk: Disk | None = None, system: Partition = WINDOWS
) -> GuestRefusedError:
    with pytest.raises(GuestRefusedError) as caught:
        prepared(data, disk=disk, system=system)
    assert caught.value.hint
    return caught.value


def converted(data: bytearray, conversion: WindowsConversion) -> bytearray:
    made = bytearray(data)
    for offset, piece in conversion.pieces:
        put(made, offset, piece)
    assert len(made) == len(data)
    return made


def test_the_result_is_an_mbr_that_a_bios_starts() -> None:
    data = windows_disk()
    conversion = prepared(data)
    after = table(converted(data, conversion))
    assert after.table is TableType.MBR
    assert [(p.number, p.type, p.active) for p in after.partitions] == [
        (3, "07", True),
        (4, "27", False),
    ]
    assert [(p.start, p.size) for p in after.partitions] == [(p.start, p.size) for p in LAYOUT[2:]]
    assert after.partitions == conversion.partitions
    assert after.identifier == conversion.identifier
    assert (after.boot_code, after.loader) == (True, CHAIN)


def test_nothing_else_is_written() -> None:
    """Not the EFI system partition's sectors either, and of the volume one field alone."""
    data = windows_disk()
    made = converted(data, prepared(data))
    assert made[:440] == CODE
    assert not any(made[512 : 34 * 512])
    assert not any(made[-33 * 512 :])
    for at in (WINDOWS.start, WINDOWS.start + WINDOWS.size - 512):
        assert parse(bytes(made[at : at + 512])).hidden == WINDOWS.start // 512
        made[at + 0x1C : at + 0x20] = bytes(4)
    assert made[34 * 512 : -33 * 512] == data[34 * 512 : -33 * 512]


def test_the_same_disk_gives_the_same_signature() -> None:
    first, second = (prepared(windows_disk()) for _ in range(2))
    assert first == second
    assert int(first.identifier, 16)


def test_what_windows_calls_its_partitions_afterwards() -> None:
    conversion = prepared(windows_disk())
    signature = int(conversion.identifier, 16)
    assert conversion.places == {
        uuid.UUID(LAYOUT[2].uuid): MbrPlace(signature, 320 * 512),
        uuid.UUID(LAYOUT[3].uuid): MbrPlace(signature, 576 * 512),
    }
    assert conversion.place(conversion.system) == MbrPlace(signature, 320 * 512)


def test_an_end_at_any_sector_leaves_one_table_whole() -> None:
    """Until the first sector is written it starts by UEFI as before, from then on by BIOS."""
    data = windows_disk()
    conversion = prepared(data)
    old = table(data)
    new = table(converted(data, conversion))
    assert not old.boot_code
    seen = []
    for cut in cuts(bytes(data), conversion.pieces, size=len(data)):
        found = table(cut)
        assert found in (old, new)
        assert cut[64 * 512 : 264 * 512] == data[64 * 512 : 264 * 512]  # the loader for UEFI
        seen.append(found.table)
    count = seen.index(TableType.MBR)
    assert count == 3  # as it was, and two boot sectors
    assert seen[count:].index(TableType.GPT) == 1 + 33 + 33


def test_until_the_first_sector_only_the_volume_is_touched() -> None:
    """No reader of a GPT, however strict, can see the beginning of the conversion."""
    offsets = [offset for offset, _ in prepared(windows_disk()).pieces]
    first = offsets.index(0)
    inside = range(WINDOWS.start, WINDOWS.start + WINDOWS.size)
    assert all(offset in inside for offset in offsets[:first])
    assert not any(offset in inside for offset in offsets[first:])


def test_partitions_above_4_get_numbers_that_are_free() -> None:
    parts = (*LAYOUT[:2], part(5, 320, 128), part(6, 448, 128), part(7, 576, 64, RECOVERY))
    conversion = prepared(windows_disk(parts), system=parts[2])
    assert [p.number for p in conversion.partitions] == [1, 2, 3]
    assert conversion.system.start == parts[2].start


def test_another_partition_may_be_the_one_that_starts() -> None:
    parts = (*LAYOUT[:2], part(3, 320, 128), part(4, 448, 192))
    after = prepared(windows_disk(parts), system=parts[3])
    assert [p.active for p in after.partitions] == [False, True]


def with_data(count: int, *more: Partition) -> tuple[Partition, ...]:
    return (*(part(n + 1, 64 + 64 * n, 64) for n in range(count)), *more)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        (with_data(2, part(3, 320, 64), part(4, 400, 8)), "too-many-partitions"),
        (
            with_data(2, part(3, 320, 64), *(part(n, 32 * n + 300, 8, RECOVERY) for n in (4, 5))),
            "too-many-partitions",
        ),
        ((*LAYOUT[:3], part(4, 576, 64, SPACES)), "foreign"),
        ((*LAYOUT[:3], part(4, 576, 64, LDM_METADATA)), "dynamic"),
        ((*LAYOUT[:2], part(3, 320, 256, LDM_DATA)), "dynamic"),
        ((LAYOUT[0], part(3, 320, 256, MSR)), "system"),
    ],
)
def test_layouts_that_an_mbr_cannot_have(parts: Sequence[Partition], code: str) -> None:
    assert refused(windows_disk(parts)).code == f"table-{code}"


def test_three_with_data_and_a_recovery_partition_are_the_most() -> None:
    parts = with_data(2, part(3, 320, 64), part(4, 400, 8, RECOVERY), part(5, 420, 8, MSR))
    assert len(prepared(windows_disk(parts), system=parts[2]).partitions) == 4


@pytest.mark.parametrize("size", [2 << 40, (2 << 40) + 512])
def test_2_tib_are_the_most(size: int) -> None:
    data = windows_disk()
    disk = replace(table(data), size=size)
    if size == 2 << 40:
        assert prepared(data, disk=disk).pieces[-1][0] == size - 33 * 512
    else:
        assert refused(data, disk=disk).code == "table-too-large"


@pytest.mark.parametrize("content", [b"", bytes(1024), b"\xeb\x58\x90MSDOS5.0".ljust(1024, b"\1")])
def test_a_volume_without_windows_boot_code(content: bytes) -> None:
    data = windows_disk()
    if content:
        put(data, WINDOWS.start, content)
    else:
        put(data, WINDOWS.start + 512, bytes(512))  # as mkntfs leaves it
        format_ntfs(data, WINDOWS, windows=False)
    error = refused(data)
    assert error.code == "table-boot-record"
    assert "partition 3" in error.message


def test_disks_without_a_gpt() -> None:
    data = bytearray(1 << 19)
    assert refused(data).code == "table-none"
    kept = [Partition(1, 320 * 512, 256 * 512, "07", active=True)]
    put(data, 0, mbr(kept, signature=1, boot_code=CODE))
    assert prepare_windows(lambda *_: b"", table(data), system=kept[0]) is None


def test_types_are_read_in_any_case() -> None:
    data = windows_disk()
    disk = table(data)
    upper = tuple(replace(p, type=p.type.upper()) for p in disk.partitions)
    assert {p.type for p in upper} >= {DATA.upper()}
    assert len(prepared(data, disk=replace(disk, partitions=upper)).partitions) == 2
