"""Which filesystem, or which Btrfs subvolume of one, holds the system that starts.

Snapshots, backups and containers look like systems, too. The one that starts is the one whose own
fstab says that it is the root; of several such, the one that a boot loader on the disks starts. If
that leaves more than one, these are several systems, and none is guessed (SPEC, FS-3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError, GuestRefusedError
from converter.formats import fstab
from converter.guest import paths
from converter.guest.subtree import Subtree
from converter.model import FileKind, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from converter.guest.protocol import BlockDevices, ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Filesystem, Subvolume

FSTAB: Final = "/etc/fstab"
SEVERAL_MESSAGE: Final = "Unsupported configuration - Multiple directories found"
# Where the user guide words it differently, this is what users see.
UNKNOWN_MESSAGE: Final = "Unknown OS / Missing OS files."
FSTAB_MESSAGE: Final = "Invalid configuration - Could not read fstab"
TYPES: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "jfs"})
# Those of other systems, and of Linux that EC2's own kernels or the appliance do not read.
_UNREAD_TYPES: Final = frozenset(
    {"apfs", "bcachefs", "f2fs", "hfsplus", "nilfs2", "reiser4", "reiserfs", "ufs", "zfs_member"}
)
# Any one of the first and one of the second make a directory tree a Linux root. The second may be
# links into a /usr that is another filesystem.
_SYSTEM_FILES: Final = (FSTAB, "/etc/os-release", "/usr/lib/os-release", "/etc/passwd")
_SYSTEM_DIRECTORIES: Final = ("/bin", "/sbin", "/usr/bin")
# A host of many containers has hundreds of subvolumes; the system's is not far from the top.
_SUBVOLUME_LIMIT: Final = 256

_BOOT_TYPES: Final = TYPES | {"vfat"}
_BOOT_CONFIGS: Final = tuple(
    f"{top}/{name}"
    for top in ("", "/boot")
    for name in (
        "grub/grub.cfg",
        "grub2/grub.cfg",
        "grub/grub.conf",
        "grub/menu.lst",
        "grub2/grubenv",
        "loader/entries/*.conf",
    )
)
_BOOTED: Final = re.compile(r"(?<!\S)root=(\S+)")
_FLAGS: Final = re.compile(r"(?<!\S)rootflags=(\S+)")


@dataclass(frozen=True, slots=True)
class Root:
    """A tree that looks like a system; `table` is its fstab, None where that cannot be read."""

    filesystem: Filesystem
    subvolume: Subvolume | None
    table: fstab.Fstab | None
    problem: str = ""

    def __str__(self) -> str:
        within = f", subvolume {self.subvolume.path or '/'}" if self.subvolume else ""
        return f"{self.filesystem.device} ({self.filesystem.type}{within})"

    def is_at(self, storage: Storage, spec: str, options: Iterable[str]) -> bool:
        """Tell whether mounting `spec` with `options` would give this tree."""
        if storage.resolve(spec) != self.filesystem.device:
            return False
        return self.subvolume is None or is_chosen(self.subvolume, options)


@dataclass(frozen=True, slots=True)
class Found:
    """The root, and the systems beside it that would start as well if a boot loader did so."""

    root: Root
    others: tuple[Root, ...] = ()


def is_chosen(subvolume: Subvolume, options: Iterable[str]) -> bool:
    """Tell whether `subvolume` is what a mount with `options` gives (btrfs(5))."""
    chosen = dict(option.split("=", 1) for option in options if "=" in option)
    if "subvol" in chosen:
        return chosen["subvol"].strip("/") == subvolume.path
    if "subvolid" in chosen:
        return chosen["subvolid"] == str(subvolume.number)
    return subvolume.is_default


def find_root(machine: BlockDevices, guest: ReadableGuest, storage: Storage) -> Found:
    """Find the root among all filesystems; nothing is mounted before and after.

    Raises `GuestRefusedError` ``unknown-os`` when nothing looks like a system, ``several-roots``
    when more than one does and nothing tells which starts, ``mount-failed`` when what may be the
    root cannot be read.
    """
    found: list[Root] = []
    failures: list[str] = []
    for filesystem in storage.whole_filesystems():
        if filesystem.type in TYPES:
            try:
                found += _look(machine, guest, filesystem)
            except GuestError as error:
                failures.append(error.message)
            finally:
                machine.unmount()
    own = _own(found, storage)
    if not own and failures:
        raise _unreadable(failures)
    left = own or found
    if len(left) > 1:
        started = list(_started(machine, guest, storage, left))
        left = [root for root in left if any(root.is_at(storage, *how) for how in started)] or left
    if not left:
        raise _none_found(storage)
    if len(left) > 1:
        raise _several(left)
    return Found(left[0], tuple(root for root in own if root is not left[0]))


def _look(machine: BlockDevices, guest: ReadableGuest, filesystem: Filesystem) -> list[Root]:
    """Mount a filesystem and give every system in it."""
    if filesystem.type != "btrfs":
        machine.mount(filesystem.device, "/", options="ro")
        return [_read_root(guest, filesystem, None)] if _is_system(guest) else []
    machine.mount(filesystem.device, "/", options="ro,subvolid=5")
    subvolumes = sorted(
        machine.subvolumes(filesystem.device),
        key=lambda item: (not item.is_default, item.path.count("/"), item.number),
    )
    trees = [(item, Subtree(guest, f"/{item.path}")) for item in subvolumes[:_SUBVOLUME_LIMIT]]
    return [_read_root(tree, filesystem, item) for item, tree in trees if _is_system(tree)]


def _is_system(guest: ReadableGuest) -> bool:
    """Tell by names alone: what links lead to may be on another filesystem."""
    return _has_any(guest, _SYSTEM_FILES, FileKind.FILE) and _has_any(
        guest, _SYSTEM_DIRECTORIES, FileKind.DIRECTORY
    )


def _has_any(guest: ReadableGuest, names: Iterable[str], kind: FileKind) -> bool:
    found = (guest.lstat(name) for name in names)
    return any(stat is not None and stat.kind in (kind, FileKind.SYMLINK) for stat in found)


def _read_root(guest: ReadableGuest, filesystem: Filesystem, subvolume: Subvolume | None) -> Root:
    try:
        there = paths.kind(guest, FSTAB)
        if there not in (None, FileKind.FILE):
            return Root(filesystem, subvolume, None, f"is not a file, but a {there}")
        return Root(filesystem, subvolume, fstab.parse(paths.text(guest, FSTAB) or ""))
    except GuestError as error:
        return Root(filesystem, subvolume, None, error.message)


def _own(found: Sequence[Root], storage: Storage) -> list[Root]:
    """Give the systems that say themselves that they are the root, and are no part of another."""
    own = [root for root in found if any(_mounts(root, root, storage, at_root=True))]
    outer = [
        root
        for root in own
        if not any(
            any(_mounts(other, root, storage, at_root=False)) for other in own if other is not root
        )
    ]
    return outer or own


def _mounts(root: Root, other: Root, storage: Storage, *, at_root: bool) -> Iterator[bool]:
    """Tell of each line of `root` for `/`, or else for other places, whether it is `other`."""
    for entry in root.table.entries if root.table else ():
        if entry.path.startswith("/") and (not entry.path.strip("/")) is at_root:
            yield other.is_at(storage, entry.spec, entry.options)


def _started(
    machine: BlockDevices, guest: ReadableGuest, storage: Storage, roots: Sequence[Root]
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Give the root devices, with mount options, that boot loaders on the disks name."""
    for filesystem in storage.whole_filesystems():
        if filesystem.type not in _BOOT_TYPES:
            continue
        top = ",subvolid=5" if filesystem.type == "btrfs" else ""
        try:
            machine.mount(filesystem.device, "/", options=f"ro{top}")
            tops = [
                f"/{root.subvolume.path}"
                for root in roots
                if root.subvolume and root.filesystem == filesystem
            ]
            for directory in dict.fromkeys(["", *tops]):
                yield from _booted(Subtree(guest, directory))
        except GuestError:
            continue  # what cannot be read starts nothing
        finally:
            machine.unmount()


