"""The bootloader of a guest and the entry it starts by default.

Each bootloader is found by its own files (one module each). Where files of several are there, what
firmware comes to decides: whose boot code is in the first sector, and what lies on the ESP.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats.efi_program import Kind
from converter.guest import paths
from converter.inspection import boot_view, grub2, grub_legacy, systemd_boot
from converter.inspection.kernels import release_of
from converter.model import Bootloader, BootMode, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.boot_view import BootView, Found
    from converter.inspection.storage import Storage
    from converter.model import BootEntry, Mount

_FINDERS: Final = (grub2.find, grub_legacy.find, systemd_boot.find)
# By what an EFI program is, and by whose boot code is in the first sector (`disk.boot_code`).
_KINDS: Final = {Kind.GRUB: grub2.KIND, Kind.SYSTEMD_BOOT: systemd_boot.KIND}
_INSTALL_GRUB: Final = (
    "install GRUB 2 in the machine (grub-install, update-grub) and export it again"
)
# Words and titles of entries that do not come up by themselves.
_RESCUE: Final = re.compile(
    r"single|S|s|1|emergency|rescue|recovery|systemd\.unit=(?:rescue|emergency)\.target"
)


def inspect_bootloader(
    guest: ReadableGuest,
    storage: Storage,
    mounts: Sequence[Mount],
    *,
    distribution: str = "",
    architecture: str = "x86_64",
) -> tuple[Bootloader | None, tuple[Finding, ...]]:
    """Find the bootloader, its entries and its default. `mounts` include the ESPs."""
    view = boot_view.view(
        guest, storage, mounts, distribution=distribution, architecture=architecture
    )
    found = [item for finder in _FINDERS if (item := finder(view)) is not None]
    started = _started(view)
    other = _unsupported(view, started, is_only=not found)
    if other is not None:
        return other
    if not found:
        return None, (
            Finding(
                Severity.ERROR,
                "bootloader-missing",
                "no bootloader configuration was found in /boot or on an EFI system partition",
                _INSTALL_GRUB,
            ),
        )
    chosen = _choose(found, started)
    loader = chosen.bootloader
    findings = (*chosen.findings, *_judge_choice(found, chosen, started))
    return loader, (*findings, *_judge_default(guest, loader.default))


def _started(view: BootView) -> tuple[str, ...]:
    """Give the kinds of bootloader that firmware comes to, as far as that is known."""
    kinds = []
    if BootMode.LEGACY_BIOS in view.firmware and view.storage.disks:
        kinds.append(view.storage.disks[0].loader)
    first = next((loader for _, loader in view.efi_loaders()), None)
    if first is not None:
        kinds.append(_KINDS.get(first.program.kind, first.program.kind.value))
    return tuple(kinds)


def _choose(found: Sequence[Found], started: Sequence[str]) -> Found:
    for kind in started:
        for item in found:
            if item.bootloader.kind == kind:
                return item
    installed = [item for item in found if item.is_installed]
    return (installed or list(found))[0]


def _judge_choice(
    found: Sequence[Found], chosen: Found, started: Sequence[str]
) -> Iterator[Finding]:
    """Say what other menus there are; refuse where it cannot be told which bootloader is used."""
    others = [
        item
        for item in found
        if item is not chosen and item.bootloader.default != chosen.bootloader.default
    ]
    if not others:
        return
    is_installed = chosen.is_installed and not any(item.is_installed for item in others)
    is_told = chosen.bootloader.kind in started or is_installed
    names = ", ".join(item.bootloader.config for item in (chosen, *others))
    yield Finding(
        Severity.INFO if is_told else Severity.ERROR,
        "several-grub-configs",
        f"the guest starts by {chosen.bootloader.config}; of these files the others are not used:"
        f" {names}"
        if is_told
        else f"it cannot be told which bootloader is used, of those that read {names}",
        "remove the one that is not used from the machine, and export it again",
        boot_view.SEVERAL_FILES,
    )


def _unsupported(
    view: BootView, started: Sequence[str], *, is_only: bool
) -> tuple[Bootloader, tuple[Finding, ...]] | None:
    """Give the bootloader that cannot be converted, if one is started or is the only one."""
    others: dict[str, list[str]] = load("linux")["other_bootloaders"]
    for kind, patterns in others.items():
        if kind not in started and not is_only:
            continue
        loaders = (loader.path for _, loader in view.efi_loaders() if loader.program.kind == kind)
        configs = (path for pattern in patterns for path in paths.glob(view.guest, pattern))
        path = next(loaders, None) or next(configs, None)
        if path is not None:
            finding = Finding(
                Severity.ERROR,
                "bootloader-unsupported",
                f"the guest starts with {kind} ({path}), which cannot be converted",
                _INSTALL_GRUB,
            )
            return Bootloader(kind, path, view.firmware, None), (finding,)
    return None


def _judge_default(guest: ReadableGuest, default: BootEntry | None) -> Iterator[Finding]:
    """Say what is wrong with the default entry whatever bootloader starts it."""
    if default is None:
        return
    release = release_of(guest, default.kernel)
    if any(re.search(pattern, release) for pattern in load("linux")["kernels"]["xen_only"]):
        yield Finding(
            Severity.ERROR,
            "kernel-xen-only",
            f"the default entry {default.title!r} starts kernel {release}, which runs on a Xen"
            " hypervisor of the old kind only",
            "install the distribution's kernel for real machines, make it the default, and export"
            " the machine again",
            f"Unsupported kernel version {release}",
        )
    name = default.kernel.rpartition("/")[2]
    if "rescue" in name or any(_RESCUE.fullmatch(word) for word in default.arguments):
        yield Finding(
            Severity.WARNING,
            "default-is-rescue",
            f"the default entry {default.title!r} is one for rescue: the machine would come up"
            " without its services",
            "set the default to the entry for normal use, and export the machine again",
        )
