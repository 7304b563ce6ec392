from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.source.build import pattern, qcow2, stored
from tests.unit.source.opening import codes, damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = 65536
DATA = pattern(CLUSTER)
EXTENDED = 16


@pytest.mark.parametrize("version", [2, 3])
def test_opens(tmp_path: Path, version: int) -> None:
    data = qcow2({0: DATA, 3: DATA}, 10 * CLUSTER, version=version)
    disk = open_one(stored(tmp_path, "a.qcow2", data))
    assert (disk.subformat, disk.virtual_size) == (f"version {version}", 10 * CLUSTER)


def test_the_last_cluster_need_be_there_as_far_as_the_disk_goes(tmp_path: Path) -> None:
    data = qcow2({0: DATA, 1: DATA}, CLUSTER + 512)
    open_one(stored(tmp_path, "a.qcow2", data[: -CLUSTER + 512]))
    assert damage(stored(tmp_path, "a.qcow2", data[: -CLUSTER + 511])).code == "truncated"


def test_no_other_cluster_may_lack_anything(tmp_path: Path) -> None:
    data = qcow2({0: DATA, 1: DATA}, 10 * CLUSTER)
    assert damage(stored(tmp_path, "a.qcow2", data[:-1])).code == "truncated"


class TestExtended:
    """Extended L2 entries: 32 subclusters of 2 KiB each, the last of which may end the file."""

    def test_opens(self, tmp_path: Path) -> None:
        data = qcow2({0: DATA, 1: DATA}, 10 * CLUSTER, features=EXTENDED)
        open_one(stored(tmp_path, "a.qcow2", data))

    def test_only_allocated_subclusters_are_needed(self, tmp_path: Path) -> None:
        table = {0: (5 * CLUSTER | 1 << 63, 0x5)}
        data = qcow2({0: DATA}, 10 * CLUSTER, features=EXTENDED, table=table)
        open_one(stored(tmp_path, "a.qcow2", data[: -CLUSTER + 3 * 2048]))
        path = stored(tmp_path, "a.qcow2", data[: -CLUSTER + 3 * 2048 - 1])
        assert damage(path).code == "truncated"


class TestCompressed:
    """Descriptor of 64 KiB clusters: offset in bits 0-53, further sectors in bits 54-61."""

    @pytest.mark.parametrize(("sectors", "fits"), [(0, True), (3, True), (4, False)])
    def test_needs_all_its_sectors(self, tmp_path: Path, sectors: int, fits: bool) -> None:  # noqa: FBT001
        entry = 1 << 62 | sectors << 54 | (5 * CLUSTER + 100)
        data = qcow2({0: DATA[:2048]}, 10 * CLUSTER, table={0: (entry,)})
        path = stored(tmp_path, "a.qcow2", data[: 5 * CLUSTER + 2048])
        if fits:
            open_one(path)
        else:
            assert damage(path).code == "truncated"


@pytest.mark.parametrize("copied", [0, 1 << 63])
@pytest.mark.parametrize("place", [5, 6, 1 << 30])
def test_no_plain_cluster_lies_beyond_the_end(tmp_path: Path, copied: int, place: int) -> None:
    # Beside other entries, smaller and greater as numbers.
    table = {1: (place * CLUSTER | copied,), 2: (5 * CLUSTER,), 3: (5 * CLUSTER | 1 << 63,)}
    path = stored(tmp_path, "a.qcow2", qcow2({0: DATA}, 10 * CLUSTER, table=table))
    if place == 5:
        open_one(path)
    else:
        assert damage(path).code == "truncated"


