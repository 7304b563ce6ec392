"""A Windows on the disks of a machine: mounted, and read into facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from converter.errors import GuestRefusedError
from converter.guest import caseless
from converter.guest.protocol import BlockDevices, ReadableGuest
from converter.inspection.health import judge_disks, judge_windows
from converter.inspection.windows import inspect_windows, open_registry
from converter.inspection.windows_boot import boot_modes
from converter.inspection.windows_volumes import DRIVE, mount_windows
from converter.model import Facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.hives import Hives
    from converter.inspection.storage import Storage
    from converter.inspection.windows_volumes import WindowsVolume
    from converter.model import Finding


class Machine(ReadableGuest, BlockDevices, Protocol):
    """A guest's files together with the disks they are on."""


def inspect_windows_guest(
    machine: Machine,
    storage: Storage,
    root: WindowsVolume,
    volumes: Sequence[WindowsVolume],
    hives: Hives,
) -> tuple[Facts, tuple[Finding, ...]]:
    """Mount the Windows on `root` and read everything about it; it stays mounted.

    Raises `GuestRefusedError` ``registry-dirty`` and ``registry-damaged``.
    """
    mounts, esps = mount_windows(machine, storage, root, volumes)
    judged = (*judge_disks(storage), *judge_windows(storage, mounts))
    directory = caseless.find(machine, DRIVE, root.directory)
    try:
        registry = open_registry(machine, hives.reader, directory)
        windows = inspect_windows(machine, registry, directory)
    except GuestRefusedError as error:
        raise error.beside(judged) from error
    modes = boot_modes(machine, storage, mounts, esps, architecture=windows.architecture)
    facts = Facts(
        disks=storage.disks,
        filesystems=storage.filesystems,
        volumes=storage.volumes,
        mounts=mounts,
        boot_modes=modes,
        os=windows,
        esps=esps,
        groups=storage.groups,
        arrays=storage.arrays,
    )
    return facts, judged
