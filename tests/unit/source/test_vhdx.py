from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from converter.source.crc32c import crc32c
from tests.unit.source.build import (
    MIB,
    pattern,
    stored,
    vhdx,
    vhdx_header,
    vhdx_regions,
)
from tests.unit.source.opening import codes, damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path

BLOCK = pattern(MIB)
BROKEN = bytes(4096)
LOG = b"L" * 16


def log_entry(identifier: bytes) -> bytes:
    return struct.pack("<4sIIIQII16s", b"loge", 0, 4096, 0, 1, 0, 0, identifier)


def test_crc32c_of_the_standards_example() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4


@pytest.mark.parametrize(("flags", "subformat"), [(0, "dynamic"), (1, "fixed")])
def test_opens(tmp_path: Path, flags: int, subformat: str) -> None:
    data = vhdx({0: BLOCK, 2: BLOCK[:512]}, 2 * MIB + 512, flags=flags)
    disk = open_one(stored(tmp_path, "a.vhdx", data))
    assert (disk.subformat, disk.virtual_size) == (subformat, 2 * MIB + 512)


def test_large_blocks_with_entries_for_bitmaps_between_them(tmp_path: Path) -> None:
    # 256 MiB: after every 16 blocks comes an entry that says nothing of the disk.
    size = 40 * 256 * MIB
    data = vhdx({}, size, block=256 * MIB, table={16: 7 | 1 << 60, 33: 6 | 1 << 60})
    assert open_one(stored(tmp_path, "a.vhdx", data)).virtual_size == size
    bad = vhdx({}, size, block=256 * MIB, table={17: 6 | 1 << 60})
    assert damage(stored(tmp_path, "a.vhdx", bad)).code == "truncated"


def test_the_last_block_need_be_there_as_far_as_the_disk_goes(tmp_path: Path) -> None:
    data = vhdx({0: BLOCK, 1: BLOCK}, MIB + 512)
    open_one(stored(tmp_path, "a.vhdx", data[: -MIB + 512]))
    assert damage(stored(tmp_path, "a.vhdx", data[: -MIB + 511])).code == "truncated"


