from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import os
import shutil
import struct
import tracemalloc
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import zstandard

from converter.errors import HostError
from converter.source import compressed, open_source, survey
from tests.unit.source.build import (
    GRAIN,
    descriptor,
    ovf,
    pattern,
    qcow2,
    sparse_vmdk,
    stored,
    tar,
)
from tests.unit.source.opening import damage, open_one, refusal

if TYPE_CHECKING:
    from pathlib import Path


def never(*_: object) -> None:
    raise AssertionError("it is unpacked")


RAW = pattern(100_000) + bytes(300_000) + pattern(50_112, seed=2)
COMPRESSORS: dict[str, Any] = {
    ".gz": gzip.compress,
    ".xz": partial(lzma.compress, preset=0),
    ".zst": zstandard.compress,
    ".bz2": bz2.compress,
}
endings = pytest.mark.parametrize("ending", COMPRESSORS)
SKIPPABLE = struct.pack("<II", 0x184D2A50, 4) + b"skip"


def unpacked(path: Path, work: Path) -> bytes:
    work.mkdir()
    [disk] = open_source([path], work=work).disks
    assert disk.file.length == disk.virtual_size
    return disk.file.path.read_bytes()


@pytest.mark.parametrize("ending", [".bz2", ".xz", ".gz"])
def test_much_of_little_is_held_in_pieces(tmp_path: Path, ending: str) -> None:
    size = 64 << 20
    path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](bytes(size)))
    work = tmp_path / "work"
    work.mkdir()
    tracemalloc.start()
    try:
        [disk] = open_source([path], work=work).disks
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()
    assert disk.virtual_size == size


