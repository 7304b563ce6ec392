"""Device elements, byte by byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats.bcd_device import Device, GptPartition, parse
from converter.formats.mounted_devices import MbrPlace
from tests.unit.formats.bcd_samples import (
    BOOT,
    DISK,
    GPT_C,
    MBR_C,
    RECOVERY,
    WINRE_PATH,
    C,
    partition,
    ram_disk,
)

PLACE = MbrPlace(0xA1B2C3D4, 1 << 20)


def test_a_partition_in_a_gpt() -> None:
    assert len(GPT_C) == 88
    assert parse(GPT_C) == Device(GPT_C, partition=GptPartition(DISK, C))


def test_a_partition_on_an_mbr_disk() -> None:
    assert len(MBR_C) == 88
    assert parse(MBR_C) == Device(MBR_C, partition=PLACE)


def test_the_boot_device() -> None:
    assert parse(BOOT) == Device(BOOT, is_boot=True)


def test_a_ram_disk() -> None:
    """200 bytes, with the record of the partition at 0x44, as Windows writes it for Windows RE."""
    data = ram_disk(partition(RECOVERY))
    assert len(data) == 200
    assert data[0x44:0x8C] == partition(RECOVERY)[16:]
    assert data[0x18] == 200 - 16
    assert parse(data) == Device(data, partition=GptPartition(DISK, RECOVERY), path=WINRE_PATH)


@pytest.mark.parametrize("data", [GPT_C, MBR_C, BOOT, b"", bytes(20) + b"\xff" * 90])
def test_another_partition(data: bytes) -> None:
    assert parse(data).at(PLACE) == MBR_C


def test_additional_options_stay() -> None:
    options = b"0123456789abcdef"
    assert parse(options + GPT_C[16:]).at(PLACE) == options + MBR_C[16:]


def test_the_file_of_a_ram_disk_stays() -> None:
    before = ram_disk(partition(RECOVERY), path="\\other\\long name.wim")
    after = parse(before).at(PLACE)
    assert after == before[:0x44] + MBR_C[16:] + before[0x8C:]
    assert after == ram_disk(MBR_C, path="\\other\\long name.wim")
    assert parse(after).path == "\\other\\long name.wim"
    assert after.startswith(before[:16])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        GPT_C[:87],
        GPT_C + b"\0",
        GPT_C[:0x18] + b"\x47" + GPT_C[0x19:],
        GPT_C[:0x30] + b"\1" + GPT_C[0x31:],
        GPT_C[:0x34] + b"\2" + GPT_C[0x35:],
        GPT_C[:0x10] + b"\7" + GPT_C[0x11:],
        ram_disk(partition(C))[:-1],
        ram_disk(partition(C)).replace(b"\x48\0\0\0", b"\x49\0\0\0"),
        ram_disk(partition(C))[:0x20] + b"\5" + ram_disk(partition(C))[0x21:],
        ram_disk(partition(C), path=""),
    ],
)
def test_what_is_not_understood_names_nothing(data: bytes) -> None:
    assert parse(data) == Device(data)


@given(st.binary(max_size=250), st.integers(0, 200), st.sampled_from([GPT_C, ram_disk(GPT_C)]))
def test_any_bytes_are_read(junk: bytes, at: int, sound: bytes) -> None:
    for data in (junk, sound[:at] + junk, sound[:at] + junk[:4] + sound[at + 4 :]):
        device = parse(data)
        assert device.data == data
        moved = parse(device.at(PLACE))
        assert (moved.partition, moved.path) == (PLACE, device.path)
