"""A Linux initramfs image, read as the kernel's init/initramfs.c unpacks it.

An image is any number of segments, each a newc cpio archive, as it is or compressed, with zero
bytes between (the kernel's Documentation/driver-api/early-userspace/buffer-format.rst). Each is
unpacked over what the ones before left: later entries replace earlier ones, symlinks in the way to
an entry are followed, and what has no directory to lie in is dropped.

Where another segment can be added
----------------------------------
`append` relies on what the kernel's decompressors do with what comes after a stream:

- gzip, bzip2, xz and zstd have an end mark. The kernel goes on at the byte after it: zero bytes
  are passed over, another stream may follow without a gap, and an uncompressed archive must start
  at a multiple of 4 from the start of the image.
- lzma: the range decoder may leave its last byte unread. That byte is zero, and is passed over.
- lz4 (legacy framing) has no end mark. A block size of zero ends it only since Linux 5.14 and the
  stable releases of mid-2021 ("lib/decompress_unlz4.c: correctly handle zero-padding around
  initrds"); before, zero padding made the decoder fail, and all that followed was lost. All
  versions continue with another lz4 stream that follows without a gap. Its archive continues the
  one before, so it must start at a multiple of 4 in the decompressed data.

So a segment is added without a gap and in the compression of the last one where its format has
streams follow each other: that is right for every kernel that read the image before, and tools
like zcat, which programs in the guest look into images with, still take the file for whole.
Otherwise it is added as it is, after zero bytes.
"""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, compression, cpio, kmod
from converter.formats.initramfs_tree import File, Tree, normalise, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

# Rescue images with all firmware hold about 600 MiB.
LIMIT: Final = 2 << 30
_ENTRY_LIMIT: Final = 200_000
_KEPT_LIMIT: Final = 64 << 20
# Names and links' targets of all entries: those of a rescue image have 3 MiB.
_NAMES_LIMIT: Final = 32 << 20

_ALIGN: Final = 512
_MARGIN: Final = 8
_STEP: Final = 1 << 20

_TEXT_LIMIT: Final = 1 << 20
_INDEX_LIMIT: Final = 16 << 20
_INDEX: Final = re.compile(r"(?:usr/)?lib/modules/[^/]+/modules\.[a-z.]+")
# What is read in images, and what a conversion may have to change in them.
_TEXT: Final = re.compile(
    r"init|conf/.+|config|config/.+|buildconfig|VERSION|cryptroot/crypttab"
    r"|etc/(?:cmdline|fstab|fstab\.sys|crypttab|lvm/lvm(?:local)?\.conf|(?:mdadm/)?mdadm\.conf)"
    r"|etc/(?:cmdline\.d|modprobe\.d|modules-load\.d)/.+"
    r"|(?:usr/|var/)?lib/dracut/hooks/.+|(?:usr/)?lib/modprobe\.d/.+"
)

# What only the early stages of the kernel read: microcode, ACPI tables (and dracut's marker).
_EARLY: Final = re.compile(r"kernel/.+|early_cpio")

# What shows which program made an image: the first match counts.
_GENERATORS: Final = (
    ("initramfs-tools", ("conf/initramfs.conf", "conf/arch.conf")),
    ("dracut", ("usr/lib/dracut", "lib/dracut", "usr/lib/dracut-lib.sh", "lib/dracut-lib.sh")),
    ("mkinitcpio", ("buildconfig", "init_functions", "hooks")),
    ("mkinitrd", ("run_all.sh", "mkinitrd.config")),
    ("nash", ("bin/nash", "sbin/nash", "usr/bin/nash")),
)

# The programs that load modules by the aliases of the devices they see: udev in the places it has
# had, and what Alpine Linux has instead.
_UDEV: Final = (
    "usr/lib/systemd/systemd-udevd",
    "lib/systemd/systemd-udevd",
    "usr/bin/udevadm",
    "bin/udevadm",
    "usr/lib/udev/udevd",
    "lib/udev/udevd",
    "sbin/udevd",
    "usr/bin/udevd",
    "sbin/nlplug-findfs",
    "usr/sbin/nlplug-findfs",
)
# Where dracut's module `squash` (squash-squashfs, squash-erofs) keeps all other files.
_INNER: Final = re.compile(r"(?:squash/)?(?:squash|squashfs|erofs)-root\.img")
_FLAT_MODULE: Final = re.compile(r"lib/[^/]+\.ko")


