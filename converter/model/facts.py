"""Everything that inspection found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from converter.model.linux import LinuxFacts
from converter.model.windows import WindowsFacts

if TYPE_CHECKING:
    from converter.model.storage import Array, Disk, Filesystem, Mount, Volume, VolumeGroup
    from converter.model.wanted import BootMode


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything inspection found out; nothing in it depends on what will be done.

    `esps` are the EFI system partitions and where each is mounted while the guest is worked on; the
    guest itself may mount them elsewhere, or not at all. `other_roots` describe systems beside the
    one that starts.
    """

    disks: tuple[Disk, ...]
    filesystems: tuple[Filesystem, ...]
    volumes: tuple[Volume, ...]
    mounts: tuple[Mount, ...]
    boot_modes: frozenset[BootMode]
    os: LinuxFacts | WindowsFacts
    esps: tuple[Mount, ...] = ()
    groups: tuple[VolumeGroup, ...] = ()
    arrays: tuple[Array, ...] = ()
    other_roots: tuple[str, ...] = ()

    @property
    def linux(self) -> LinuxFacts:
        """What the Linux is: for what deals with Linux guests only."""
        if not isinstance(self.os, LinuxFacts):
            raise TypeError("the guest is no Linux")
        return self.os

    @property
    def windows(self) -> WindowsFacts:
        """What the Windows is: for what deals with Windows guests only."""
        if not isinstance(self.os, WindowsFacts):
            raise TypeError("the guest is no Windows")
        return self.os

    def filesystem(self, device: str) -> Filesystem | None:
        """Give what was found on `device` (an appliance name), if anything was."""
        return next((fs for fs in self.filesystems if fs.device == device), None)