class TestHeaders:
    @pytest.mark.parametrize(
        "headers",
        [
            (BROKEN, vhdx_header(sequence=1)),
            (vhdx_header(sequence=1), BROKEN),
            (vhdx_header(sequence=9), vhdx_header(sequence=2, log=LOG)),
        ],
    )
    def test_the_newest_that_is_whole_counts(
        self, tmp_path: Path, headers: tuple[bytes, bytes]
    ) -> None:
        data = vhdx({0: BLOCK}, MIB, headers=headers, log=log_entry(LOG))
        open_one(stored(tmp_path, "a.vhdx", data))

    def test_none_is_whole(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhdx", vhdx({0: BLOCK}, MIB, headers=(BROKEN, BROKEN)))
        assert damage(path).code == "vhdx-header"

    def test_another_version(self, tmp_path: Path) -> None:
        header = vhdx_header(version=2)
        path = stored(tmp_path, "a.vhdx", vhdx({0: BLOCK}, MIB, headers=(header, header)))
        assert damage(path).code == "vhdx-version"


class TestLog:
    HEADERS = (vhdx_header(sequence=1), vhdx_header(sequence=2, log=LOG))

    def test_with_entries_is_refused(self, tmp_path: Path) -> None:
        data = vhdx({0: BLOCK}, MIB, headers=self.HEADERS, log=bytes(4096) + log_entry(LOG))
        assert refusal(stored(tmp_path, "a.vhdx", data)).code == "vhdx-log-unreplayed"

    def test_a_child_with_one_is_told_to_be_both(self, tmp_path: Path) -> None:
        log = bytes(4096) + log_entry(LOG)
        data = vhdx({0: BLOCK}, MIB, headers=self.HEADERS, log=log, flags=2, sector=4096)
        assert codes(stored(tmp_path, "a.vhdx", data)) == [
            "vhdx-log-unreplayed", "vhdx-differencing", "vhdx-sector-size"
        ]  # fmt: skip
        # What its other tables lack may be in the log.
        assert codes(stored(tmp_path, "b.vhdx", data[: 2 * MIB])) == ["vhdx-log-unreplayed"]

    @pytest.mark.parametrize("log", [b"", log_entry(b"x" * 16), b"loge"])
    def test_without_entries_of_its_own_is_nothing_to_replay(
        self, tmp_path: Path, log: bytes
    ) -> None:
        data = vhdx({0: BLOCK}, MIB, headers=self.HEADERS, log=log)
        open_one(stored(tmp_path, "a.vhdx", data))


class TestRegions:
    def test_the_copy_counts_when_the_first_is_broken(self, tmp_path: Path) -> None:
        data = vhdx({0: BLOCK}, MIB, regions=(BROKEN, vhdx_regions()))
        open_one(stored(tmp_path, "a.vhdx", data))

    def test_none_is_whole(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.vhdx", vhdx({0: BLOCK}, MIB, regions=(BROKEN, BROKEN)))
        assert damage(path).code == "vhdx-regions"

    def test_one_that_must_be_understood(self, tmp_path: Path) -> None:
        extra = uuid.uuid4().bytes_le + struct.pack("<QII", 8 * MIB, MIB, 1)
        regions = vhdx_regions(extra=extra)
        path = stored(tmp_path, "a.vhdx", vhdx({0: BLOCK}, MIB, regions=(regions, regions)))
        assert damage(path).code == "vhdx-regions"

    @pytest.mark.parametrize("bat", [(1 << 62, MIB), (3 * MIB, 0), (3 * MIB, 8)])
    def test_a_table_that_is_not_there(self, tmp_path: Path, bat: tuple[int, int]) -> None:
        regions = vhdx_regions(bat=bat)
        data = vhdx({0: BLOCK}, 2 * MIB, regions=(regions, regions))
        assert damage(stored(tmp_path, "a.vhdx", data)).code in ("truncated", "vhdx-bat")


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"items": 2}, "vhdx-metadata"),
        ({"items": 0}, "vhdx-metadata"),
        ({"block": 3 * MIB}, "vhdx-metadata"),
        ({"block": 1 << 30, "blocks": {}}, "vhdx-metadata"),
        ({"sector": 520}, "vhdx-metadata"),
        ({"table": {1: 6 | 1 << 60}}, "truncated"),
        ({"table": {1: 4}}, "vhdx-bat"),
        ({"table": {1: 7 | 8 << 20}}, "vhdx-bat"),
        ({"table": {1: 6}}, "blocks-overlap"),
        ({"table": {1: 6 | 2 << 20}}, "blocks-overlap"),
        ({"table": {1: 6 | 3 << 20}}, "blocks-overlap"),
        ({"table": {1: 6 | 4 << 20}}, "blocks-overlap"),
    ],
)
def test_damage(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    data = vhdx(**{"blocks": {0: BLOCK}, "size": 2 * MIB, **options})
    assert damage(stored(tmp_path, "a.vhdx", data)).code == code


def test_no_size(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.vhdx", vhdx({}, MIB, said=0))
    assert damage(path).code == "disk-size-zero"


@pytest.mark.parametrize("said", [1 << 63, 65 << 40])
def test_a_size_that_would_need_an_endless_table(tmp_path: Path, said: int) -> None:
    path = stored(tmp_path, "a.vhdx", vhdx({}, MIB, said=said))
    assert damage(path).code == "vhdx-metadata"


@pytest.mark.parametrize(
    ("options", "code"),
    [({"flags": 2}, "vhdx-differencing"), ({"sector": 4096}, "vhdx-sector-size")],
)
def test_refused(tmp_path: Path, options: dict[str, int], code: str) -> None:
    path = stored(tmp_path, "a.vhdx", vhdx({0: BLOCK}, MIB, **options))  # type: ignore[arg-type]
    assert refusal(path).code == code
