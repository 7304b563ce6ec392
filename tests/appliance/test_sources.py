"""Sources against QEMU: what it writes we read alike; damaged, never as other data.

No appliance is started here: qemu-img writes the images, and is the judge of what is in them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.errors import ConversionError, DamagedInputError, GuestRefusedError, UsageError
from converter.model import ByteRange, DiskFormat, SourceDisk
from converter.source import open_source
from converter.source.blocks import VirtualDisk
from converter.source.copy import CopyJob
from converter.source.lay_over import lay_over
from converter.source.overlay import create_overlay, filename, node
from tests.unit.source.build import chunks, descriptor, drive, ovf, pattern, tar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

pytestmark = [pytest.mark.appliance, pytest.mark.xdist_group("sources")]

MIB = 1 << 20
# Format, and options: everything that QEMU can write and we read.
KINDS = {
    "raw": ("raw", []),
    "vmdk-stream": ("vmdk", ["subformat=streamOptimized"]),
    "vmdk-sparse": ("vmdk", ["subformat=monolithicSparse"]),
    "vmdk-flat": ("vmdk", ["subformat=monolithicFlat"]),
    "vmdk-split": ("vmdk", ["subformat=twoGbMaxExtentSparse"]),
    "vmdk-split-flat": ("vmdk", ["subformat=twoGbMaxExtentFlat"]),
    "vmdk-zeroed": ("vmdk", ["subformat=monolithicSparse", "zeroed_grain=on"]),
    "vhd-dynamic": ("vpc", ["subformat=dynamic", "force_size=on"]),
    "vhd-fixed": ("vpc", ["subformat=fixed", "force_size=on"]),
    "vhdx-dynamic": ("vhdx", ["subformat=dynamic"]),
    "vhdx-fixed": ("vhdx", ["subformat=fixed", "block_size=1M"]),
    "vhdx-large": ("vhdx", ["subformat=dynamic", "block_size=256M"]),
    "qcow2-2": ("qcow2", ["compat=0.10"]),
    "qcow2-3": ("qcow2", ["compat=1.1"]),
    "qcow2-small": ("qcow2", ["cluster_size=512"]),
    "qcow2-large": ("qcow2", ["cluster_size=2M"]),
    "qcow2-extended": ("qcow2", ["extended_l2=on"]),
    "qcow2-lazy": ("qcow2", ["lazy_refcounts=on"]),
    "qcow2-compressed": ("qcow2", ["compression_type=zlib"]),
    "qcow2-zstd": ("qcow2", ["compression_type=zstd"]),
    "qcow2-compressed-small": ("qcow2", ["cluster_size=4k"]),
    "vdi-dynamic": ("vdi", []),
    "vdi-fixed": ("vdi", ["static=on"]),
}
COMPRESSED = ("qcow2-compressed", "qcow2-zstd", "qcow2-compressed-small")
ENDINGS = {"vpc": "vhd"}
# What one file holds, so that it can be cut and packed.
SINGLE = [kind for kind in KINDS if "flat" not in kind and "split" not in kind]
every_kind = pytest.mark.parametrize("kind", KINDS)
single = pytest.mark.parametrize("kind", SINGLE)
# Of these the headers are like others', and they are large.
_LARGE = ("raw", "qcow2-large", "vhdx-large")
damageable = pytest.mark.parametrize("kind", [kind for kind in SINGLE if kind not in _LARGE])


def disk_data(directory: Path, size: int) -> Path:
    """Make a raw disk with data at both ends and here and there, and holes between."""
    path = directory / "disk.raw"
    draw = random.Random(size)  # noqa: S311 - no secret
    with path.open("wb") as file:
        file.truncate(size)
        for place in (0, size // 3, size // 2 // 512 * 512 + 512, size - 70_144):
            file.seek(place)
            file.write(draw.randbytes(30_000) + b"text " * 8_000)
        file.seek(size - 512)
        file.write(b"the end ".ljust(512, b"."))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a disk whose size is no whole number of anybody's blocks."""
    return disk_data(tmp_path_factory.mktemp("large"), 11 * MIB + 512)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk_data(tmp_path_factory.mktemp("small"), MIB + 512)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "a working directory, äöü"
    path.mkdir()
    return path


