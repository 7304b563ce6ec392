"""What a mounted Linux guest is: read from its files alone, nothing of it is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import shellvars
from converter.guest import paths
from converter.inspection.blocked import blocked_modules
from converter.inspection.bootloader import inspect_bootloader
from converter.inspection.initramfs import inspect_initramfs
from converter.inspection.kernels import inspect_kernels, kernel_of
from converter.inspection.network import inspect_network
from converter.inspection.release import hostname, identify
from converter.model import LinuxFacts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Finding, Mount

_ELF_MAGIC: Final = b"\x7fELF"
# Programs every Linux has one of; their ELF header tells the architecture.
_PROGRAMS: Final = ("/bin/sh", "/usr/bin/sh", "/sbin/init", "/bin/bash", "/bin/ls")


def inspect_linux(
    guest: ReadableGuest, storage: Storage, mounts: Sequence[Mount]
) -> tuple[LinuxFacts, tuple[Finding, ...]]:
    """Read what the mounted `guest` is, and what about it cannot be read."""
    release = identify(guest)
    architecture = _architecture(guest)
    bootloader, boot_findings = inspect_bootloader(
        guest,
        storage,
        mounts,
        distribution=release.distribution,
        architecture=architecture or "x86_64",
    )
    kernels = inspect_kernels(guest)
    default = kernel_of(guest, bootloader.default if bootloader else None, kernels)
    initramfs, initramfs_findings = inspect_initramfs(guest, bootloader, default)
    data = load("linux")
    facts = LinuxFacts(
        distribution=release.distribution,
        version=release.version,
        pretty_name=release.pretty_name,
        point_release=release.point_release,
        hostname=hostname(guest),
        architecture=architecture,
        package_manager=_first(guest, data["package_managers"]),
        init_system=_first(guest, data["init_systems"]),
        selinux=_selinux(guest),
        kernels=kernels,
        default_kernel=default,
        initramfs=initramfs,
        bootloader=bootloader,
        networks=inspect_network(guest),
        agents=_all(guest, data["agents"]),
        guest_tools=_all(guest, data["guest_tools"]),
        blocked=blocked_modules(guest, bootloader),
    )
    return facts, (*boot_findings, *initramfs_findings)


def _architecture(guest: ReadableGuest) -> str:
    for path in _PROGRAMS:
        if not paths.is_file(guest, path):
            continue
        header = guest.head(path, length=20)
        if header.startswith(_ELF_MAGIC) and len(header) == 20:
            machine = int.from_bytes(header[18:20], "big" if header[5] == 2 else "little")
            names: Mapping[str, str] = load("linux")["elf_machines"]
            return names.get(str(machine), f"elf-{machine}")
    return ""


def _selinux(guest: ReadableGuest) -> str:
    config = paths.text(guest, "/etc/selinux/config")
    if config is None:
        return "absent"
    return (shellvars.parse(config).get("SELINUX") or "enforcing").lower()


def _is_there(guest: ReadableGuest, candidates: Sequence[str]) -> bool:
    return any(paths.kind(guest, path) is not None for path in candidates)


def _first(guest: ReadableGuest, table: Mapping[str, Sequence[str]]) -> str:
    return next((name for name, at in table.items() if _is_there(guest, at)), "")


def _all(guest: ReadableGuest, table: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(name for name, at in table.items() if _is_there(guest, at))
