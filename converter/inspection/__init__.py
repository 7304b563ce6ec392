"""Facts about a guest, read without changing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from converter.guest.protocol import BlockDevices, Guest
from converter.inspection.efi import boot_modes
from converter.inspection.esp import mount_esps
from converter.inspection.linux import inspect_linux
from converter.inspection.mounts import mount_guest
from converter.inspection.storage import Storage, read_storage
from converter.model import Facts

if TYPE_CHECKING:
    from converter.model import Finding


class Machine(Guest, BlockDevices, Protocol):
    """A guest together with the disks it is on."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found, and what could not be read or is no good."""

    facts: Facts
    storage: Storage
    findings: tuple[Finding, ...]


def inspect_machine(machine: Machine) -> Inspection:
    """Mount the guest on `machine`'s disks and read everything about it; it stays mounted."""
    storage = read_storage(machine)
    mounts = mount_guest(machine, machine, storage)
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
    )
    return Inspection(facts, storage, findings)