def write(disk: Path, kind: str, directory: Path) -> Path:
    form, options = KINDS[kind]
    target = directory / f"{kind}.{ENDINGS.get(form, form)}"
    argv = ["qemu-img", "convert", "-f", "raw", "-O", form]
    argv += ["-c"] if kind in COMPRESSED else []
    argv += ["-o", ",".join(options)] if options else []
    process.run([*argv, str(disk), str(target)])
    return target


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copied(disk: SourceDisk, work: Path, name: str = "target") -> Path:
    target = work / name
    copy = CopyJob(disk, target, progress=lambda _: None)
    copy.start()
    copy.wait()
    return target


def check_read(disk: SourceDisk, expected: Path) -> None:
    """Check that our own reading gives what is in `expected`: all of it, and from any place on."""
    data = expected.read_bytes()
    draw = random.Random(len(data))  # noqa: S311 - no secret
    starts = [draw.randrange(len(data)) for _ in range(50)]
    with VirtualDisk(disk) as opened:
        assert opened.size == len(data)
        assert opened.read(0, len(data)) == data
        for start in starts:
            end = min(len(data), start + draw.randrange(200_000))
            assert opened.read(start, end - start) == data[start:end]


def check_same(path: Path, expected: Path, work: Path) -> None:
    """Check that the disk at `path` is `expected`: copied, read, and as the overlay shows it."""
    [disk] = open_source([path], work=work).disks
    assert disk.virtual_size == expected.stat().st_size
    check_read(disk, expected)
    overlay = create_overlay(disk, directory=work, name="overlay")
    target = copied(disk, work)
    assert sha256(target) == sha256(expected)
    process.run(["qemu-img", "compare", "-f", "raw", "-F", "qcow2", str(target), str(overlay)])