@dataclass(frozen=True, slots=True)
class Segment:
    """One archive of an image: where it lies, its compression ("none", "gzip", …), its size.

    `size` is that of the archive, decompressed. `early` archives hold nothing but what the kernel
    reads before it unpacks anything.
    """

    offset: int
    length: int
    compression: str
    size: int
    early: bool


@dataclass(frozen=True, slots=True)
class Image:
    """An initramfs: its segments, and the files it unpacks to, by path without a leading `/`."""

    length: int
    segments: tuple[Segment, ...]
    files: Mapping[str, File]

    def resolve(self, path: str) -> str | None:
        """Give the path without links of what `path` means; None if there is nothing there."""
        return resolve(self.files, path)

    def read(self, path: str) -> bytes | None:
        """Give the content of the file at `path`, links followed; None if it was not kept."""
        real = self.resolve(path)
        file = self.files.get(real) if real else None
        return file.data if file else None

    @property
    def generator(self) -> str:
        """Name the program that made the image; "" if nothing shows it."""
        return next(
            (name for name, marks in _GENERATORS if any(mark in self.files for mark in marks)), ""
        )

    @property
    def kernel_releases(self) -> tuple[str, ...]:
        """Give the releases that there are modules for, sorted."""
        bases = {self.resolve("lib/modules"), self.resolve("usr/lib/modules")}
        inside = (path for base in bases if base for path in self._below(base))
        return tuple(sorted({path.partition("/")[0] for path in inside}))

    def module_directory(self, release: str) -> str | None:
        """Give the directory, without links, where the image keeps the modules of `release`."""
        return self.resolve(f"lib/modules/{release}") or self.resolve(f"usr/lib/modules/{release}")

    def module_files(self, release: str) -> dict[str, str]:
        """Give the path of each module of `release`, relative to its directory, by its name."""
        base = self.module_directory(release)
        if base is None:
            return {}
        return kmod.paths_by_name(
            path
            for path in self._below(base)
            if kmod.MODULE_FILE.fullmatch(path.rpartition("/")[2])
            and self._is_file(f"{base}/{path}")
        )

    def _is_file(self, path: str) -> bool:
        real = self.resolve(path)
        return real is not None and real in self.files and stat.S_ISREG(self.files[real].mode)

    def _below(self, directory: str) -> Iterator[str]:
        """Give the paths of all that is below `directory`, relative to it, sorted."""
        prefix = f"{directory}/"
        return (path[len(prefix) :] for path in sorted(self.files) if path.startswith(prefix))

    def flat_modules(self) -> dict[str, str]:
        """Give the path of each module that lies in /lib itself, by its name.

        So are they in the images that are made for one kernel and load them by insmod (nash).
        """
        return kmod.paths_by_name(
            path
            for path in sorted(self.files)
            if _FLAT_MODULE.fullmatch(path) and self._is_file(path)
        )

    def modules(self, release: str) -> frozenset[str]:
        """Give the normalised names of the modules for `release` whose files are in the image."""
        return frozenset(self.module_files(release)) | frozenset(self.flat_modules())

    @property
    def has_udev(self) -> bool:
        """Tell whether something in the image loads modules by the aliases of devices."""
        return any(self.resolve(path) is not None for path in _UDEV)

    @property
    def inner(self) -> str:
        """Give the path of the image within that holds the files themselves; "" if there is none.

        What such a file holds cannot be seen here, and hides what lies beside it.
        """
        return next((path for path in sorted(self.files) if _INNER.fullmatch(path)), "")


def keep_indexes(path: str, size: int) -> bool:
    """Ask for the data of module indexes and of small configuration files."""
    if _INDEX.fullmatch(path):
        return size <= _INDEX_LIMIT
    return size <= _TEXT_LIMIT and _TEXT.fullmatch(path) is not None


def read(
    data: bytes, *, limit: int = LIMIT, keep: Callable[[str, int], bool] = keep_indexes
) -> Image:
    """Read an initramfs image.

    `limit` is the most that all archives together may hold, in bytes. Of regular files, those
    come with their data that `keep` (of path as in the archive, and size) asks for. Raises
    `FormatError` with the offset of the segment that cannot be read.
    """
    return _Reader(data, limit=limit, keep=keep).read()


