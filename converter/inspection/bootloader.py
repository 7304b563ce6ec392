"""The bootloader of a guest and the entry it starts by default.

GRUB 2: `grub.cfg` is evaluated as GRUB would (GNU GRUB manual, "Writing your own configuration
file"), with the environment block beside it; what `default` comes to be, in any of its forms,
chooses the entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, grubenv, grubscript
from converter.guest import paths
from converter.inspection.efi import boot_modes
from converter.model import BootEntry, Bootloader, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import BootMode, Mount

_GRUB2_CONFIGS: Final = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
_OTHERS: Final = {
    "grub-legacy": ("/boot/grub/menu.lst", "/boot/grub/grub.conf"),
    "systemd-boot": ("/boot/loader/loader.conf", "/efi/loader/loader.conf"),
    "extlinux": ("/boot/extlinux/extlinux.conf", "/extlinux.conf"),
    "lilo": ("/etc/lilo.conf",),
}


def inspect_bootloader(
    guest: ReadableGuest, storage: Storage, mounts: Sequence[Mount]
) -> tuple[Bootloader | None, tuple[Finding, ...]]:
    """Find the bootloader, its entries and its default."""
    firmware = boot_modes(guest, storage, mounts)
    config = next((path for path in _GRUB2_CONFIGS if paths.is_file(guest, path)), None)
    if config is not None:
        return _inspect_grub2(guest, config, firmware, mounts)
    for kind, candidates in _OTHERS.items():
        for path in candidates:
            if paths.is_file(guest, path):
                return Bootloader(kind, path, firmware, None), (_unsupported(kind, path),)
    return None, (
        Finding(
            Severity.ERROR,
            "bootloader-missing",
            "no bootloader configuration was found in /boot",
            "install GRUB 2 in the machine (grub-install, update-grub) and export it again",
        ),
    )


def _unsupported(kind: str, path: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "bootloader-unsupported",
        f"the guest starts with {kind} ({path}), which cannot be converted",
        "install GRUB 2 in the machine (grub-install, update-grub) and export it again",
    )


def _inspect_grub2(
    guest: ReadableGuest, config: str, firmware: frozenset[BootMode], mounts: Sequence[Mount]
) -> tuple[Bootloader, tuple[Finding, ...]]:
    try:
        menu = read_grub2_menu(guest, config)
    except FormatError as error:
        finding = Finding(
            Severity.ERROR,
            "grub-unreadable",
            f"{config}: {error}",
            "make it anew in the machine (update-grub or grub2-mkconfig) and export it again",
        )
        return Bootloader("grub2", config, firmware, None), (finding,)
    entries = tuple(
        _entry(guest, entry, mounts) for entry in grubscript.all_entries(menu) if entry.linux
    )
    selection = grubscript.select(menu)
    default = None
    if selection.entry is not None and selection.entry.linux:
        default = _entry(guest, selection.entry, mounts)
    bootloader = Bootloader("grub2", config, firmware, default, entries)
    return bootloader, _judge_default(config, selection, default)


def read_grub2_menu(guest: ReadableGuest, config: str) -> grubscript.GrubMenu:
    """Evaluate the grub.cfg at `config` with the environment block that lies beside it."""
    directory = config.rpartition("/")[0]
    block = f"{directory}/grubenv"
    environment = grubenv.parse(guest.read(block)) if paths.is_file(guest, block) else {}
    text = guest.read(config).decode("utf-8", "surrogateescape")
    return grubscript.evaluate(
        text,
        environment=environment,
        read=lambda path: paths.text(guest, path),
        variables={"prefix": directory},
    )


def _entry(guest: ReadableGuest, entry: grubscript.MenuEntry, mounts: Sequence[Mount]) -> BootEntry:
    initramfs = [path for path in entry.initrds if "microcode" not in path and "ucode" not in path]
    return BootEntry(
        title=entry.title,
        identifier=entry.identifier,
        kernel=_in_guest(guest, entry.linux, mounts),
        initramfs=_in_guest(guest, initramfs[-1], mounts) if initramfs else "",
        arguments=tuple(entry.arguments),
    )


def _in_guest(guest: ReadableGuest, path: str, mounts: Sequence[Mount]) -> str:
    """Give a path as GRUB sees it, on its own $root, as one in the guest's tree."""
    path = path.rpartition(")")[2] if path.startswith("(") else path
    if any(mount.path == "/boot" for mount in mounts) and paths.is_file(guest, f"/boot{path}"):
        return f"/boot{path}"
    return path


def _judge_default(
    config: str, selection: grubscript.Selection, default: BootEntry | None
) -> tuple[Finding, ...]:
    if default is None:
        return (
            Finding(
                Severity.ERROR,
                "default-kernel-unknown",
                f"{config}: the default entry ({selection.wanted!r}) starts no Linux kernel",
                "set GRUB_DEFAULT to an entry that starts Linux, run update-grub, export again",
                "Unable to determine kernel version.",
            ),
        )
    if selection.is_fallback:
        return (
            Finding(
                Severity.WARNING,
                "default-entry-missing",
                f"{config}: the default entry {selection.wanted!r} does not exist;"
                f" GRUB starts {default.title!r} instead, and that one was prepared",
                "set GRUB_DEFAULT to an entry that exists",
            ),
        )
    return ()