class TestTheSameData:
    @every_kind
    def test_as_a_file(self, kind: str, large: Path, work: Path, tmp_path: Path) -> None:
        path = write(large, kind, tmp_path)
        files = {file: sha256(file) for file in tmp_path.iterdir() if file.is_file()}
        for file in files:
            file.chmod(0o444)
        check_same(path, large, work)
        assert {file: sha256(file) for file in files} == files
        # Holes are kept: all that has data is 280 KB in four places.
        assert (work / "target").stat().st_blocks * 512 < MIB

    @single
    def test_as_a_member_of_an_ova(
        self, kind: str, large: Path, work: Path, tmp_path: Path
    ) -> None:
        disk = write(large, kind, tmp_path)
        text = ovf([f'<File ovf:href="{disk.name}" ovf:id="f0"/>'])
        members = (("vm.ovf", text.encode()), (disk.name, disk.read_bytes()), ("x", b"x" * 5000))
        path = tmp_path / "vm.ova"
        path.write_bytes(tar(*members))
        check_same(path, large, work)

    @single
    @pytest.mark.parametrize("container", ["ova", "ovf"])
    def test_as_a_file_that_was_cut(
        self, kind: str, container: str, large: Path, work: Path, tmp_path: Path
    ) -> None:
        disk = write(large, kind, tmp_path)
        size = disk.stat().st_size // 3 // 512 * 512
        cut = chunks(disk.name, disk.read_bytes(), size)
        text = ovf([f'<File ovf:href="{disk.name}" ovf:id="f0" ovf:chunkSize="{size}"/>'])
        members = [("vm.ovf", text.encode()), *cut]
        path = tmp_path / f"vm.{container}"
        if container == "ova":
            path.write_bytes(tar(*members))
        else:
            for name, data in members:
                (tmp_path / name).write_bytes(data)
        assert len(cut) > 1
        check_same(path, large, work)

    def test_of_two_disks_in_the_machines_order(
        self, large: Path, small: Path, work: Path, tmp_path: Path
    ) -> None:
        disks = {
            "b": write(large, "vmdk-stream", tmp_path),
            "a": write(small, "vhdx-dynamic", tmp_path),
        }
        text = ovf(
            [f'<File ovf:href="{disk.name}" ovf:id="{key}"/>' for key, disk in disks.items()],
            [f'<Disk ovf:diskId="{key}" ovf:fileRef="{key}"/>' for key in disks],
            drive("ovf:/disk/b", place="1") + drive("ovf:/disk/a", place="0"),
        )
        path = tmp_path / "vm.ova"
        members = [(disk.name, disk.read_bytes()) for disk in disks.values()]
        path.write_bytes(tar(*members, ("vm.ovf", text.encode())))
        found = open_source([path], work=work).disks
        copies = [copied(disk, work, f"target{number}") for number, disk in enumerate(found)]
        assert [sha256(copy) for copy in copies] == [sha256(small), sha256(large)]

    @pytest.mark.parametrize("size", [513, 1000, MIB + 1])
    def test_of_a_raw_file_of_no_whole_sectors(self, size: int, work: Path, tmp_path: Path) -> None:
        path, expected = tmp_path / "a.img", tmp_path / "expected"
        path.write_bytes(pattern(size))
        expected.write_bytes(pattern(size) + bytes(-size % 512))
        [disk] = open_source([path], work=work).disks
        overlay = create_overlay(disk, directory=work, name="overlay")
        assert sha256(copied(disk, work)) == sha256(expected)
        process.run(
            ["qemu-img", "compare", "-F", "qcow2", "-f", "raw", str(expected), str(overlay)]
        )

    @pytest.mark.parametrize(
        ("tool", "ending"),
        [
            ("gzip", "gz"),
            ("xz -T2 --block-size=1MiB", "xz"),
            ("zstd -q", "zst"),
            ("bzip2", "bz2"),
        ],
    )
    def test_of_a_compressed_file(
        self, tool: str, ending: str, large: Path, work: Path, tmp_path: Path
    ) -> None:
        path = tmp_path / f"disk.{ending}"
        with large.open("rb") as source, path.open("wb") as out:
            subprocess.run([*tool.split(), "-c"], stdin=source, stdout=out, check=True)
        check_same(path, large, work)

    def test_beside_an_internal_snapshot(self, large: Path, work: Path, tmp_path: Path) -> None:
        path = write(large, "qcow2-3", tmp_path)
        process.run(["qemu-img", "snapshot", "-c", "before", str(path)])
        process.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 0 1M", str(path)])
        expected = tmp_path / "expected.raw"
        shutil.copy(large, expected)
        with expected.open("r+b") as file:
            file.write(b"\x07" * MIB)
        check_same(path, expected, work)

    def test_of_a_vhdx_that_was_written_to(self, large: Path, work: Path, tmp_path: Path) -> None:
        path = write(large, "vhdx-dynamic", tmp_path)
        process.run(["qemu-io", "-f", "vhdx", "-c", "write -P 7 5M 64k", str(path)])
        expected = tmp_path / "expected.raw"
        process.run(["qemu-img", "convert", "-f", "vhdx", "-O", "raw", str(path), str(expected)])
        check_same(path, expected, work)

    def test_of_extents_of_every_kind(self, large: Path, work: Path, tmp_path: Path) -> None:
        data = large.read_bytes()
        (tmp_path / "one").write_bytes(pattern(1024) + data[: 2 * MIB])
        # An extent that holds nothing but data may begin like an image that names another file.
        process.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-b", str(large), "-F", "raw",
             str(tmp_path / "two"), "1M"]
        )  # fmt: skip
        os.truncate(tmp_path / "two", 4 * MIB)
        third = write(large, "vmdk-sparse", tmp_path)
        lines = [
            'RW 4096 FLAT "one" 2',
            "RW 63 ZERO",
            'RW 2048 VMFS "two"',
            f'RW {len(data) // 512} SPARSE "{third.name}"',
        ]
        path = tmp_path / "a.vmdk"
        path.write_text(descriptor(lines, kind="custom"))
        expected = tmp_path / "expected"
        expected.write_bytes(
            data[: 2 * MIB] + bytes(63 * 512) + (tmp_path / "two").read_bytes()[:MIB] + data
        )
        check_same(path, expected, work)

    @pytest.mark.parametrize("subformat", ["twoGbMaxExtentFlat", "twoGbMaxExtentSparse"])
    def test_of_a_disk_in_several_files(self, subformat: str, work: Path, tmp_path: Path) -> None:
        expected = tmp_path / "disk.raw"
        with expected.open("wb") as file:
            file.truncate(5 << 30)
            for number in range(5):
                file.seek((number << 30) - (65536 if number else 0))
                file.write(random.randbytes(128 << 10))  # noqa: S311 - no secret
        path = tmp_path / "a.vmdk"
        process.run(
            ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", f"subformat={subformat}",
             str(expected), str(path)]
        )  # fmt: skip
        [disk] = open_source([path], work=work).disks
        assert len(disk.extents) == 3
        overlay = create_overlay(disk, directory=work, name="overlay")
        target = copied(disk, work)
        assert target.stat().st_blocks * 512 < 2 * MIB
        for form, found in (("raw", target), ("qcow2", overlay)):
            process.run(["qemu-img", "compare", "-f", "raw", "-F", form, str(expected), str(found)])
        with VirtualDisk(disk) as opened, expected.open("rb") as file:
            for number in range(5):  # across the ends of extents, at 2 and 4 GiB
                place = max(0, (number << 30) - 100_000)
                file.seek(place)
                assert opened.read(place, 200_000) == file.read(200_000)

    def test_below_changes(self, large: Path, work: Path, tmp_path: Path) -> None:
        """Data over data, zeros over data, and both over holes; QEMU's own merge is the judge."""
        [disk] = open_source([write(large, "vhd-dynamic", tmp_path)], work=work).disks
        overlay = create_overlay(disk, directory=work, name="overlay")
        target, judge = copied(disk, work), tmp_path / "judge.raw"
        changes = ["write -P 9 4M 64k", "write -P 8 4100k 1k", "write -z 1M 2M", "write -P 7 8M 2M"]
        changes += ["discard 9M 1M", "write -P 0 512k 128k", "write -P 6 11M 512"]
        process.run(["qemu-io", "-d", "unmap", "-f", "qcow2", *_each("-c", changes), str(overlay)])
        convert = ["qemu-img", "convert", "-S", "64k", "-f", "qcow2", "-O", "raw"]
        process.run([*convert, str(overlay), str(judge)])
        lay_over(overlay, target)
        assert sha256(target) == sha256(judge)
        assert data_size(target) <= data_size(judge)

    def test_below_what_has_grown(self, large: Path, work: Path, tmp_path: Path) -> None:
        [disk] = open_source([write(large, "raw", tmp_path)], work=work).disks
        overlay = create_overlay(disk, directory=work, name="overlay")
        target, judge = copied(disk, work), tmp_path / "judge.raw"
        process.run(["qemu-img", "resize", "-q", "-f", "qcow2", str(overlay), "+3M"])
        end = large.stat().st_size + 2 * MIB
        process.run(["qemu-io", "-f", "qcow2", "-c", f"write -P 9 {end} 5k", str(overlay)])
        process.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", str(overlay), str(judge)])
        lay_over(overlay, target)
        assert sha256(target) == sha256(judge)