class _Reader:
    """The state of reading one image."""

    def __init__(self, data: bytes, *, limit: int, keep: Callable[[str, int], bool]) -> None:
        self._data = data
        self._left = limit
        self._keep = keep
        self._tree = Tree()
        self._entries = 0
        self._kept = 0
        self._names = 0

    def read(self) -> Image:
        segments = tuple(self._segments())
        if not segments:
            raise FormatError("initramfs: there is no archive in it")
        return Image(len(self._data), segments, self._tree.files)

    def _segments(self) -> Iterator[Segment]:
        offset = self._skip_zeros(0)
        while offset < len(self._data):
            try:
                segment = self._segment(offset)
            except FormatError as error:
                raise FormatError(f"initramfs: segment at offset {offset}: {error}") from error
            yield segment
            self._left -= segment.size
            offset = self._skip_zeros(segment.offset + segment.length)

    def _skip_zeros(self, offset: int) -> int:
        while offset < len(self._data) and self._data[offset] == 0:
            piece = self._data[offset : offset + _STEP]
            offset += len(piece) - len(piece.lstrip(b"\0"))
        return offset

    def _segment(self, offset: int) -> Segment:
        if self._data[offset : offset + 6] in cpio.MAGICS:
            return self._plain(offset)
        if self._data[offset : offset + 6] == b"070707":
            raise FormatError("a cpio archive in the old portable format, which Linux cannot read")
        return self._compressed(offset)

    def _plain(self, offset: int) -> Segment:
        if offset % 4:
            raise FormatError("an uncompressed archive that is not at a multiple of 4")
        source = cpio.Source(self._pieces(offset), limit=self._left)
        end = 0
        early = set()
        while source.peek() == ord("0"):
            entry = self._take(source)
            end = source.offset
            if entry.is_trailer:
                break
            if not stat.S_ISDIR(entry.mode):
                early.add(_EARLY.fullmatch(normalise(entry.name)) is not None)
            source.skip_zeros()
        return Segment(offset, end, "none", end, early=early == {True})

    def _pieces(self, offset: int) -> Iterator[bytes]:
        for start in range(offset, len(self._data), _STEP):
            yield self._data[start : start + _STEP]

    def _compressed(self, offset: int) -> Segment:
        stream = compression.Stream(self._data, offset, limit=self._left)
        source = cpio.Source(stream, limit=self._left)
        source.skip_zeros()
        while source.peek() is not None:
            self._take(source)
            source.skip_zeros()
        return Segment(offset, stream.end - offset, stream.name, source.offset, early=False)

    def _take(self, source: cpio.Source) -> cpio.Entry:
        """Read one entry into the tree."""
        if source.offset % 4:
            raise FormatError(f"a cpio entry at offset {source.offset}, not a multiple of 4")
        entry = cpio.read_entry(source, keep=self._wanted)
        self._entries += 1
        if self._entries > _ENTRY_LIMIT:
            raise FormatError(f"more than {_ENTRY_LIMIT} entries")
        self._names += len(entry.name) + (entry.size if stat.S_ISLNK(entry.mode) else 0)
        if self._names > _NAMES_LIMIT:
            raise FormatError(f"names of more than {_NAMES_LIMIT} bytes")
        self._tree.add(entry)
        return entry

    def _wanted(self, header: cpio.Header) -> bool:
        if not stat.S_ISREG(header.mode) or not self._keep(normalise(header.name), header.size):
            return False
        self._kept += header.size
        if self._kept > _KEPT_LIMIT:
            raise FormatError(f"its configuration files hold more than {_KEPT_LIMIT} bytes")
        return True


# --- adding a segment -----------------------------------------------------------------------------


def append(image: Image, archive: bytes) -> bytes:
    """Give what to add to the end of the image's file so that the kernel unpacks `archive` last.

    `archive` is an uncompressed newc archive. See the module's text for what it becomes.
    """
    last = image.segments[-1]
    adjacent = last.offset + last.length == image.length
    if adjacent and last.compression in compression.JOINABLE:
        gap = -last.size % 4 if last.compression == "lz4" else 0
        return compression.compress(bytes(gap) + archive, last.compression)
    gap = _MARGIN + -(image.length + _MARGIN) % _ALIGN
    return bytes(gap) + archive
