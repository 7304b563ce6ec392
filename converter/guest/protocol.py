"""The `Guest` protocol: a guest's files as every other part of the converter sees them.

Paths are absolute strings resolved *inside* the guest: absolute symlinks start at the guest's
root, `..` stops there, and more than 40 links in one path are an error, as in the kernel
(path_resolution(7)). Guest file names that are not UTF-8 appear with surrogate escapes in lists; no
other call can be told of them (libguestfs' binding takes UTF-8), for which nothing is there.

Reads follow symlinks; `lstat`, `readlink`, `remove` do not follow the last component. Failures are
`GuestError`s with one of the codes in `Code`; no foreign exception leaves a guest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from converter.model import (
        Array,
        Filesystem,
        Space,
        Stat,
        Subvolume,
        Volume,
        VolumeGroup,
    )

# The attribute that is the security descriptor of a file on NTFS, as ntfs-3g(8) has it.
SECURITY: Final = "system.ntfs_acl"
# Configuration files are small; what is larger was not written by an administrator.
TEXT_LIMIT: Final = 4 << 20


class Code:
    """The stable codes of guest failures."""

    MISSING: Final = "guest-file-missing"
    NOT_A_FILE: Final = "guest-not-a-file"
    NOT_A_DIRECTORY: Final = "guest-not-a-directory"
    LINK_LOOP: Final = "guest-link-loop"
    TOO_LARGE: Final = "guest-file-too-large"
    INVALID: Final = "guest-file-invalid"
    DAMAGED: Final = "guest-filesystem-damaged"
    FAILED: Final = "guest-operation-failed"
    # A file of the guest is at fault, not what reads it.
    ODD: Final = frozenset({MISSING, NOT_A_FILE, NOT_A_DIRECTORY, LINK_LOOP, TOO_LARGE, INVALID})
    # What refuses a guest, with what is to be done.
    CURES: Final[Mapping[str, str]] = {
        **dict.fromkeys(ODD, "put that right in the machine, shut it down, and export it again"),
        DAMAGED: "check that filesystem in the machine (fsck -f, xfs_repair, btrfs check, or chkdsk"
        " /f), shut it down, and export it again",
    }


class Named(Protocol):
    """As much of a guest as paths are resolved with."""

    def lstat(self, path: str) -> Stat | None:
        """Describe `path` itself, not what a link there points to; None if nothing is there."""

    def readlink(self, path: str) -> str:
        """Give the target of the symlink `path`."""


class ReadableGuest(Named, Protocol):
    """The files of one guest, to look at. All methods raise `GuestError`."""

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """Give the content of a regular file of at most `limit` bytes, following links."""

    def head(self, path: str, *, length: int) -> bytes:
        """Give at most the first `length` bytes of a regular file, following links."""

    def digest(self, path: str) -> str:
        """Give the SHA-256 of a regular file, following links."""

    def list(self, path: str) -> tuple[str, ...]:
        """Give the sorted names in the directory `path`, without `.` and `..`."""

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """Give the extended attributes of `path` (not followed), sorted by name."""

    def is_immutable(self, path: str) -> bool:
        """Tell whether nobody in the guest can change the file `path` (chattr(1), `i`)."""


class Guest(ReadableGuest, Protocol):
    """The files of one guest, to look at and to change. All methods raise `GuestError`.

    What is immutable, or only to be appended to (chattr(1)), is changed and stays so.
    """

    def write(self, path: str, data: bytes, *, mode: int, uid: int, gid: int) -> None:
        """Make `path` (its parent exists) a regular file; what was there before is replaced."""

    def upload(self, source: Path, path: str) -> None:
        """Make `path` the same as a file of this host; a new one only root can read."""

    def append(self, path: str, data: bytes) -> None:
        """Add `data` to the end of the regular file `path`."""

    def remove(self, path: str) -> None:
        """Remove the file or symlink `path`."""

    def symlink(self, target: str, path: str) -> None:
        """Make `path` a symlink to `target`, replacing a file or link there."""

    def set_attributes(self, wanted: Mapping[str, Iterable[tuple[str, bytes]]]) -> None:
        """Give each path itself (not followed) extended attributes; it keeps its others.

        Those of many paths at once cost little more than those of one.
        """

    def mkdir(self, path: str, *, mode: int = 0o755) -> None:
        """Make the directory `path` and its missing parents, owned by root; fine if there."""

    def copy(self, wanted: Mapping[str, str]) -> None:
        """Make new names, each the same as a regular file with all its metadata.

        `wanted` has what to copy by where to. Many at once cost little more than one.
        """


@dataclass(frozen=True, slots=True)
class Ran:
    """What a program of the guest left: its exit status and all that it said."""

    status: int
    output: str


class Machine(Guest, Protocol):
    """A guest whose own programs can be run. All methods raise `GuestError`."""

    def run(self, argv: Sequence[str], *, seconds: float) -> Ran:
        """Run a program in the guest's tree, without network, input or the guest's services.

        Nothing that it started goes on. Raises `ConversionError` ``guest-program-endless`` when it
        takes longer than `seconds`; the machine is gone then.
        """


class BlockDevices(Protocol):
    """The disks a guest is on, and how its filesystems come to be mounted."""

    def devices(self) -> tuple[tuple[str, int], ...]:
        """Give each disk's name and size in bytes, in the order they were given."""

    def read_device(self, device: str, *, offset: int, length: int) -> bytes:
        """Give `length` bytes of `device` at `offset`."""

    def partitions(self) -> tuple[str, ...]:
        """Give the partitions of the disks and of RAID arrays."""

    def probe(self, device: str) -> Filesystem:
        """Tell what is on a partition, volume, array or disk; of no type where nothing is known."""

    def arrays(self) -> tuple[Array, ...]:
        """Give the RAID arrays, started as far as they have members enough."""

    def groups(self) -> tuple[VolumeGroup, ...]:
        """Give the LVM volume groups; two may have the same name."""

    def volumes(self) -> tuple[Volume, ...]:
        """Give the LVM logical volumes."""

    def subvolumes(self, device: str) -> tuple[Subvolume, ...]:
        """Give the subvolumes of the Btrfs filesystem on `device`, the top level among them."""

    def make_mount_point(self, path: str) -> None:
        """Make the directory `path`, as "/C", for guests without one tree; fine if it is there.

        Nothing is mounted at "/" then, neither before nor after.
        """

    def mount(self, device: str, path: str, *, options: str) -> None:
        """Mount `device` at `path` of the guest's tree."""

    def space(self, path: str) -> Space:
        """Tell what is free in the filesystem that `path` is on."""

    def unmount(self) -> None:
        """Unmount everything; what was written is on the disks then."""


class Disks(Protocol):
    """Disks whose sectors can be written, while nothing on them is mounted."""

    def rewrite(self, device: str, pieces: Sequence[tuple[int, bytes]], *, size: int) -> bool:
        """Write `pieces`, bytes each at an offset, and see the partitions of `device` anew.

        Each is on the disk before the next is begun. False where the disk has not `size` bytes, or
        something uses the partitions that are there: then all is still to be done.
        """
