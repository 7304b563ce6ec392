"""The files of a guest as GRUB names them: `(device)/path`, on filesystems of its disks.

A device is GRUB's own name for it (`hd0,msdos1`, `lvm/vg-root`; `hd0,0` of GRUB Legacy, which
counts partitions from 0), or the appliance's, as `search` gives it here. A name that means nothing
here is taken for the filesystem the configuration itself is on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import FormatError, grubenv
from converter.formats.grub_menu import split_name
from converter.guest import paths
from converter.guest.protocol import Code

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Mount

_DISK: Final = re.compile(r"hd([0-9]{1,3})(?:,(?:gpt|msdos)?([0-9]{1,3}))?")
# Subvolumes in front of a path on Btrfs: /@/.snapshots/1/snapshot/boot has five.
_MOST_PARENTS: Final = 8


@dataclass(frozen=True, slots=True)
class GrubFiles:
    """The files of a mounted guest, for `grubscript.evaluate`. `home` is where unnamed files are.

    `first_partition` is the number that GRUB has for a disk's first partition. An environment block
    is given as it will be once what was chosen for one boot only is forgotten.
    """

    guest: ReadableGuest
    storage: Storage
    mounts: Sequence[Mount]
    home: str
    first_partition: int = 1

    def name(self, path: str) -> str:
        """Give GRUB's name for the file that the guest's `path` leads to."""
        real = paths.resolve(self.guest, path)
        holder = self._holder(real)
        return f"({holder.device}){real.removeprefix(holder.path.rstrip('/'))}"

    def _holder(self, path: str) -> Mount:
        """Give the mount that a path without links is on."""
        return max(
            (m for m in self.mounts if f"{path}/".startswith(f"{m.path.rstrip('/')}/")),
            key=lambda mount: len(mount.path),
        )

    def place(self, name: str) -> str:
        """Give the guest's path of what GRUB has the name `name` for.

        Of something that is not there, the path where it would be; the name itself where it is on a
        filesystem that the guest does not mount.
        """
        candidates = list(self._candidates(name))
        there = (path for path in candidates if paths.kind(self.guest, path) is not None)
        return next(there, next(iter(candidates), name))

    def _candidates(self, name: str) -> Iterator[str]:
        spec, path = split_name(name)
        path = f"/{path.lstrip('/')}"
        device = self.device(spec)
        on_device = [mount for mount in self.mounts if mount.device == (device or self.home)]
        for mount in on_device:
            for inside in self._on_filesystem(mount, path):
                place = f"{mount.path.rstrip('/')}{inside}"
                # A mount on a directory hides what GRUB would find in it.
                if self._holder(place) == mount:
                    yield place

    def _on_filesystem(self, mount: Mount, path: str) -> Iterator[str]:
        """Give what a path may be below `mount`: on Btrfs, GRUB starts from the top level."""
        yield path
        if mount.type != "btrfs":
            return
        for _ in range(_MOST_PARENTS):
            _, slash, rest = path[1:].partition("/")
            if not slash:
                return
            path = f"/{rest}"
            yield path

    def device(self, spec: str) -> str | None:
        """Give the appliance's name for the device that GRUB calls `spec`, if it has one."""
        if match := _DISK.fullmatch(spec):
            number = int(match[1])
            if number >= len(self.storage.disks):
                return None
            disk = self.storage.disks[number]
            if match[2] is None:
                return disk.device
            partition = int(match[2]) + 1 - self.first_partition
            return next(
                (
                    device
                    for device, part in self.storage.partitions()
                    if part in disk.partitions and part.number == partition
                ),
                None,
            )
        if spec.startswith("lvm/"):
            return self.storage.resolve(f"/dev/mapper/{spec.removeprefix('lvm/')}")
        return spec if spec.startswith("/dev/") else None

    # --- what a script may ask --------------------------------------------------------------------

    def read(self, name: str) -> str | None:
        """See `Files`."""
        try:
            text = paths.text(self.guest, self.place(name))
        except GuestError as error:
            if error.code not in Code.ODD:
                raise
            return None
        return _settled(text) if text is not None and name.endswith("/grubenv") else text

    def size(self, name: str) -> int | None:
        """See `Files`."""
        place = self.place(name)
        if not paths.is_file(self.guest, place):
            return None
        stat = self.guest.lstat(paths.resolve(self.guest, place))
        return None if stat is None else stat.size

    def names(self, name: str) -> tuple[str, ...] | None:
        """See `Files`."""
        place = self.place(name)
        return paths.names(self.guest, place) if paths.is_directory(self.guest, place) else None

    def search(self, by: str, value: str) -> str | None:
        """See `Files`."""
        if by == "file":
            devices = (mount.device for mount in self.mounts)
            return next((d for d in devices if self.size(f"({d}){value}") is not None), None)
        return self.storage.resolve(f"{by.upper()}={value}")


def home_files(
    guest: ReadableGuest,
    storage: Storage,
    mounts: Sequence[Mount],
    config: str,
    *,
    first_partition: int = 1,
) -> GrubFiles:
    """Give the files as a GRUB sees them that reads the guest's file `config`."""
    files = GrubFiles(guest, storage, mounts, "", first_partition)
    return replace(files, home=split_name(files.name(config))[0])


def _settled(text: str) -> str:
    data = paths.encode(text)
    try:
        data = grubenv.with_values(data, grubenv.one_time(grubenv.parse(data)))
    except FormatError:
        return text
    return data.decode("utf-8", "surrogateescape")