def test_a_cluster_of_zeros_needs_no_data(tmp_path: Path) -> None:
    open_one(stored(tmp_path, "a.qcow2", qcow2({}, CLUSTER, table={0: (1 << 40 | 1,)})))


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"backing": 512}, "foreign-file"),
        ({"features": 4}, "foreign-file"),
        ({"crypt": 1}, "encrypted-disk"),
        ({"crypt": 2}, "encrypted-disk"),
        ({"version": 1}, "format-unknown"),
    ],
)
def test_refused(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    assert refusal(stored(tmp_path, "a.qcow2", qcow2({}, CLUSTER, **options))).code == code


@pytest.mark.parametrize("version", [2, 3])
def test_a_backing_file_is_named(tmp_path: Path, version: int) -> None:
    data = bytearray(qcow2({}, CLUSTER, version=version, backing=512))
    for place, length, name in (
        (512, 11, "/etc/shadow"),
        (512, 1 << 31, "/etc/shadow"),
        (len(data) - 5, 11, "tc/sh"),
        (1 << 60, 11, ""),
    ):
        data[8:20] = struct.pack(">QI", place, length)
        changed = data + b""
        if place < len(data):
            changed[place : place + len(name)] = name.encode()
        error = refusal(stored(tmp_path, "a.qcow2", bytes(changed[: len(data)])))
        assert (error.code, name in error.message) == ("foreign-file", True)


@pytest.mark.parametrize("before", [b"", struct.pack(">II", 0x6803F857, 3) + bytes(8)])
@pytest.mark.parametrize("is_told", [False, True])
def test_an_external_data_file_is_named(tmp_path: Path, before: bytes, *, is_told: bool) -> None:
    data = bytearray(qcow2({}, CLUSTER, features=4))
    name = b"/etc/shadow"
    told = struct.pack(">II", 0x44415441, len(name)) + name if is_told else b""
    data[104 : 104 + len(before + told)] = before + told
    error = refusal(stored(tmp_path, "a.qcow2", bytes(data)))
    assert (error.code, "/etc/shadow" in error.message) == ("foreign-file", is_told)


@pytest.mark.parametrize(("length", "kind"), [(5, 0), (1 << 30, 0), (112, 2), (112, 255)])
def test_a_header_that_cannot_be(tmp_path: Path, length: int, kind: int) -> None:
    data = bytearray(qcow2({}, CLUSTER, features=8 if kind else 0))
    data[100:105] = struct.pack(">IB", length, kind)
    code = "qcow2-features" if kind else "qcow2-header"
    assert damage(stored(tmp_path, "a.qcow2", bytes(data))).code == code


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"version": 4}, "qcow2-version"),
        ({"features": 1}, "qcow2-dirty"),
        ({"features": 2}, "qcow2-corrupt"),
        ({"features": 1 << 40}, "qcow2-features"),
        ({"size": 0}, "disk-size-zero"),
        ({"size": 1 << 60}, "qcow2-header"),
        ({"l1_entries": 1 << 31}, "qcow2-header"),
        ({"l1": [1 << 50]}, "truncated"),
        ({"l1": [4 * CLUSTER] * 2, "size": 1 << 30}, "qcow2-table"),
        ({"l1": [4 * CLUSTER, 4 * CLUSTER + 512], "size": 1 << 30}, "qcow2-table"),
        ({"table": {0: (1 << 50,)}}, "truncated"),
        ({"table": {0: (4 * CLUSTER + 512,)}}, "qcow2-table"),
        ({"table": {0: (4 * CLUSTER + 512 | 1,)}}, "qcow2-table"),
        ({"table": {0: (1,)}, "version": 2}, "qcow2-table"),
        ({"table": {0: (0, 1)}, "features": EXTENDED}, "qcow2-table"),
        ({"table": {0: (4 * CLUSTER, 1 | 1 << 32)}, "features": EXTENDED}, "qcow2-table"),
        ({"table": {0: (4 * CLUSTER + 2048, 1)}, "features": EXTENDED}, "qcow2-table"),
    ],
)
def test_damage(tmp_path: Path, options: dict[str, Any], code: str) -> None:
    data = qcow2({}, **{"size": CLUSTER, **options})
    assert damage(stored(tmp_path, "a.qcow2", data)).code == code


@pytest.mark.parametrize("features", [0, EXTENDED])
def test_no_cluster_is_there_over_and_over(tmp_path: Path, features: int) -> None:
    """A small file would be a disk of terabytes that are not zero."""
    entry = (5 * CLUSTER | 1 << 63, 0xFFFFFFFF)[: 2 if features else 1]
    table = dict.fromkeys(range(1, 20), entry)
    data = qcow2({0: b"x"}, 20 * CLUSTER, table=table, features=features)
    assert damage(stored(tmp_path, "a.qcow2", data)).code == "blocks-overlap"


def test_everything_that_keeps_it_from_being_whole_is_told(tmp_path: Path) -> None:
    data = bytearray(qcow2({}, CLUSTER, features=4, crypt=2))
    data[8:20] = struct.pack(">QI", 104, 4)
    assert codes(stored(tmp_path, "a.qcow2", bytes(data))) == [
        "foreign-file", "foreign-file", "encrypted-disk"
    ]  # fmt: skip


def test_what_an_entry_beyond_the_disk_says_means_nothing(tmp_path: Path) -> None:
    open_one(stored(tmp_path, "a.qcow2", qcow2({}, CLUSTER, table={1: (4 * CLUSTER + 512,)})))


@pytest.mark.parametrize("bits", [0, 8, 22, 0xFFFFFFFF])
def test_clusters_of_no_size(tmp_path: Path, bits: int) -> None:
    data = bytearray(qcow2({}, CLUSTER))
    data[20:24] = bits.to_bytes(4, "big")
    path = stored(tmp_path, "a.qcow2", bytes(data))
    tracemalloc.start()
    try:
        assert damage(path).code == "qcow2-header"
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
