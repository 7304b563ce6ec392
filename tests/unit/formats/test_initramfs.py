"""Images put together from segments as the kernel's buffer-format.rst allows them."""

from __future__ import annotations

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import FormatError, compression, cpio, initramfs
from converter.formats.cpio import Item, Kind

RELEASE = "6.1.0-1-amd64"
DIRECTORY = Kind.DIRECTORY
MODULES = f"usr/lib/modules/{RELEASE}"

EARLY = cpio.write(
    [
        Item("kernel", DIRECTORY),
        Item("kernel/x86", DIRECTORY),
        Item("kernel/x86/microcode", DIRECTORY),
        Item("kernel/x86/microcode/GenuineIntel.bin", data=b"microcode"),
    ]
)
MAIN = cpio.write(
    [
        *(Item(d, DIRECTORY) for d in ("usr", "usr/lib", "usr/lib/modules", MODULES)),
        Item("lib", Kind.SYMLINK, b"usr/lib"),
        Item(f"{MODULES}/xen-blkfront.ko", data=b"\x7fELF" * 100),
        Item(f"{MODULES}/nvme.ko.xz", data=b"\x7fELF" * 100),
        Item(f"{MODULES}/modules.dep", data=b"nvme.ko.xz:\n"),
        Item("conf", DIRECTORY),
        Item("conf/initramfs.conf", data=b"MODULES=most\n"),
    ]
)
EXTRA = cpio.write([Item("extra", data=b"1")])


def lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, format=lzma.FORMAT_ALONE)


def test_one_plain_archive() -> None:
    image = initramfs.read(MAIN)
    (segment,) = image.segments
    assert (segment.offset, segment.length, segment.size) == (0, len(MAIN), len(MAIN))
    assert (segment.compression, segment.early) == ("none", False)