def data_size(path: Path) -> int:
    """Count the bytes outside holes: st_blocks counts what the filesystem notes of them, too."""
    total = end = 0
    with path.open("rb") as file:
        try:
            while True:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
                end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
                total += end - start
        except OSError as error:
            assert error.errno == errno.ENXIO  # noqa: PT017 - lseek(2): no data behind `end`
    return total


def _each(option: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (option, value)]


class TestDamage:
    """A damaged file is damaged, refused or, where it was of no account, gives the same data."""

    def outcome(self, path: Path, work: Path) -> str | None:
        """Give the digest of the disk, None if it is damaged or refused; else the test fails.

        Whatever is read of it, QEMU must read the same: the guest is changed through that.
        """
        for file in work.iterdir():
            file.unlink()
        with contextlib.suppress(DamagedInputError, GuestRefusedError):
            [disk] = open_source([path], work=work).disks
            overlay = create_overlay(disk, directory=work, name="overlay")
            copy = copied(disk, work)
            process.run(
                ["qemu-img", "compare", "-f", "raw", "-F", "qcow2", str(copy), str(overlay)]
            )
            return sha256(copy)
        return None

    @damageable
    def test_cut_off(self, kind: str, small: Path, work: Path, tmp_path: Path) -> None:
        path = write(small, kind, tmp_path)
        data = path.read_bytes()
        expected = sha256(small)
        draw = random.Random(kind)  # noqa: S311 - no secret
        length = len(data)
        places = {0, 1, 511, 512, 513, 1024, 65536, length // 2}
        places |= {length - back for back in (1, 511, 512, 513, 1024, 65536)}
        places |= {draw.randrange(len(data)) for _ in range(10)}
        for place in sorted(place for place in places if 0 <= place < len(data)):
            path.write_bytes(data[:place])
            with contextlib.suppress(DamagedInputError):
                [disk] = open_source([path], work=work).disks
                create_overlay(disk, directory=work, name="overlay")
                assert sha256(copied(disk, work)) == expected, f"cut at {place} of {len(data)}"

    @damageable
    def test_bytes_changed(self, kind: str, small: Path, work: Path, tmp_path: Path) -> None:
        path = write(small, kind, tmp_path)
        data = path.read_bytes()
        draw = random.Random(kind)  # noqa: S311 - no secret
        # Most of what is not data is not zero, and near to other such bytes.
        known = [place for place in range(min(len(data), 4 * MIB)) if data[place]][:4000]
        for _ in range(25):
            changed = bytearray(data)
            for _ in range(draw.choice((1, 1, 3))):
                place = draw.choice(known) + draw.randrange(8)
                changed[min(place, len(data) - 1)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
            path.write_bytes(changed)
            before = time.monotonic()
            self.outcome(path, work)
            assert time.monotonic() - before < 20

    def test_of_a_descriptor(self, small: Path, work: Path, tmp_path: Path) -> None:
        path = write(small, "vmdk-split-flat", tmp_path)
        data = path.read_bytes().rstrip(b"\0")
        expected = sha256(small)
        for place in range(len(data)):
            path.write_bytes(data[:place])
            assert self.outcome(path, work) in (None, expected), f"cut at {place}"

    def test_of_compressed_data(self, small: Path, work: Path, tmp_path: Path) -> None:
        path = write(small, "vmdk-stream", tmp_path)
        data = bytearray(path.read_bytes())
        place = 65536 + 20_000
        data[place : place + 4] = b"junk"
        path.write_bytes(data)
        [disk] = open_source([path], work=work).disks
        with pytest.raises(DamagedInputError, match="cannot be inflated"):
            copied(disk, work)


class TestTheHost:
    def test_no_backing_file_is_opened_whatever_a_descriptor_says(
        self, large: Path, work: Path, tmp_path: Path
    ) -> None:
        """Our own reading refuses such a disk; should it be wrong, QEMU does not follow either."""
        parent = write(large, "vmdk-sparse", tmp_path)
        child = tmp_path / "child.vmdk"
        process.run(
            ["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", str(parent), str(child)]
        )
        with pytest.raises(ConversionError) as caught:
            open_source([child], work=work)
        assert caught.value.code == "vmdk-child"
        file = ByteRange(child, 0, child.stat().st_size)
        size = large.stat().st_size
        disk = SourceDisk("child", DiskFormat.VMDK, "monolithicSparse", size, file)
        target = work / "target"
        process.run(["qemu-img", "convert", "-O", "raw", filename(node(disk, work)), str(target)])
        assert not any(target.read_bytes())

    def test_backing_and_data_files_are_refused(
        self, large: Path, work: Path, tmp_path: Path
    ) -> None:
        child, external = tmp_path / "child.qcow2", tmp_path / "external.qcow2"
        process.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(large), str(child)]
        )
        process.run(
            ["qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path}/data",
             str(external), "1M"]
        )  # fmt: skip
        for path in (child, external):
            with pytest.raises(ConversionError) as caught:
                open_source([path], work=work)
            assert caught.value.code == "foreign-file"

    @every_kind
    def test_two_conversions_read_one_source_at_once(
        self, kind: str, large: Path, tmp_path: Path
    ) -> None:
        path = write(large, kind, tmp_path)
        copies, targets = [], []
        for name in ("one", "two"):
            work = tmp_path / name
            work.mkdir()
            [disk] = open_source([path], work=work).disks
            create_overlay(disk, directory=work, name="overlay")
            targets.append(work / "target")
            copies.append(CopyJob(disk, targets[-1], progress=lambda _: None))
        for copy in copies:
            copy.start()
        for copy in copies:
            copy.wait()
        assert {sha256(target) for target in targets} == {sha256(large)}

    def test_a_source_that_runs_is_named(self, large: Path, work: Path, tmp_path: Path) -> None:
        path = write(large, "qcow2-3", tmp_path)
        [disk] = open_source([path], work=work).disks
        with _written_to(path), pytest.raises(UsageError) as caught:
            create_overlay(disk, directory=work, name="overlay")
        assert caught.value.code == "source-in-use"

    def test_no_machine_is_started_on_what_is_copied(
        self, large: Path, work: Path, tmp_path: Path
    ) -> None:
        path = write(large, "vhdx-dynamic", tmp_path)
        [disk] = open_source([path], work=work).disks
        begun, go_on = threading.Event(), threading.Event()

        def progress(_: float) -> None:
            begun.set()
            go_on.wait(30)

        copy = CopyJob(disk, work / "target", progress=progress)
        copy.start()
        assert begun.wait(30)
        writing = ["qemu-io", "-f", "vhdx", "-c", "write 0 512", str(path)]
        assert 'Failed to get "write" lock' in process.run(writing, check=False).reason
        process.run(["qemu-img", "info", str(path)])  # reading is no harm
        go_on.set()
        copy.wait()
        process.run(writing)

    def test_a_directory_with_too_long_a_path(self, large: Path, tmp_path: Path) -> None:
        work = tmp_path.joinpath(*["x" * 200] * 6)
        work.mkdir(parents=True)
        [disk] = open_source([large], work=work).disks
        with pytest.raises(UsageError) as caught:
            create_overlay(disk, directory=work, name="overlay")
        assert caught.value.code == "path-unusable"

    @pytest.mark.parametrize("kind", ["vmdk-stream", "vhdx-fixed", "vhd-fixed"])
    @pytest.mark.parametrize("seconds", [0, 0.02, 0.2])
    def test_cancelling_is_fast(
        self, kind: str, seconds: float, work: Path, tmp_path: Path
    ) -> None:
        disk_ = tmp_path / "disk.raw"
        with disk_.open("wb") as file:
            for _ in range(64):
                file.write(random.randbytes(MIB))  # noqa: S311 - no secret
        [disk] = open_source([write(disk_, kind, tmp_path)], work=work).disks
        copy = CopyJob(disk, work / "target", progress=lambda _: None)
        copy.start()
        time.sleep(seconds)
        before = time.monotonic()
        copy.cancel()
        assert time.monotonic() - before < 2
        copy.wait()


@contextlib.contextmanager
def _written_to(path: Path) -> Iterator[None]:
    """Hold an image open for writing, as a running machine does."""
    command: Sequence[str] = ["qemu-io", "-f", "qcow2", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"length\n")
        child.stdin.flush()
        os.read(child.stdout.fileno(), 100)  # it has opened it
        yield
        child.stdin.close()