@endings
class TestEveryKind:
    def test_reads_back(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](RAW))
        assert unpacked(path, tmp_path / "work") == RAW

    def test_several_streams_are_one(self, tmp_path: Path, ending: str) -> None:
        parts = [COMPRESSORS[ending](part) for part in (RAW[:1000], b"", RAW[1000:])]
        path = stored(tmp_path, f"a.img{ending}", b"".join(parts))
        assert unpacked(path, tmp_path / "work") == RAW

    def test_zeros_after_it_mean_nothing(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](RAW) + bytes(10_000))
        assert unpacked(path, tmp_path / "work") == RAW

    def test_junk_after_it_is_damage(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](RAW) + b"<html>error</html>")
        assert damage(path).code == "compression-damaged"

    @pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9, 0.999])
    def test_cut_off(self, tmp_path: Path, ending: str, fraction: float) -> None:
        packed = COMPRESSORS[ending](RAW)
        path = stored(tmp_path, f"a.img{ending}", packed[: int(len(packed) * fraction)])
        assert damage(path).code == "compression-damaged"

    def test_cut_off_in_a_later_stream(self, tmp_path: Path, ending: str) -> None:
        first, second = COMPRESSORS[ending](RAW[:1000]), COMPRESSORS[ending](RAW[1000:])
        for length in (3, 8, len(second) // 2, len(second) - 1):
            path = stored(tmp_path, f"a.img{ending}", first + second[:length])
            assert damage(path).code == "compression-damaged"

    def test_a_later_stream_with_a_broken_beginning(self, tmp_path: Path, ending: str) -> None:
        second = bytearray(COMPRESSORS[ending](RAW[1000:]))
        second[1] ^= 0xFF
        packed = COMPRESSORS[ending](RAW[:1000]) + bytes(second)
        path = stored(tmp_path, f"a.img{ending}", packed)
        assert damage(path).code == "compression-damaged"

    def test_nothing_inside(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](b""))
        assert damage(path).code == "disk-size-zero"

    def test_holes_stay_holes(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](bytes(3 << 20) + RAW))
        work = tmp_path / "work"
        work.mkdir()
        [disk] = open_source([path], work=work).disks
        assert disk.file.path.stat().st_blocks * 512 < 1 << 20

    def test_another_format_inside_is_opened(self, tmp_path: Path, ending: str) -> None:
        path = stored(tmp_path, f"a{ending}", COMPRESSORS[ending](sparse_vmdk({}, 128)))
        assert open_one(path).subformat == "monolithicSparse"

    def test_another_container_inside_is_not(self, tmp_path: Path, ending: str) -> None:
        for inside in (tar(("a", b"x")), COMPRESSORS[ending](RAW)):
            path = stored(tmp_path, f"a{ending}", COMPRESSORS[ending](inside))
            assert refusal(path).code == "container-nested"

    def test_another_container_is_seen_before_the_rest_is_unpacked(
        self, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(compressed, "unpack", never)
        data = COMPRESSORS[ending](tar(("a.vmdk", sparse_vmdk({}, 128))))
        assert refusal(stored(tmp_path, f"a{ending}", data)).code == "container-nested"

    def test_what_is_inside_names_no_other_file(self, tmp_path: Path, ending: str) -> None:
        text = descriptor(['RW 1 FLAT "/etc/passwd" 0']).encode()
        for inside in (text, qcow2({}, 65536, backing=512)):
            path = stored(tmp_path, f"a{ending}", COMPRESSORS[ending](inside))
            assert refusal(path).code == "foreign-file"

    def test_a_descriptor_is_to_be_beside_its_data(self, tmp_path: Path, ending: str) -> None:
        stored(tmp_path, "a-flat.vmdk", bytes(512))
        text = descriptor(['RW 1 FLAT "a-flat.vmdk" 0'], kind="monolithicFlat").encode()
        error = refusal(stored(tmp_path, f"a{ending}", COMPRESSORS[ending](text)))
        assert error.code == "container-nested"
        assert "decompress it" in error.hint

    def test_a_full_disk_is_not_called_damage(
        self, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](RAW))

        def full(*_: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(HostError) as caught:
            open_one(path)
        assert caught.value.code == "disk-full"

    def test_some_room_is_left(
        self, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Usage(NamedTuple):
            free: int

        path = stored(tmp_path, f"a.img{ending}", COMPRESSORS[ending](RAW))
        monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(1 << 20))
        with pytest.raises(HostError) as caught:
            open_one(path)
        assert caught.value.code == "disk-full"


def test_frames_to_skip_are_skipped(tmp_path: Path) -> None:
    packed = SKIPPABLE + zstandard.compress(RAW) + SKIPPABLE
    path = stored(tmp_path, "a.img.zst", packed)
    assert unpacked(path, tmp_path / "work") == RAW


def test_what_takes_too_much_memory_is_not_damaged(tmp_path: Path) -> None:
    # RFC 8878, 3.1.1: no content size, a window of 2^28; one raw block, the last.
    frame = b"\x28\xb5\x2f\xfd\0\x90" + struct.pack("<I", 512 << 3 | 1)[:3] + bytes(512)
    assert refusal(stored(tmp_path, "a.img.zst", frame)).code == "compression-memory"
    # The .xz File Format 1.2.0, 3.1: a dictionary of 768 MiB in the block's header.
    packed = bytearray(lzma.compress(RAW, check=lzma.CHECK_NONE, preset=0))
    size = (packed[12] + 1) * 4
    packed[12 + packed[12:24].index(b"\x21\1") + 2] = 35
    packed[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(packed[12 : 12 + size - 4]))
    assert refusal(stored(tmp_path, "a.img.xz", bytes(packed))).code == "compression-memory"


def test_nothing_is_unpacked_beside_a_disk_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compressed, "unpack", never)
    paths = stored(tmp_path, "a.gz", gzip.compress(RAW)), stored(tmp_path, "b.vmdk", b"KDMV" * 999)
    assert survey(paths, work=tmp_path).places == (None, None)
    files = [
        '<File ovf:href="a.img" ovf:id="f0" ovf:compression="gzip"/>',
        '<File ovf:href="b.vmdk" ovf:id="f1"/>',
    ]
    disks = [f'<Disk ovf:capacity="1" ovf:diskId="d{n}" ovf:fileRef="f{n}"/>' for n in (0, 1)]
    stored(tmp_path, "a.img", gzip.compress(RAW))
    described = stored(tmp_path, "a.ovf", ovf(files, disks).encode())
    assert survey([described], work=tmp_path).places == (None, None)


def test_two_disks_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    paths = [
        stored(tmp_path, f"{number}.gz", gzip.compress(pattern(GRAIN, seed=number)))
        for number in range(2)
    ]
    work = tmp_path / "work"
    work.mkdir()
    disks = open_source(paths, work=work).disks
    found = [disk.file.path.read_bytes() for disk in disks]
    assert found == [pattern(GRAIN, seed=0), pattern(GRAIN, seed=1)]
    assert [disk.label for disk in disks] == ["0.gz", "1.gz"]
