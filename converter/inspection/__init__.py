"""Facts about a guest, read without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from converter.errors import GuestError, GuestRefusedError
from converter.formats import kernel_args
from converter.guest.hives import Hives
from converter.guest.protocol import BlockDevices, Code, Guest
from converter.inspection.efi import boot_modes
from converter.inspection.esp import mount_esps
from converter.inspection.health import (
    judge_disks,
    judge_rootless,
    judge_swap_files,
    judge_system,
)
from converter.inspection.linux import inspect_linux
from converter.inspection.mounts import mount_guest
from converter.inspection.roots import SEVERAL_MESSAGE, TYPES, find_root, refusal
from converter.inspection.storage import Storage, read_storage
from converter.inspection.windows_guest import inspect_windows_guest
from converter.inspection.windows_volumes import (
    choose_root,
    find_volumes,
    judge_hibernation,
    judge_unreadable,
)
from converter.model import Facts, Severity

if TYPE_CHECKING:
    from converter.inspection.windows_volumes import WindowsVolume
    from converter.model import Finding


class Machine(Guest, BlockDevices, Protocol):
    """A guest together with the disks it is on."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found, and what could not be read or is no good; `hives` are those of a Windows."""

    facts: Facts
    storage: Storage
    findings: tuple[Finding, ...]
    hives: Hives | None = None


def inspect_machine(machine: Machine) -> Inspection:
    """Mount the guest on `machine`'s disks and read everything about it; it stays mounted.

    Raises `GuestRefusedError` when there is no system to be read, with all that may be the reason,
    and when a file of the guest is not what it must be.
    """
    try:
        return _inspect(machine)
    except GuestError as error:
        if error.code not in Code.CURES:
            raise
        raise GuestRefusedError(error.code, error.message, hint=Code.CURES[error.code]) from error


def _inspect(machine: Machine) -> Inspection:
    disks = read_storage(machine)
    hives = Hives(machine)
    volumes = find_volumes(machine, machine, disks)
    root = choose_root(volumes)
    if root is None:
        return _inspect_linux(machine, disks, hives, judge_unreadable(volumes))
    hibernated = judge_hibernation(root)
    try:
        _refuse_beside_linux(machine, disks, root)
        facts, findings = inspect_windows_guest(machine, disks, root, volumes, hives)
    except GuestRefusedError as error:
        raise error.behind(hibernated) from error
    return Inspection(facts, disks, (*hibernated, *findings), hives)


def _refuse_beside_linux(machine: Machine, storage: Storage, root: WindowsVolume) -> None:
    """FS-3: a Windows beside a Linux; nothing that is read here tells which of them is meant."""
    if not any(fs.type in TYPES for fs in storage.filesystems):
        return
    try:
        found = find_root(machine, machine, storage)
    except GuestRefusedError as error:
        if error.code == "unknown-os":
            return
        raise
    raise refusal(
        "several-roots",
        f"there are a Windows on {root.filesystem.device} and a Linux on {found.root}",
        "export the machine with only the disk of the system that is to be converted",
        SEVERAL_MESSAGE,
    )


def _inspect_linux(
    machine: Machine, disks: Storage, hives: Hives, unreadable: tuple[Finding, ...]
) -> Inspection:
    try:
        mounted = mount_guest(machine, machine, disks)
    except GuestRefusedError as error:
        raise _with_reasons(error, (*judge_rootless(disks), *unreadable)) from error
    storage, mounts = mounted.storage, mounted.mounts
    esps = mount_esps(machine, machine, storage, mounts)
    reachable = tuple(dict.fromkeys([*mounts, *esps]))
    linux, findings = inspect_linux(machine, storage, reachable)
    facts = Facts(
        disks=storage.disks,
        filesystems=storage.filesystems,
        volumes=storage.volumes,
        mounts=mounts,
        boot_modes=boot_modes(
            machine, storage, reachable, esps=esps, architecture=linux.architecture
        ),
        os=linux,
        esps=esps,
        groups=storage.groups,
        arrays=storage.arrays,
        other_roots=tuple(str(root) for root in mounted.others),
    )
    found = (
        *mounted.findings,
        *judge_disks(storage),
        *judge_system(storage, mounts, mounted.table),
        *judge_swap_files(machine, mounted.table),
        *findings,
    )
    return Inspection(facts, _anchored(storage, facts), found, hives)


def _with_reasons(error: GuestRefusedError, reasons: tuple[Finding, ...]) -> GuestRefusedError:
    """Give a refusal with what else is wrong with the disks; a fault that explains it comes first.

    What cannot be told apart or read is the refusal itself, whatever else there is.
    """
    is_explained = error.code in ("unknown-os", "mount-failed")
    ordered = sorted(reasons, key=lambda item: item.severity is not Severity.ERROR)
    if is_explained and ordered and ordered[0].severity is Severity.ERROR:
        return error.behind(ordered)
    return error.beside(reasons)


def _anchored(storage: Storage, facts: Facts) -> Storage:
    """Give the storage with the root's name on the kernel command line known to be the root."""
    entry = facts.linux.bootloader.default if facts.linux.bootloader else None
    values = kernel_args.values(entry.arguments, "root") if entry else []
    root = next(mount.device for mount in facts.mounts if mount.path == "/")
    return storage.knowing(dict.fromkeys(values[-1:], root))