@pytest.mark.parametrize("kind", sorted(compression.JOINABLE))
def test_microcode_then_a_compressed_archive(kind: str) -> None:
    stream = compression.compress(MAIN, kind)
    early = EARLY.ljust(-(-len(EARLY) // 512) * 512, b"\0")
    image = initramfs.read(early + stream + bytes(12))
    first, second = image.segments
    assert (first.compression, first.early, first.offset, first.length) == (
        "none", True, 0, len(EARLY)
    )  # fmt: skip
    assert (second.compression, second.early) == (kind, False)
    assert (second.offset, second.length, second.size) == (len(early), len(stream), len(MAIN))
    assert image.modules(RELEASE) == {"xen_blkfront", "nvme"}
    assert "kernel/x86/microcode/GenuineIntel.bin" in image.files


def test_modules_and_links() -> None:
    image = initramfs.read(MAIN)
    assert image.kernel_releases == (RELEASE,)
    assert image.resolve("lib/modules") == "usr/lib/modules"
    assert image.module_directory(RELEASE) == MODULES
    assert image.module_files(RELEASE) == {
        "nvme": "nvme.ko.xz",
        "xen_blkfront": "xen-blkfront.ko",
    }
    assert image.modules("5.0") == frozenset()


def test_only_what_is_asked_for_is_kept() -> None:
    image = initramfs.read(MAIN)
    assert image.read(f"lib/modules/{RELEASE}/modules.dep") == b"nvme.ko.xz:\n"
    assert image.read("conf/initramfs.conf") == b"MODULES=most\n"
    assert image.read(f"{MODULES}/nvme.ko.xz") is None
    assert image.read("none") is None
    everything = initramfs.read(MAIN, keep=lambda _path, _size: True)
    assert everything.read(f"{MODULES}/nvme.ko.xz") == b"\x7fELF" * 100


@pytest.mark.parametrize(
    ("path", "size", "kept"),
    [
        ("usr/lib/modules/6.1/modules.alias", 2 << 20, True),
        ("lib/modules/6.1/modules.dep.bin", 17 << 20, False),
        ("conf/modules", 100, True),
        ("conf/modules", 2 << 20, False),
        ("bin/busybox", 100, False),
    ],
)
def test_what_is_kept_by_itself(path: str, size: int, *, kept: bool) -> None:
    assert initramfs.keep_indexes(path, size) is kept


@pytest.mark.parametrize(
    ("path", "generator"),
    [
        ("conf/initramfs.conf", "initramfs-tools"),
        ("usr/lib/dracut/build-parameter.txt", "dracut"),
        ("init_functions", "mkinitcpio"),
        ("run_all.sh", "mkinitrd"),
        ("init", ""),
    ],
)
def test_generators(path: str, generator: str) -> None:
    parts = path.split("/")
    parents = [Item("/".join(parts[:depth]), DIRECTORY) for depth in range(1, len(parts))]
    assert initramfs.read(cpio.write([*parents, Item(path)])).generator == generator


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "no archive"),
        (bytes(2000), "no archive"),
        (MAIN + b"junk", f"segment at offset {len(MAIN)}: .*not known"),
        (MAIN + bytes(2) + EXTRA, "not at a multiple of 4"),
        (b"070707" + bytes(100), "old portable format"),
        (compression.compress(MAIN, "gzip")[:-20], "segment at offset 0: .*cut off"),
        (compression.compress(b"not cpio" * 20, "xz"), "its magic is b'not cp'"),
        (compression.compress(MAIN + b"\0\0" + MAIN, "zstd"), "not a multiple of 4"),
        (b"\x89LZO\x00\r\n\x1a\n" + bytes(100), "lzo stream .*cannot be read"),
        (compression.compress(MAIN, "lz4") + EXTRA, "cannot be"),
    ],
)
def test_unreadable(data: bytes, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        initramfs.read(data)


def test_the_limit_counts_all_segments() -> None:
    data = MAIN + compression.compress(MAIN, "gzip")
    assert len(initramfs.read(data, limit=2 * len(MAIN)).segments) == 2
    with pytest.raises(FormatError, match="more than"):
        initramfs.read(data, limit=2 * len(MAIN) - 1)


@given(st.integers(0, 3000), st.integers(0, 255))
def test_damage_is_found_or_harmless(place: int, value: int) -> None:
    data = bytearray(EARLY + MAIN)
    data[place % len(data)] = value
    try:
        initramfs.read(bytes(data))
    except FormatError:
        return


# --- adding a segment -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", sorted(compression.JOINABLE))
def test_another_stream_follows_without_a_gap(kind: str) -> None:
    base = compression.compress(MAIN, kind)
    more = initramfs.append(initramfs.read(base), EXTRA)
    assert compression.detect(more) == kind
    image = initramfs.read(base + more)
    assert image.files["extra"].size == 1
    assert image.modules(RELEASE) == {"xen_blkfront", "nvme"}
    assert {segment.compression for segment in image.segments} == {kind}


@pytest.mark.parametrize(
    "base",
    [MAIN, lzma_alone(MAIN), compression.compress(MAIN, "lz4") + bytes(4), EARLY + MAIN],
    ids=["none", "lzma", "padded", "two"],
)
def test_otherwise_it_comes_plain_after_zeros(base: bytes) -> None:
    more = initramfs.append(initramfs.read(base), EXTRA)
    assert more.endswith(EXTRA)
    gap = len(more) - len(EXTRA)
    assert gap >= 8
    assert more[:gap] == bytes(gap)
    assert (len(base) + gap) % 512 == 0
    image = initramfs.read(base + more)
    assert image.segments[-1].compression == "none"
    assert image.segments[-1].offset == len(base) + gap
    assert "extra" in image.files


def test_an_lz4_archive_of_any_length_is_continued_at_a_multiple_of_4() -> None:
    base = compression.compress(MAIN + bytes(3), "lz4")
    image = initramfs.read(base + initramfs.append(initramfs.read(base), EXTRA))
    assert "extra" in image.files
    assert len(image.segments) == 1


@pytest.mark.parametrize("kind", sorted(compression.JOINABLE))
def test_after_an_archive_that_is_not_padded(kind: str) -> None:
    """Offsets count from the start of each stream (init/initramfs.c), but lz4 streams are one."""
    base = compression.compress(MAIN + b"\0\0", kind)
    image = initramfs.read(base + initramfs.append(initramfs.read(base), EXTRA))
    assert "extra" in image.files


def test_modules_without_a_directory_of_their_release() -> None:
    """RHEL 5's mkinitrd puts them into /lib; an image of it is for one kernel."""
    archive = cpio.write(
        [Item("lib", DIRECTORY), Item("lib/xen-vbd.ko"), Item("lib/libc.so"), Item("lib/a.ko.d")]
    )
    image = initramfs.read(archive)
    assert image.flat_modules() == {"xen_vbd": "lib/xen-vbd.ko"}
    assert image.modules(RELEASE) == {"xen_vbd"}
    assert image.module_files(RELEASE) == {}


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("usr/lib/systemd/systemd-udevd", True),
        ("sbin/udevd", True),
        ("sbin/mdev", False),
        ("init", False),
    ],
)
def test_what_loads_modules_by_alias(path: str, *, there: bool) -> None:
    parts = path.split("/")
    parents = [Item("/".join(parts[:depth]), DIRECTORY) for depth in range(1, len(parts))]
    assert initramfs.read(cpio.write([*parents, Item(path)])).has_udev is there


def test_an_image_in_an_image() -> None:
    image = initramfs.read(cpio.write([Item("init"), Item("squash-root.img")]))
    assert image.inner == "squash-root.img"
    assert initramfs.read(MAIN).inner == ""


def test_names_have_a_bound_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """200,000 entries with names and targets of 4 KiB each would take 1.6 GiB."""
    monkeypatch.setattr(initramfs, "_NAMES_LIMIT", 10_000)
    name, target = "n" * 200, b"t" * 200
    few = [Item(f"{name}{number}", Kind.SYMLINK, target) for number in range(20)]
    assert len(initramfs.read(cpio.write(few)).files) == 20
    with pytest.raises(FormatError, match="names of more than 10000 bytes"):
        initramfs.read(cpio.write([*few, Item(name * 20, Kind.SYMLINK, target)]))
