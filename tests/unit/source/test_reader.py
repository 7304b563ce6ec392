from __future__ import annotations

import errno
import os
from itertools import accumulate
from pathlib import Path

import pytest

from converter.errors import ConversionError, DamagedInputError, UsageError
from converter.model import ByteRange, joined
from converter.source.reader import Reader, check_blocks, whole

MIB = 1 << 20


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(100)))
    return path


class TestChunks:
    """A file that was cut: in files of their own, or side by side in one."""

    SIZES = (7, 1, 40, 52)

    @pytest.fixture(params=["files", "members"])
    def chunked(self, request: pytest.FixtureRequest, file: Path) -> ByteRange:
        ends = list(accumulate(self.SIZES))
        if request.param == "files":
            parts = []
            for end, size in zip(ends, self.SIZES, strict=True):
                path = file.with_name(f"chunk{end}")
                path.write_bytes(file.read_bytes()[end - size : end])
                parts.append(whole(path))
            return joined(parts)
        return joined(
            [ByteRange(file, end - size, size) for end, size in zip(ends, self.SIZES, strict=True)]
        )

    def test_reads_as_the_whole_file(self, chunked: ByteRange) -> None:
        data = bytes(range(100))
        with Reader(chunked) as reader:
            for offset in range(101):
                for length in range(101 - offset):
                    assert reader.read(offset, length) == data[offset : offset + length]
            with pytest.raises(DamagedInputError):
                reader.read(99, 2)

    def test_parts_of_it(self, chunked: ByteRange) -> None:
        for offset, length in ((0, 100), (0, 7), (7, 1), (8, 40), (3, 10), (50, 20), (99, 1)):
            part = chunked.part(offset, length).part(0, length)
            assert part.length == length
            with Reader(part) as reader:
                assert reader.read(0, length) == bytes(range(offset, offset + length))

    def test_holes_in_them(self, tmp_path: Path) -> None:
        parts = []
        for number, data in enumerate((MIB // 2, None, 0)):
            path = tmp_path / str(number)
            with path.open("wb") as out:
                out.truncate(MIB)
                if data is not None:
                    out.seek(data)
                    out.write(b"x" * 65536)
            parts.append(whole(path))
        with Reader(joined(parts)) as reader:
            first = (MIB // 2, MIB // 2 + 65536)
            assert list(reader.data(0, 3 * MIB)) == [first, (2 * MIB, 2 * MIB + 65536)]
            assert list(reader.data(MIB // 2 + 5, 10)) == [(MIB // 2 + 5, MIB // 2 + 15)]
            assert list(reader.data(MIB, MIB)) == []
            assert reader.share(-1) == 0  # which is for what is one stretch

    def test_one_that_is_not_there(self, chunked: ByteRange) -> None:
        last = chunked.parts[-1].path
        last.unlink()
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(UsageError, match=last.name):
            Reader(chunked)
        assert len(list(Path("/proc/self/fd").iterdir())) == before

    def test_one_that_became_shorter(self, chunked: ByteRange) -> None:
        last = chunked.parts[-1]
        with Reader(chunked) as reader:
            os.truncate(last.path, last.offset + 2)
            with pytest.raises(DamagedInputError, match="ends at byte 50") as caught:
                reader.read(40, 20)
            assert caught.value.code == "truncated"
            with pytest.raises(DamagedInputError, match="byte 100"):
                list(reader.data(0, 100))

    def test_a_single_one_is_a_file(self, file: Path) -> None:
        assert joined([whole(file)]) == whole(file)


class TestReader:
    def test_reads_a_member_where_it_lies(self, file: Path) -> None:
        with Reader(ByteRange(file, 10, 20)) as reader:
            assert reader.read(0, 2) == b"\x0a\x0b"
            assert reader.head(1000) == bytes(range(10, 30))

    @pytest.mark.parametrize(("offset", "length"), [(19, 2), (20, 1), (-1, 1), (0, 1 << 60)])
    def test_does_not_read_beyond_it(self, file: Path, offset: int, length: int) -> None:
        with Reader(ByteRange(file, 10, 20)) as reader, pytest.raises(DamagedInputError) as caught:
            reader.read(offset, length)
        assert caught.value.code == "truncated"

    def test_a_file_that_became_shorter_is_truncated(self, file: Path) -> None:
        with Reader(whole(file)) as reader:
            os.truncate(file, 50)
            with pytest.raises(DamagedInputError, match="ends at byte 50") as caught:
                reader.read(40, 20)
        assert caught.value.code == "truncated"

    def test_reads_no_table_of_gigabytes(self, tmp_path: Path) -> None:
        path = tmp_path / "sparse"
        path.touch()
        os.truncate(path, 1 << 40)
        with Reader(whole(path)) as reader, pytest.raises(DamagedInputError) as caught:
            reader.read(0, 1 << 32)
        assert caught.value.code == "header-size"

    def test_a_failing_disk_is_not_called_damage(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

        with Reader(whole(file)) as reader:
            monkeypatch.setattr(os, "pread", fail)
            with pytest.raises(ConversionError, match=r"file.*Input/output error") as caught:
                reader.read(0, 1)
        assert caught.value.code == "source-read-failed"
        assert caught.value.exit_code == 6

    def test_numbers_come_in_the_order_that_is_asked_for(self, file: Path) -> None:
        with Reader(whole(file)) as reader:
            [big] = reader.numbers(0, 2, "I", "big")
            [little] = reader.numbers(0, 1, "Q", "little")
        assert list(big) == [0x00010203, 0x04050607]
        assert list(little) == [0x0706050403020100]

    def test_holes_are_passed_over_quickly(self, tmp_path: Path) -> None:
        path = tmp_path / "sparse"
        with path.open("wb") as out:
            out.truncate(1 << 40)
            out.seek(1 << 39)
            out.write(b"x" * 65536)
        with Reader(whole(path)) as reader:
            stretches = list(reader.data(0, 1 << 40))
            assert stretches == [(1 << 39, (1 << 39) + 65536)]
            assert list(reader.data(0, 1 << 39)) == []

    def test_data_is_relative_to_the_member(self, file: Path) -> None:
        with Reader(ByteRange(file, 10, 20)) as reader:
            assert list(reader.data(5, 15)) == [(5, 20)]


class TestWhole:
    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UsageError) as caught:
            whole(tmp_path / "pipe")
        assert caught.value.code == "source-not-a-file"
        with Reader(ByteRange(tmp_path / "pipe", 0, 1)):
            pass

    def test_a_directory_is_no_source(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError) as caught:
            whole(tmp_path)
        assert caught.value.code == "source-not-a-file"

    @pytest.mark.parametrize("name", ["absent", "x" * 300, "loop", "nul\0byte"])
    def test_what_cannot_be_opened_is_named(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(UsageError) as caught:
            whole(tmp_path / name)
        assert caught.value.code == "source-unreadable"
        assert name in caught.value.message


class TestBlocks:
    RESERVED = ((0, 10), (100, 110))

    @pytest.fixture(autouse=True, params=[1, 2, 1 << 20])
    def sorted_at_once(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("converter.source.reader._SORTED", request.param)

    @pytest.mark.parametrize("starts", [[], [10, 30, 20], [90], [110]])
    def test_apart(self, file: Path, starts: list[int]) -> None:
        with Reader(whole(file)) as reader:
            check_blocks(reader, starts, length=10, reserved=self.RESERVED)

    @pytest.mark.parametrize("starts", [[10, 19], [10, 10], [9], [0], [40, 91], [105]])
    def test_overlapping(self, file: Path, starts: list[int]) -> None:
        with Reader(whole(file)) as reader, pytest.raises(DamagedInputError) as caught:
            check_blocks(reader, starts, length=10, reserved=self.RESERVED)
        assert caught.value.code == "blocks-overlap"
