"""Copies that need no other program."""

from __future__ import annotations

import errno
import os
import struct
import threading
import time
import zlib
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from converter.errors import ConversionError, DamagedInputError
from converter.source import grains, open_source
from converter.source.copy import CopyJob
from converter.source.reader import Reader, whole
from tests.unit.source.build import (
    GRAIN,
    MIB,
    descriptor,
    dynamic_vhd,
    fixed_vhd,
    grain,
    ovf,
    pattern,
    qcow2,
    sparse_vmdk,
    stored,
    stream_vmdk,
    tar,
    vdi,
    vhdx,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DATA = pattern(GRAIN)


def job(path: Path, *, progress: Any = lambda _: None) -> tuple[CopyJob, Path]:
    """Prepare the copy of the one disk at `path` to a file beside it."""
    work = path.parent / "work"
    work.mkdir(exist_ok=True)
    [disk] = open_source([path], work=work).disks
    target = path.parent / "target"
    return CopyJob(disk, target, progress=progress), target


def copied(path: Path) -> bytes:
    copy, target = job(path)
    copy.start()
    copy.wait()
    return target.read_bytes()


def failure(path: Path) -> ConversionError:
    copy, _ = job(path)
    copy.start()
    with pytest.raises(ConversionError) as caught:
        copy.wait()
    assert copy.has_failed
    return caught.value


class TestPlain:
    @pytest.mark.parametrize("length", [512, 65536, MIB, 3 * MIB + 512])
    def test_is_the_same(self, tmp_path: Path, length: int) -> None:
        data = pattern(length)
        assert copied(stored(tmp_path, "a.raw", data)) == data
        assert copied(stored(tmp_path, "a.vhd", fixed_vhd(data))) == data
        assert copied(stored(tmp_path, "old.vhd", fixed_vhd(data, footer=511))) == data

    def test_is_made_whole_sectors(self, tmp_path: Path) -> None:
        assert copied(stored(tmp_path, "a.raw", pattern(1000))) == pattern(1000) + bytes(24)

    def test_out_of_an_archive(self, tmp_path: Path) -> None:
        text = ovf(['<File ovf:href="a.img" ovf:id="f0"/>']).encode()
        data = tar(("vm.ovf", text), ("a.img", pattern(1000)), ("other", b"x" * 3000))
        assert copied(stored(tmp_path, "a.ova", data)) == pattern(1000) + bytes(24)

    def test_from_the_middle_of_an_extent(self, tmp_path: Path) -> None:
        stored(tmp_path, "a-flat.vmdk", pattern(65536))
        text = descriptor(['RW 8 FLAT "a-flat.vmdk" 16'], kind="monolithicFlat").encode()
        assert copied(stored(tmp_path, "a.vmdk", text)) == pattern(65536)[8192:12288]

    def test_what_is_zero_becomes_a_hole(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.raw", bytes(8 * MIB) + b"x" + bytes(8 * MIB - 1))
        copy, target = job(path)
        copy.start()
        copy.wait()
        assert target.read_bytes() == path.read_bytes()
        assert target.stat().st_blocks * 512 <= GRAIN

    def test_a_large_hole_takes_no_time(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.raw", pattern(GRAIN))
        os.truncate(path, 1 << 40)
        copy, target = job(path)
        before = time.monotonic()
        copy.start()
        copy.wait()
        assert time.monotonic() - before < 5
        assert target.stat().st_size == 1 << 40
        assert target.stat().st_blocks * 512 <= GRAIN

    def test_a_source_that_shrinks_meanwhile(self, tmp_path: Path) -> None:
        path = stored(tmp_path, "a.raw", pattern(2 * MIB))
        copy, _ = job(path)
        os.truncate(path, MIB)
        copy.start()
        # lseek(2) tells of what was cut off as it does of a hole at the end.
        with pytest.raises(DamagedInputError) as caught:
            copy.wait()
        assert caught.value.code == "truncated"

    def test_progress_ends_at_one_and_never_falls(self, tmp_path: Path) -> None:
        seen: list[float] = []
        copy, _ = job(stored(tmp_path, "a.raw", pattern(3 * MIB)), progress=seen.append)
        copy.start()
        copy.wait()
        assert seen == sorted(seen)
        assert seen[-1] == 1.0


class TestStream:
    def test_is_the_same(self, tmp_path: Path) -> None:
        data = stream_vmdk({0: DATA, 2: DATA[::-1], 600: DATA}, 128 * 700)
        expected = DATA + bytes(GRAIN) + DATA[::-1] + bytes(597 * GRAIN) + DATA + bytes(99 * GRAIN)
        assert copied(stored(tmp_path, "a.vmdk", data)) == expected

    @pytest.mark.parametrize(
        "order", [float, lambda n: -n, lambda n: n % 3, lambda n: n * 37 % 101]
    )
    def test_grains_in_any_order(self, tmp_path: Path, order: Callable[[int], float]) -> None:
        # Some that hardly get smaller, and some of which hundreds are no larger than one of them.
        random = Random(7)  # noqa: S311 - no secret
        grains = {
            number: random.randbytes(GRAIN) if number % 4 else bytes([number % 255 + 1]) * GRAIN
            for number in range(101)
        }
        data = stream_vmdk(grains, 128 * 101, order=order)
        assert copied(stored(tmp_path, "a.vmdk", data)) == b"".join(grains.values())

    def test_more_grains_in_a_stretch_than_are_unpacked_at_once(self, tmp_path: Path) -> None:
        grains = {number: bytes([number % 255 + 1]) * GRAIN for number in range(200)}
        path = stored(tmp_path, "a.vmdk", stream_vmdk(grains, 128 * 200))
        assert copied(path) == b"".join(grains.values())

    @pytest.mark.parametrize("last", [DATA, DATA[:512]])
    def test_the_last_grain_whole_or_as_long_as_the_disk(self, tmp_path: Path, last: bytes) -> None:
        data = stream_vmdk({0: DATA, 1: last}, 129)
        assert copied(stored(tmp_path, "a.vmdk", data)) == DATA + DATA[:512]

    def test_the_size_is_not_rounded_up(self, tmp_path: Path) -> None:
        text = descriptor(['RW 129 SPARSE "a.vmdk"'], kind="streamOptimized")
        data = stream_vmdk({0: DATA, 1: DATA}, 256, text=text)
        assert copied(stored(tmp_path, "a.vmdk", data)) == DATA + DATA[:512]

    def test_without_data(self, tmp_path: Path) -> None:
        assert copied(stored(tmp_path, "a.vmdk", stream_vmdk({}, 256))) == bytes(2 * GRAIN)

    def test_out_of_an_archive(self, tmp_path: Path) -> None:
        data = tar(("vm.ovf", ovf().encode()), ("a.vmdk", stream_vmdk({0: DATA}, 128)))
        assert copied(stored(tmp_path, "a.ova", data)) == DATA

    @pytest.mark.parametrize(
        ("packed", "code"),
        [
            (zlib.compress(DATA[:-1]), "vmdk-grain-length"),
            (zlib.compress(DATA + b"x"), "vmdk-grain-length"),
            (zlib.compress(bytes(1 << 26)), "vmdk-grain-length"),
            (zlib.compress(DATA)[:-4] + b"junk", "vmdk-grain-length"),
            (zlib.compress(DATA)[:-4], "vmdk-grain-length"),
            (zlib.compress(DATA)[:-50], "vmdk-grain-length"),
            (b"", "vmdk-grain-length"),
            (b"junk" * 100, "vmdk-grain-length"),
        ],
    )
    def test_damaged_grains(self, tmp_path: Path, packed: bytes, code: str) -> None:
        raw = {0: grain(0, b"", packed=packed)}
        error = failure(stored(tmp_path, "a.vmdk", stream_vmdk({1: DATA}, 256, raw_grains=raw)))
        assert isinstance(error, DamagedInputError)
        assert error.code == code
        assert error.findings[0].service_message == "Uncompressed data has an invalid length"
        assert "a.vmdk" in error.message

    def test_a_grain_that_belongs_elsewhere(self, tmp_path: Path) -> None:
        raw = {0: grain(0, DATA, marked=128)}
        error = failure(stored(tmp_path, "a.vmdk", stream_vmdk({}, 256, raw_grains=raw)))
        assert error.code == "vmdk-grain-place"

    def test_a_grain_that_claims_gigabytes(self, tmp_path: Path) -> None:
        raw = {0: struct.pack("<QI", 0, 0xFFFFFFFF).ljust(512, b"\0")}
        error = failure(stored(tmp_path, "a.vmdk", stream_vmdk({}, 256, raw_grains=raw)))
        assert error.code == "vmdk-grain-length"


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def packed_qcow2(blocks: dict[int, bytes], size: int) -> bytes:
    """Make a qcow2 whose odd clusters are compressed."""
    data, table, places = b"", {}, {}
    for number, block in blocks.items():
        if number % 2:
            packed = deflated(block)
            place = 5 * GRAIN + len(blocks) * GRAIN + len(data) + 8
            table[number] = (1 << 62 | (place % 512 + len(packed) - 1) // 512 << 54 | place,)
            data += bytes(8) + packed
        else:
            places[number] = block
    made = qcow2(places, size, table=table)
    return made.ljust(5 * GRAIN + len(blocks) * GRAIN, b"\0") + data + bytes(512)


# How each is made of blocks, and the size of those.
STORED: dict[str, tuple[Callable[[dict[int, bytes], int], bytes], int]] = {
    "sparse.vmdk": (lambda blocks, size: sparse_vmdk(blocks, size // 512), GRAIN),
    "a.vhd": (lambda blocks, size: dynamic_vhd(blocks, size, block=GRAIN), GRAIN),
    "a.vhdx": (vhdx, MIB),
    "a.vdi": (vdi, MIB),
    "a.qcow2": (qcow2, GRAIN),
    "extended.qcow2": (lambda blocks, size: qcow2(blocks, size, features=16), GRAIN),
    "packed.qcow2": (packed_qcow2, GRAIN),
}


@pytest.mark.parametrize("kind", STORED)
class TestStored:
    """Formats whose data lie in their file in pieces."""

    @pytest.mark.parametrize("numbers", [(), (0,), (1, 2, 3), (4, 0, 2), (5, 4, 3, 2, 1, 0)])
    def test_is_the_same(self, tmp_path: Path, kind: str, numbers: tuple[int, ...]) -> None:
        make, block = STORED[kind]
        size = 5 * block + 512
        blocks = {number: pattern(block, seed=number + 1) for number in numbers}
        expected = b"".join(blocks.get(number, bytes(block)) for number in range(6))[:size]
        assert copied(stored(tmp_path, kind, make(blocks, size))) == expected

    def test_out_of_an_archive(self, tmp_path: Path, kind: str) -> None:
        make, block = STORED[kind]
        text = ovf([f'<File ovf:href="{kind}" ovf:id="f0"/>']).encode()
        disk = make({1: pattern(block)}, 2 * block)
        data = tar(("vm.ovf", text), (kind, disk), ("other", b"x" * 3000))
        assert copied(stored(tmp_path, "a.ova", data)) == bytes(block) + pattern(block)

    def test_what_is_zero_becomes_a_hole(self, tmp_path: Path, kind: str) -> None:
        make, block = STORED[kind]
        blocks = {0: bytes(block), 1: b"x".rjust(block, b"\0"), 2: bytes(block)}
        copy, target = job(stored(tmp_path, kind, make(blocks, 3 * block)))
        copy.start()
        copy.wait()
        assert target.read_bytes() == b"".join(blocks.values())
        assert target.stat().st_blocks * 512 <= GRAIN

    def test_progress_ends_at_one_and_never_falls(self, tmp_path: Path, kind: str) -> None:
        make, block = STORED[kind]
        seen: list[float] = []
        blocks = {number: pattern(block) for number in (3, 1, 0)}
        copy, _ = job(stored(tmp_path, kind, make(blocks, 40 * block)), progress=seen.append)
        copy.start()
        copy.wait()
        assert seen == sorted(seen)
        assert seen[-1] == 1.0

    def test_a_source_that_shrinks_meanwhile(self, tmp_path: Path, kind: str) -> None:
        make, block = STORED[kind]
        path = stored(tmp_path, kind, make({1: pattern(block)}, 2 * block))
        copy, _ = job(path)
        # Of a VHD its table is found by its end.
        with path.open("r+b") as file:
            file.truncate(path.stat().st_size - 2048)
        copy.start()
        with pytest.raises(DamagedInputError):
            copy.wait()


def test_of_a_vdi_the_last_sector_is_whole(tmp_path: Path) -> None:
    assert copied(stored(tmp_path, "a.vdi", vdi({0: pattern(MIB)}, 1000))) == pattern(MIB)[:1024]


def test_a_disk_in_files_of_every_kind(tmp_path: Path) -> None:
    stored(tmp_path, "one", b"?" * 512 + pattern(1024))
    stored(tmp_path, "two.vmdk", sparse_vmdk({1: DATA}, 256, text=""))
    # Larger than is said, as the last one may be.
    stored(tmp_path, "four.vmdk", sparse_vmdk({0: DATA, 1: DATA}, 256, text=""))
    lines = [
        'RW 2 FLAT "one" 1',
        "RW 3 ZERO",
        'RW 256 SPARSE "two.vmdk"',
        'RW 1 VMFS "one"',
        'RW 129 SPARSE "four.vmdk"',
    ]
    seen: list[float] = []
    path = stored(tmp_path, "a.vmdk", descriptor(lines, kind="custom").encode())
    copy, target = job(path, progress=seen.append)
    copy.start()
    copy.wait()
    expected = pattern(1024) + bytes(1536 + GRAIN) + DATA + b"?" * 512
    assert target.read_bytes() == expected + DATA + DATA[:512]
    assert seen == sorted(seen)


def test_holes_of_blocks_that_are_allocated_take_no_time(tmp_path: Path) -> None:
    """As of a fixed VHDX, all of whose blocks are there."""
    count = 4096
    table = {number: (4 + number) << 20 | 6 for number in range(count)}
    path = stored(tmp_path, "a.vhdx", vhdx({}, count * MIB, table=table))
    with path.open("r+b") as file:
        file.truncate((4 + count) * MIB)
        file.seek((4 + 100) * MIB)
        file.write(b"data")
    copy, target = job(path)
    copy.start()
    copy.wait()
    with target.open("rb") as image:
        image.seek(100 * MIB)
        assert image.read(4) == b"data"
    assert target.stat().st_size == count * MIB
    assert target.stat().st_blocks * 512 <= GRAIN


def test_tables_without_end_are_left_when_it_is_cancelled(tmp_path: Path) -> None:
    """Of zeros: there is nothing to copy in all of it, and so nothing to look up between."""
    tables = 1 << 10
    path = tmp_path / "a.qcow2"
    path.write_bytes(qcow2({}, tables << 29, l1=[(5 + n) * GRAIN for n in range(tables)]))
    with path.open("r+b") as file:
        file.truncate((5 + tables) * GRAIN)
        for number in range(tables):
            file.seek((5 + number) * GRAIN)
            file.write(bytes(7) + b"\x01")
    copy, _ = job(path)
    copy.start()
    before = time.monotonic()
    copy.cancel()
    assert time.monotonic() - before < 2
    copy.wait()


def test_grains_that_follow_each_other_are_one_stretch(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.vmdk", sparse_vmdk({0: DATA, 1: DATA, 3: DATA}, 512))
    with Reader(whole(path)) as reader:
        found = list(grains.contents(reader))
    assert [(stretch.start, stretch.length) for stretch in found] == [
        (0, 2 * GRAIN),
        (3 * GRAIN, GRAIN),
    ]


@pytest.mark.parametrize(
    "data",
    [fixed_vhd(DATA), stream_vmdk({0: DATA}, 128), vdi({0: pattern(MIB)}, MIB)],
    ids=["plain", "stream", "stored"],
)
class TestFailures:
    @pytest.mark.parametrize(
        ("number", "code", "exit_code"),
        [(errno.ENOSPC, "disk-full", 5), (errno.EIO, "copy-failed", 6)],
    )
    def test_of_the_target(  # noqa: PLR0917 - fixtures and parameters
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        data: bytes,
        number: int,
        code: str,
        exit_code: int,
    ) -> None:
        def fail(*_: object) -> int:
            raise OSError(number, os.strerror(number))

        path = stored(tmp_path, "disk", data)
        monkeypatch.setattr(os, "pwrite", fail)
        found = failure(path)
        assert (found.code, found.exit_code) == (code, exit_code)
        assert "target" in found.message

    def test_of_the_source(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
    ) -> None:
        copy, _ = job(stored(tmp_path, "disk", data))

        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, "pread", fail)
        copy.start()
        with pytest.raises(ConversionError, match="disk: reading") as caught:
            copy.wait()
        assert caught.value.code == "source-read-failed"

    def test_a_target_that_cannot_be_made(self, tmp_path: Path, data: bytes) -> None:
        path = stored(tmp_path, "disk", data)
        (tmp_path / "target").mkdir()
        assert failure(path).code == "copy-failed"


class TestCancelling:
    def test_stops_a_running_copy(self, tmp_path: Path) -> None:
        going, go_on = threading.Event(), threading.Event()

        def progress(_: float) -> None:
            going.set()
            go_on.wait(10)

        data = pattern(MIB) * 40
        copy, target = job(stored(tmp_path, "a.raw", data), progress=progress)
        copy.start()
        going.wait(10)
        stopper = threading.Thread(target=copy.cancel)
        stopper.start()
        # The event is set before anything is waited for.
        while not copy.is_cancelled():
            stopper.join(0.001)
        go_on.set()
        stopper.join(10)
        assert target.stat().st_size < len(data)
        copy.wait()

    def test_before_it_was_started(self, tmp_path: Path) -> None:
        copy, target = job(stored(tmp_path, "a.raw", pattern(512)))
        copy.cancel()
        assert not target.exists()

    def test_while_it_was_being_started(self, tmp_path: Path) -> None:
        """Where a signal came: its thread runs, and makes nothing."""
        copy, target = job(stored(tmp_path, "a.raw", pattern(512)))
        copy.cancel()
        copy.start()
        copy.wait()
        assert not target.exists()

    def test_when_it_is_done(self, tmp_path: Path) -> None:
        copy, target = job(stored(tmp_path, "a.raw", pattern(512)))
        copy.start()
        copy.wait()
        copy.cancel()
        assert target.read_bytes() == pattern(512)


def test_two_copies_of_one_file_at_once(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.vhd", fixed_vhd(pattern(3 * MIB)))
    work = tmp_path / "work"
    work.mkdir()
    disks = [*open_source([path], work=work).disks] * 2
    targets = [tmp_path / "one", tmp_path / "two"]
    copies = [
        CopyJob(disk, target, progress=lambda _: None)
        for disk, target in zip(disks, targets, strict=True)
    ]
    for copy in copies:
        copy.start()
    for copy in copies:
        copy.wait()
    assert all(target.read_bytes() == pattern(3 * MIB) for target in targets)
