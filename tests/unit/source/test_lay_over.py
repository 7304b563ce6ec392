"""Changes are laid over a copy: data, and zeros as holes; what an overlay does not hold stays."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.errors import ConversionError
from converter.source import sparse
from converter.source.lay_over import lay_over
from tests.unit.source.build import pattern, qcow2

if TYPE_CHECKING:
    from pathlib import Path

CLUSTER = 1 << 16
SIZE = 20 * CLUSTER + 512
ZERO = 1


def laid(tmp_path: Path, base: bytes, image: bytes) -> bytes:
    overlay, target = tmp_path / "overlay.qcow2", tmp_path / "target.raw"
    overlay.write_bytes(image)
    target.write_bytes(base)
    lay_over(overlay, target)
    return target.read_bytes()


@given(
    kinds=st.lists(st.sampled_from(["below", "data", "zeros", "zero"]), min_size=20, max_size=20)
)
def test_each_cluster_is_what_it_was_made(
    kinds: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = pattern(SIZE)
    data = {number: bytes([number + 1]) * CLUSTER for number in range(20)}
    held = {number: data[number] for number, kind in enumerate(kinds) if kind == "data"}
    held |= {number: bytes(CLUSTER) for number, kind in enumerate(kinds) if kind == "zeros"}
    table = {number: (ZERO,) for number, kind in enumerate(kinds) if kind == "zero"}
    wanted = {"below": lambda n: base[n * CLUSTER : (n + 1) * CLUSTER], "data": data.__getitem__}
    expected = b"".join(
        wanted.get(kind, lambda _: bytes(CLUSTER))(number) for number, kind in enumerate(kinds)
    )
    found = laid(tmp_path_factory.mktemp("laid"), base, qcow2(held, SIZE, table=table))
    assert found == expected + base[20 * CLUSTER :]


def test_the_last_cluster_of_the_disk_is_a_part_of_one(tmp_path: Path) -> None:
    image = qcow2({20: b"x" * CLUSTER}, SIZE)
    assert laid(tmp_path, bytes(SIZE), image) == bytes(20 * CLUSTER) + b"x" * 512


def test_the_last_cluster_of_the_file_may_be_cut_off(tmp_path: Path) -> None:
    image = qcow2({3: b"x" * CLUSTER}, SIZE)[: -CLUSTER + 100]
    found = laid(tmp_path, pattern(SIZE), image)
    assert found[3 * CLUSTER : 4 * CLUSTER] == b"x" * 100 + bytes(CLUSTER - 100)


def test_a_disk_may_have_grown(tmp_path: Path) -> None:
    found = laid(tmp_path, b"a" * CLUSTER, qcow2({2: b"x" * CLUSTER}, SIZE))
    expected = b"a" * CLUSTER + bytes(CLUSTER) + b"x" * CLUSTER
    assert found == expected.ljust(SIZE, b"\0")


def test_nothing_of_an_empty_overlay(tmp_path: Path) -> None:
    assert laid(tmp_path, pattern(SIZE), qcow2({}, SIZE, l1=[0])) == pattern(SIZE)


def test_zeros_take_no_room(tmp_path: Path) -> None:
    laid(tmp_path, pattern(SIZE), qcow2({}, SIZE, table=dict.fromkeys(range(20), (ZERO,))))
    assert (tmp_path / "target.raw").stat().st_blocks * 512 <= CLUSTER


def test_a_whole_table_of_zeros(tmp_path: Path) -> None:
    entries = CLUSTER // 8
    image = qcow2({}, SIZE, table=dict.fromkeys(range(entries), (ZERO,)))
    assert laid(tmp_path, pattern(SIZE), image) == bytes(SIZE)


def test_a_filesystem_without_holes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Libc:
        @staticmethod
        def fallocate(*_: Any) -> int:
            return -1

    monkeypatch.setattr(sparse, "_LIBC", Libc)
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EOPNOTSUPP)
    found = laid(tmp_path, pattern(SIZE), qcow2({}, SIZE, table={1: (ZERO,), 2: (ZERO,)}))
    assert found == pattern(SIZE)[:CLUSTER] + bytes(2 * CLUSTER) + pattern(SIZE)[3 * CLUSTER :]


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(ConversionError) as caught:
        laid(tmp_path, pattern(SIZE), qcow2({2: b"x" * CLUSTER}, SIZE))
    assert (caught.value.code, caught.value.exit_code) == ("disk-full", 5)


@pytest.mark.parametrize(
    "image",
    [
        qcow2({2: b"x" * CLUSTER}, SIZE)[: 4 * CLUSTER],
        qcow2({}, SIZE, features=4),
        qcow2({}, SIZE, features=16),
        qcow2({}, SIZE, bits=16).replace(b"QFI", b"XXX"),
        b"",
    ],
    ids=["cut off", "data elsewhere", "parts of clusters", "no qcow2", "empty"],
)
def test_an_overlay_that_is_not_what_was_made_is_no_fault_of_the_source(
    tmp_path: Path, image: bytes
) -> None:
    with pytest.raises(ConversionError) as caught:
        laid(tmp_path, pattern(SIZE), image)
    assert (caught.value.code, caught.value.exit_code) == ("lay-over-failed", 6)
    assert (tmp_path / "target.raw").read_bytes() == pattern(SIZE)


@pytest.mark.parametrize("call", ["open", "pread"])
def test_an_overlay_that_cannot_be_read_is_no_fault_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    original = getattr(os, call)

    def fails(what: Any, *arguments: Any) -> Any:
        if call == "pread" or str(what).endswith("overlay.qcow2"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(what, *arguments)

    monkeypatch.setattr(os, call, fails)
    with pytest.raises(ConversionError) as caught:
        laid(tmp_path, pattern(SIZE), qcow2({2: b"x" * CLUSTER}, SIZE))
    assert (caught.value.code, caught.value.exit_code) == ("lay-over-failed", 6)
