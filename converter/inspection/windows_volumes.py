"""Which NTFS volume holds the Windows that starts, and where it and what starts it are mounted.

Windows has drives, not one tree: its volume is mounted at /C, whatever letter it gives itself, EFI
system partitions at /ESP, and another volume with a boot manager (the "System Reserved" partition)
at /System. Nothing of the guest says so; paths of plans begin with these names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import GuestError
from converter.guest import caseless, paths
from converter.inspection.esp import find_esps
from converter.inspection.roots import SEVERAL_MESSAGE, refusal
from converter.model import Finding, Mount, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.errors import GuestRefusedError
    from converter.guest.protocol import BlockDevices, ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Filesystem, Partition

DRIVE: Final = "/C"
ESP: Final = "/ESP"
SYSTEM: Final = "/System"
CONFIG: Final = "System32/config"
# The directory's name is chosen at installation: Windows, or WINNT where an old one was upgraded.
_NAMES: Final = ("WIN",)
_HIBERNATED: Final = (b"HIBR", b"hibr")
# As many as a disk has partitions, and no more.
_LIMIT: Final = 128


@dataclass(frozen=True, slots=True)
class WindowsVolume:
    """An NTFS with a Windows in a directory (as "/Windows"), with a boot manager, or both.

    `is_hibernated`: a Windows has its state in a file there, and the volume in its memory.
    `problem` says why it cannot be read, if so.
    """

    filesystem: Filesystem
    directory: str = ""
    has_boot_manager: bool = False
    is_hibernated: bool = False
    problem: str = ""


def find_volumes(
    machine: BlockDevices, guest: ReadableGuest, storage: Storage
) -> tuple[WindowsVolume, ...]:
    """Look at every NTFS for what belongs to a Windows; nothing is mounted before and after.

    One that cannot be read holds nothing that could be converted; it is given with its problem.
    A partition for recovery is looked at only where there is no Windows elsewhere.
    """
    recovery = {device for device, part in storage.partitions() if _is_for_recovery(part)}
    every = [fs for fs in storage.whole_filesystems() if fs.type == "ntfs"][:_LIMIT]
    found = [_mounted(machine, guest, fs) for fs in every if fs.device not in recovery]
    if not any(item.directory for item in found):
        found += [_mounted(machine, guest, fs) for fs in every if fs.device in recovery]
    return tuple(item for item in found if item.directory or item.has_boot_manager or item.problem)


def _is_for_recovery(partition: Partition) -> bool:
    """Tell whether Windows cannot start from a partition; by BIOS it does from the active one."""
    types = load("partitions")["windows"]["recovery"]
    return partition.type.lower() in {*types, *types.values()} and not partition.active


def _mounted(machine: BlockDevices, guest: ReadableGuest, filesystem: Filesystem) -> WindowsVolume:
    """Mount an NTFS, and look at it."""
    try:
        machine.mount(filesystem.device, "/", options="ro")
        return _look(guest, filesystem)
    except GuestError as error:
        return WindowsVolume(filesystem, problem=error.message)
    finally:
        machine.unmount()


def judge_unreadable(volumes: Sequence[WindowsVolume]) -> tuple[Finding, ...]:
    """Tell of the volumes that cannot be read: where no system was found, it may be on one."""
    return tuple(
        Finding(
            Severity.WARNING,
            "volume-unreadable",
            f"the NTFS on {volume.filesystem.device} cannot be read: {volume.problem}",
            "start the machine, let Windows check the volume (chkdsk /f), shut it down, and export"
            " it again",
        )
        for volume in volumes
        if volume.problem
    )


def _look(guest: ReadableGuest, filesystem: Filesystem) -> WindowsVolume:
    directories = [
        f"/{name}"
        for name in guest.list("/")
        if name.upper().startswith(_NAMES)
        and caseless.is_file(guest, f"/{name}", f"{CONFIG}/SYSTEM")
        and caseless.is_file(guest, f"/{name}", f"{CONFIG}/SOFTWARE")
    ]
    if len(directories) > 1:
        raise _several([f"{filesystem.device}{directory}" for directory in directories])
    hibernation = caseless.find(guest, "/", "hiberfil.sys")
    return WindowsVolume(
        filesystem,
        directories[0] if directories else "",
        has_boot_manager=caseless.is_file(guest, "/", "Boot/BCD"),
        is_hibernated=paths.is_file(guest, hibernation)
        and guest.head(hibernation, length=4) in _HIBERNATED,
    )


def _several(places: Sequence[str]) -> GuestRefusedError:
    return refusal(
        "several-roots",
        f"more than one Windows was found: {', '.join(places)}",
        "export the machine with only the disk of the system that is to be converted",
        SEVERAL_MESSAGE,
    )


def choose_root(volumes: Sequence[WindowsVolume]) -> WindowsVolume | None:
    """Give the volume of the Windows. Raises `GuestRefusedError` where there are several."""
    roots = [volume for volume in volumes if volume.directory]
    if len(roots) > 1:
        raise _several([f"{root.filesystem.device}{root.directory}" for root in roots])
    return roots[0] if roots else None


def judge_hibernation(root: WindowsVolume) -> tuple[Finding, ...]:
    """FS-5: what a hibernated Windows has on its volumes is not what it had in its memory."""
    if not root.is_hibernated:
        return ()
    return (
        Finding(
            Severity.ERROR,
            "guest-hibernated",
            f"Windows on {root.filesystem.device} is hibernated, or was shut down by fast"
            " startup: its volumes are in use",
            "start the machine, switch fast startup off (powercfg /h off), shut it down"
            " (shutdown /s /t 0), and export it again",
        ),
    )


def mount_windows(
    machine: BlockDevices,
    storage: Storage,
    root: WindowsVolume,
    volumes: Sequence[WindowsVolume],
) -> tuple[tuple[Mount, ...], tuple[Mount, ...]]:
    """Mount the Windows and what starts it; gives its volumes, and the EFI system partitions.

    Raises `GuestRefusedError` ``mount-failed``.
    """
    others = [item for item in volumes if item is not root and item.has_boot_manager]
    named = [(_numbered(SYSTEM, number), item) for number, item in enumerate(others, start=1)]
    mounts = [_mount_volume(machine, item, path) for path, item in ((DRIVE, root), *named)]
    return tuple(mounts), tuple(_mount_esps(machine, storage))


def _mount_volume(machine: BlockDevices, volume: WindowsVolume, path: str) -> Mount:
    try:
        # Nobody may write to one that a hibernated Windows has in its memory.
        how = "ro" if volume.is_hibernated else "rw"
        return _mount(machine, volume.filesystem, path, how)
    except GuestError as error:
        raise refusal(
            "mount-failed",
            f"{path} of the guest cannot be mounted: {error.message}",
            "start the machine, let Windows check the volume (chkdsk /f), shut it down (shutdown /s"
            " /t 0), and export it again",
        ) from error


def _mount_esps(machine: BlockDevices, storage: Storage) -> Iterator[Mount]:
    for number, device in enumerate(find_esps(storage, ()), start=1):
        filesystem = storage.filesystem(device)
        if filesystem is not None:
            try:
                yield _mount(machine, filesystem, _numbered(ESP, number), "rw")
            except GuestError:
                continue  # firmware may not be able to read it either


def _numbered(path: str, number: int) -> str:
    return path if number == 1 else f"{path}{number}"


def _mount(machine: BlockDevices, filesystem: Filesystem, path: str, how: str) -> Mount:
    machine.make_mount_point(path)
    machine.mount(filesystem.device, path, options=how)
    space = machine.space(path)
    return Mount(path, filesystem.device, filesystem.type, filesystem.uuid, space=space)
