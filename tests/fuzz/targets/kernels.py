"""Kernels, their modules and indexes, and initramfs images in every compression."""

from __future__ import annotations

import gzip
import lzma
from typing import TYPE_CHECKING

from converter.formats import compression as streams
from converter.formats import cpio as cpio_codec
from converter.formats import initramfs as initramfs_codec
from converter.formats import initramfs_drivers, kmod, kmod_index, linux_image
from tests.fuzz import seeds
from tests.fuzz.target import of_bytes, of_text
from tests.unit import initramfs_samples
from tests.unit.formats import test_initramfs, test_initramfs_drivers, test_kmod, test_linux_image
from tests.unit.formats.test_compression import ENCODERS

if TYPE_CHECKING:
    from collections.abc import Iterable

_LIMIT = 1 << 20


def _archives() -> Iterable[bytes]:
    yield test_initramfs.EARLY
    yield test_initramfs.MAIN + bytes(512) + test_initramfs.EXTRA
    yield initramfs_samples.debian_image()


@of_bytes(_archives)
def cpio(data: bytes) -> None:
    entries = list(cpio_codec.read(cpio_codec.Source([data], limit=_LIMIT)))
    for entry in entries:
        assert entry.data is None or len(entry.data) == entry.size


def _images() -> Iterable[bytes]:
    early = test_initramfs.EARLY.ljust(1024, b"\0")
    yield from _archives()
    for encode in ENCODERS.values():
        yield early + encode(test_initramfs.MAIN)
    yield initramfs_samples.debian_image(extra={"sbin/init": b"nash", "linuxrc": b"#!/bin/nash\n"})


@of_bytes(_images)
def initramfs(data: bytes) -> None:
    image = initramfs_codec.read(data, limit=_LIMIT)
    for release in image.kernel_releases:
        image.modules(release)
        image.module_files(release)
    image.resolve("etc/modules")
    assert image.generator is not None
    added = initramfs_codec.append(image, test_initramfs.EXTRA)
    again = initramfs_codec.read(
        data + added, limit=2 * _LIMIT, keep=lambda path, _size: path == "extra"
    )
    assert again.read("extra") == b"1"


@of_bytes(_images)
def initramfs_addition(data: bytes) -> None:
    image = initramfs_codec.read(data, limit=_LIMIT)
    added = initramfs_drivers.add_drivers(
        image, test_initramfs_drivers.modules(), ["nvme", "xen_blkfront", "crc_generic"]
    )
    if added.archive is not None:
        whole = data + initramfs_codec.append(image, added.archive)
        initramfs_codec.read(whole, limit=2 * _LIMIT)


@of_bytes(lambda: [encode(bytes(range(256)) * 20) for encode in ENCODERS.values()])
def compression(data: bytes) -> None:
    content, end = streams.decompress(data, limit=_LIMIT)
    assert len(content) <= _LIMIT
    assert end <= len(data)


@of_bytes(
    lambda: (
        [name.encode() + b"\0" + initramfs_samples.module(name) for name in ("a.ko", "a.ko.xz")]
        + [
            b"a.ko.gz\0" + gzip.compress(b"\x7fELF"),
            b"a.ko.zst\0" + ENCODERS["zstd"](b"\x7fELF" * 9),
        ]
    )
)
def kernel_module(data: bytes) -> None:
    name, _, content = data.partition(b"\0")
    streams.decompress_module(content, name.decode("utf-8", "surrogateescape"), limit=_LIMIT)


@of_bytes(
    lambda: [
        test_linux_image.bzimage(lzma.compress(test_linux_image.KERNEL) + bytes(4)),
        test_linux_image.bzimage(gzip.compress(test_linux_image.KERNEL, mtime=0) + bytes(4)),
    ]
)
def kernel_image(data: bytes) -> None:
    linux_image.starts_by_itself(linux_image.kernel(data))


@of_bytes(lambda: [test_linux_image.KERNEL])
def kernel_elf(data: bytes) -> None:
    linux_image.starts_by_itself(data)


@of_text(seeds.texts(test_kmod.DEP, initramfs_samples.DEP))
def modules_dep(text: str) -> None:
    dependencies = kmod.parse_dep(text)
    names = kmod.paths_by_name(dependencies)
    assert kmod.parse_dep(kmod.format_dep(dependencies)) == dependencies
    kmod.closure(dependencies, list(names)[:8])


_BLOCKED = "blacklist floppy\ninstall nvme /bin/false\n# x\noptions a b\nblacklist a-b \\\n c\n"
_SOFT = "softdep nvme pre: a b post: c\nsoftdep ext4 pre: crc32c\n# x\n"


@of_text(
    seeds.texts(initramfs_samples.NVME_ALIAS + initramfs_samples.XEN_ALIAS, _BLOCKED, _SOFT,
                "kernel/fs/ext4/ext4.ko\nkernel/a-b.ko.xz\n", "alias pci:v[0-9A]d? a\nalias [ b\n")
)  # fmt: skip
def modules_alias(text: str) -> None:
    aliases = kmod.parse_alias(text)
    assert kmod.parse_alias(kmod.format_alias(aliases)) == aliases
    softdeps = kmod.parse_softdep(text)
    assert kmod.parse_softdep(kmod.format_softdep(softdeps)) == softdeps
    kmod.parse_builtin(text)
    kmod.parse_blocked(text)
    for alias in aliases[:20]:
        kmod.normalise_alias(alias.pattern)
        kmod.resolve(alias.pattern, names=["nvme"], aliases=aliases[:100])


def _indexes() -> Iterable[bytes]:
    dependencies = kmod.parse_dep(test_kmod.DEP)
    aliases = kmod.parse_alias(initramfs_samples.NVME_ALIAS + initramfs_samples.XEN_ALIAS)
    yield kmod_index.write_dep(dependencies)
    yield kmod_index.write_alias(aliases, order=["nvme", "xen_blkfront"])
    yield kmod_index.write_builtin(["ext4", "nvme", "nvme_core"])


@of_bytes(_indexes, large=True)
def modules_bin(data: bytes) -> None:
    items = kmod_index.read(data)
    kmod_index.read_dep(data)
    kmod_index.read_alias(data)
    assert sorted(kmod_index.read(kmod_index.write(items)), key=repr) == sorted(items, key=repr)
