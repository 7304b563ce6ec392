"""Disk images: opened as the converter opens what it was given, by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
from functools import partial
from typing import TYPE_CHECKING
from unittest import mock

import zstandard

from converter.source import open_source, overlay
from converter.source.blocks import VirtualDisk
from converter.source.copy import CopyJob
from tests.fuzz import repairs
from tests.fuzz.layout import Layout
from tests.fuzz.target import of_file
from tests.unit.source import build

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from converter.model import SourceDisk

_MIB = 1 << 20
_KIB = 1 << 10


def _open(path: Path) -> tuple[SourceDisk, ...]:
    source = open_source([path], work=path.parent)
    for disk in source.disks:
        assert disk.virtual_size > 0
        overlay.filename(overlay.node(disk, path.parent))
    return source.disks


def _copy(disks: Iterable[SourceDisk]) -> None:
    """Copy disks of no more than a few megabytes: the copy is what is read of them one by one."""
    for disk in disks:
        if disk.virtual_size < 8 * _MIB:
            target = disk.file.path.with_name("copy")
            job = CopyJob(disk, target, progress=lambda _: None)
            job.start()
            job.wait()
            with VirtualDisk(disk) as opened:
                assert opened.read(0, opened.size) == target.read_bytes()


_SPARSE = Layout(((0, 79), (512, 600), (21 * 512, 16), (22 * 512, 64)), 3 * 64 * _KIB)


@of_file(
    lambda: [_SPARSE.packed(build.sparse_vmdk({0: b"x" * build.GRAIN, 1: b"y"}, 513))],
    name="a.vmdk",
    put=_SPARSE.put,
)
def vmdk_sparse(path: Path) -> None:
    _copy(_open(path))


_STREAM = Layout(((0, 79), (512, 600), (64 * _KIB, 6 * _KIB)), 70 * _KIB)


def _streams() -> Iterable[bytes]:
    data = {0: b"x" * build.GRAIN, 2: build.pattern(64) * 1024}
    made = build.stream_vmdk(data, 513)
    yield _STREAM.packed(made)


@of_file(_streams, name="a.vmdk", put=_STREAM.put)
def vmdk_stream(path: Path) -> None:
    _copy(_open(path))


def _put_descriptor(path: Path, data: bytes) -> None:
    """Write a descriptor, and the files it may name beside it."""
    path.write_bytes(data)
    for name in ("x-flat.vmdk", "x-f001.vmdk"):
        with path.with_name(name).open("wb") as file:
            file.truncate(_MIB)
    _SPARSE.put(path.with_name("x-s001.vmdk"), _SPARSE_SEED)


_SPARSE_SEED = _SPARSE.packed(build.sparse_vmdk({0: b"x" * build.GRAIN}, 513, text=""))


def _descriptors() -> Iterable[bytes]:
    flat = ['RW 1024 FLAT "x-flat.vmdk" 0', 'RW 1024 FLAT "x-f001.vmdk" 1024', "RW 8 ZERO"]
    yield build.descriptor(flat[:1], kind="monolithicFlat").encode()
    yield build.descriptor(flat, kind="twoGbMaxExtentFlat").encode()
    yield build.descriptor(
        ['RW 513 SPARSE "x-s001.vmdk"', "RW 100 ZERO"], kind="twoGbMaxExtentSparse"
    ).encode()
    yield build.descriptor(['RW 1024 VMFS "x-flat.vmdk"'], kind="vmfs", parent="1234").encode()


@of_file(_descriptors, name="x.vmdk", put=_put_descriptor)
def vmdk_descriptor(path: Path) -> None:
    _copy(_open(path))


_VHD = Layout(((0, 96), (512, 64), (1536, 32), (2048, 64), (2048 + 2 * _MIB + 512, 512)),
              2048 + 2 * _MIB + 1024)  # fmt: skip


def _vhds() -> Iterable[bytes]:
    yield _VHD.packed(build.dynamic_vhd({0: b"x"}, 3 * _MIB))
    fixed = bytes(2048 + 2 * _MIB + 512) + build.vhd_footer(2048 + 2 * _MIB + 512, 2)
    yield _VHD.packed(fixed)


@of_file(_vhds, name="a.vhd", put=_VHD.put, repair=partial(repairs.vhd, _VHD))
def vhd(path: Path) -> None:
    _copy(_open(path))


_VHDX = Layout(
    ((0, 8), (64 * _KIB, 128), (128 * _KIB, 128), (192 * _KIB, 160), (256 * _KIB, 160),
     (_MIB, 128), (2 * _MIB, 160), (2 * _MIB + 64 * _KIB, 48), (3 * _MIB, 64)),
    6 * _MIB,
)  # fmt: skip


def _vhdxs() -> Iterable[bytes]:
    yield _VHDX.packed(build.vhdx({0: b"x", 1: b"y"}, 3 * _MIB))
    header = build.vhdx_header(sequence=3, log=b"l" * 16)
    yield _VHDX.packed(build.vhdx({0: b"x"}, 3 * _MIB, headers=(header, bytes(4096)), log=b"loge"))


@of_file(_vhdxs, name="a.vhdx", put=_VHDX.put, repair=partial(repairs.vhdx, _VHDX))
def vhdx(path: Path) -> None:
    with mock.patch("converter.source.vhdx.crc32c", repairs.quick_crc32c):
        _copy(_open(path))


_VDI = Layout(((0, 16), (64, 424), (512, 64)), 3 * _MIB)


@of_file(
    lambda: [
        _VDI.packed(build.vdi({0: b"x", 2: b"y"}, 3 * _MIB + 512, kind=kind)) for kind in (1, 2)
    ],
    name="a.vdi",
    put=_VDI.put,
)
def vdi(path: Path) -> None:
    _copy(_open(path))


_CLUSTER = 64 * _KIB
_QCOW2 = Layout(
    ((0, 128), (_CLUSTER, 8), (2 * _CLUSTER, 32), (3 * _CLUSTER, 32), (4 * _CLUSTER, 64)),
    7 * _CLUSTER,
)


def _qcow2s() -> Iterable[bytes]:
    yield _QCOW2.packed(build.qcow2({0: b"x", 2: b"y"}, 3 * _MIB))
    yield _QCOW2.packed(build.qcow2({0: b"x"}, 3 * _MIB, version=2))
    yield _QCOW2.packed(build.qcow2({0: b"x"}, 3 * _MIB, features=16))
    yield _QCOW2.packed(build.qcow2({}, _MIB, table={0: (1 << 62 | 5 * _CLUSTER,)}))


@of_file(_qcow2s, name="a.qcow2", put=_QCOW2.put)
def qcow2(path: Path) -> None:
    _copy(_open(path))


_FIXED = build.fixed_vhd(bytes(512) * 3)


def _ovfs() -> Iterable[bytes]:
    files = ('<File ovf:href="a.vhd" ovf:id="f0"/>', '<File ovf:href="b.vhd" ovf:id="f1"/>')
    disks = tuple(
        f'<Disk ovf:capacity="1" ovf:diskId="d{number}" ovf:fileRef="f{number}"/>'
        for number in (0, 1)
    )
    yield build.ovf(files[:1], disks[:1]).encode()
    items = build.drive("ovf:/disk/d1") + build.drive("ovf:/disk/d0", place="1")
    yield build.ovf(files, disks, items).encode()
    yield build.ovf(files, disks, items).encode("utf-16")
    cut = '<File ovf:href="c.vhd" ovf:id="f0" ovf:size="2048" ovf:chunkSize="1536"/>'
    yield build.ovf([cut], disks[:1]).encode()


def _put_ovf(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    for name in ("a.vhd", "b.vhd"):
        path.with_name(name).write_bytes(_FIXED)
    for name, chunk in build.chunks("c.vhd", _FIXED, 1536):
        path.with_name(name).write_bytes(chunk)


@of_file(_ovfs, name="a.ovf", put=_put_ovf)
def ovf(path: Path) -> None:
    _open(path)


def _ovas() -> Iterable[bytes]:
    text = build.ovf(('<File ovf:href="a.vhd" ovf:id="f0"/>',)).encode()
    yield build.tar(("a.ovf", text), ("a.vhd", _FIXED))
    long = build.tar_header(b"././@LongLink", b"%011o" % 200, b"L") + b"a.vhd".ljust(512, b"\0")
    yield build.tar(("a.ovf", text), end=long + build.tar(("x", _FIXED)))
    pax = b"14 path=a.vhd\n17 size=00002048\n"
    records = build.tar_header(b"x", b"%011o" % len(pax), b"x") + pax.ljust(512, b"\0")
    yield build.tar(("a.ovf", text), end=records + build.tar(("x", _FIXED)))


@of_file(_ovas, name="a.ova", repair=repairs.tar)
def ova(path: Path) -> None:
    _open(path)


def _packed_disks() -> Iterable[bytes]:
    raw = bytes(8 * _KIB) + build.pattern(4 * _KIB)
    yield gzip.compress(raw, mtime=0)
    yield bz2.compress(raw) + bz2.compress(raw)
    yield lzma.compress(raw)
    yield zstandard.ZstdCompressor().compress(raw)
    yield gzip.compress(_FIXED, mtime=0)


@of_file(_packed_disks, name="disk")
def compressed_disk(path: Path) -> None:
    _open(path)


@of_file(lambda: [build.pattern(4 * _KIB), b"\x7fELF" + bytes(600), b"text\n" * 200], name="disk")
def raw_disk(path: Path) -> None:
    _open(path)
