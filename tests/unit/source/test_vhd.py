from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.source.build import MIB, dynamic_vhd, fixed_vhd, pattern, stored, vhd_footer
from tests.unit.source.opening import damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = pattern(2 * MIB)


class TestFixed:
    @pytest.mark.parametrize("footer", [512, 511])
    def test_opens(self, tmp_path: Path, footer: int) -> None:
        disk = open_one(stored(tmp_path, "a.vhd", fixed_vhd(pattern(1024 * 9), footer=footer)))
        assert (disk.subformat, disk.virtual_size) == ("fixed", 1024 * 9)

    def test_is_known_whatever_its_name(self, tmp_path: Path) -> None:
        assert open_one(stored(tmp_path, "a.img", fixed_vhd(pattern(MIB)))).subformat == "fixed"

    @pytest.mark.parametrize("kept", [-512, -1024, 512])
    def test_without_its_footer_it_was_cut_off(self, tmp_path: Path, kept: int) -> None:
        """It begins like a disk, not like text."""
        error = damage(stored(tmp_path, "a.vhd", b"\xfa" + fixed_vhd(pattern(MIB))[1:kept]))
        assert error.code == "vhd-footers-differ"
        assert error.hint.startswith("copy it or export it again")

    def test_zeros_behind_it_are_told_from_an_end_that_is_missing(self, tmp_path: Path) -> None:
        for data in (fixed_vhd(pattern(MIB)), dynamic_vhd({0: BLOCK}, 2 * MIB)):
            error = damage(stored(tmp_path, "a.vhd", data + bytes(MIB)))
            assert (error.code, f"{MIB} zeros" in error.message) == ("vhd-footers-differ", True)
            assert f"truncate -s {len(data)} " in error.hint

    def test_one_that_qemu_does_not_open(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhd", dynamic_vhd({}, 2041 << 30))
        error = refusal(path)
        assert (error.code, "VHDX" in error.hint) == ("disk-too-large", True)

    def test_data_missing_before_the_footer(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhd", fixed_vhd(pattern(MIB))[512:])
        assert damage(path).code == "truncated"

    def test_every_bit_of_the_footer_counts(self, tmp_path: Path) -> None:
        data = bytearray(fixed_vhd(pattern(MIB)))
        data[-300] ^= 1
        assert damage(stored(tmp_path, "a.vhd", bytes(data))).code == "vhd-checksum"

    def test_no_size(self, tmp_path: Path) -> None:
        assert damage(stored(tmp_path, "a.vhd", fixed_vhd(b""))).code == "disk-size-zero"

    def test_no_whole_sectors(self, tmp_path: Path) -> None:
        assert damage(stored(tmp_path, "a.vhd", fixed_vhd(pattern(700)))).code == "vhd-header"

    def test_an_unknown_type(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhd", fixed_vhd(pattern(1024), kind=6))
        assert damage(path).code == "vhd-type"


class TestDynamic:
    @pytest.mark.parametrize("footer", [512, 511])
    def test_opens(self, tmp_path: Path, footer: int) -> None:
        data = dynamic_vhd({0: BLOCK, 2: BLOCK}, 5 * MIB + 512, footer=footer)
        disk = open_one(stored(tmp_path, "a.vhd", data))
        assert (disk.subformat, disk.virtual_size) == ("dynamic", 5 * MIB + 512)

    def test_a_table_longer_than_the_disk(self, tmp_path: Path) -> None:
        open_one(stored(tmp_path, "a.vhd", dynamic_vhd({0: BLOCK}, 2 * MIB, entries=1000)))

    def test_a_differencing_disk_is_refused(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhd", dynamic_vhd({0: BLOCK}, 2 * MIB, kind=4))
        assert refusal(path).code == "vhd-differencing"

    @pytest.mark.parametrize("cut", [512, 1024, 3 * MIB])
    def test_cut_off(self, tmp_path: Path, cut: int) -> None:
        data = dynamic_vhd({0: BLOCK, 1: BLOCK}, 4 * MIB)
        error = damage(stored(tmp_path, "a.vhd", data[:-cut]))
        assert error.code == "vhd-footers-differ"
        assert error.findings[0].service_message == "Footers not identical"

    def test_footers_that_differ(self, tmp_path: Path) -> None:
        data = bytearray(dynamic_vhd({0: BLOCK}, 2 * MIB))
        data[40] ^= 1
        error = damage(stored(tmp_path, "a.vhd", bytes(data)))
        assert error.code == "vhd-footers-differ"
        assert error.findings[0].service_message == "Footers not identical"

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            ({"table": {1: 0xFFFFFFF0}}, "truncated"),
            ({"table": {1: 0}}, "blocks-overlap"),
            ({"table": {1: 2}}, "blocks-overlap"),
            ({"table": {1: 4}}, "blocks-overlap"),
            ({"table": {1: 5}}, "blocks-overlap"),
            ({"block": 3 << 20}, "vhd-header"),
            # Of their bitmaps QEMU has another notion.
            *(({"block": block, "size": 16384}, "vhd-header") for block in (512, 1024, 2048)),
            ({"block": 1 << 30, "blocks": {}}, "vhd-header"),
            ({"entries": 1}, "vhd-header"),
        ],
    )
    def test_headers_and_tables_that_are_none(
        self, tmp_path: Path, options: dict[str, Any], code: str
    ) -> None:
        data = dynamic_vhd(**{"blocks": {0: BLOCK}, "size": 4 * MIB, **options})
        assert damage(stored(tmp_path, "a.vhd", data)).code == code

    def test_a_header_somewhere_else(self, tmp_path: Path) -> None:
        data = vhd_footer(MIB, 3, header=1 << 60)
        assert damage(stored(tmp_path, "a.vhd", data * 2)).code == "truncated"

    def test_the_header_is_checked(self, tmp_path: Path) -> None:
        data = bytearray(dynamic_vhd({0: BLOCK}, 2 * MIB))
        data[512 + 28 : 512 + 32] = struct.pack(">I", 5)
        assert damage(stored(tmp_path, "a.vhd", bytes(data))).code == "vhd-checksum"