def _booted(guest: ReadableGuest) -> Iterator[tuple[str, tuple[str, ...]]]:
    for pattern in _BOOT_CONFIGS:
        for path in paths.glob(guest, pattern):
            for line in (paths.text(guest, path) or "").splitlines():
                flags = _FLAGS.search(line)
                for match in _BOOTED.finditer(line):
                    yield match[1].strip("\"'"), tuple(flags[1].split(",")) if flags else ()


def _unreadable(failures: Sequence[str]) -> GuestRefusedError:
    return refusal(
        "mount-failed",
        f"the root was not found, and filesystems cannot be read: {'; '.join(failures)}",
        "start the machine once more, let it check its filesystems, shut it down, export again",
    )


def _none_found(storage: Storage) -> GuestRefusedError:
    seen = ", ".join(f"{fs.device}: {fs.type or 'unknown'}" for fs in storage.filesystems)
    others = sorted({fs.type for fs in storage.filesystems if fs.type in _UNREAD_TYPES})
    hint = (
        "give the boot disk first, and all disks of the machine; a disk with data only cannot be"
        " converted by itself"
    )
    if others:
        hint = (
            f"if the system is on {' or '.join(others)}: that is not read; move it to ext4, XFS or"
            f" Btrfs in the machine, and export it again. Else {hint}"
        )
    return refusal(
        "unknown-os",
        f"no operating system was found (filesystems: {seen or 'none'})",
        hint,
        UNKNOWN_MESSAGE,
    )


def _several(left: Sequence[Root]) -> GuestRefusedError:
    return refusal(
        "several-roots",
        f"more than one system was found, and nothing tells which one starts:"
        f" {', '.join(str(root) for root in left)}",
        "export the machine with only the disk of the system that is to be converted",
        SEVERAL_MESSAGE,
    )


def refusal(code: str, message: str, hint: str, service_message: str = "") -> GuestRefusedError:
    """Give a refusal with the text that the service has for it."""
    finding = Finding(Severity.ERROR, code, message, hint, service_message)
    return GuestRefusedError(code, message, hint=hint, findings=(finding,))
