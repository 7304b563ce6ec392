"""systemd-boot: the entries on the ESP and the extended boot partition, and which is the default.

systemd-boot(7), loader.conf(5), the Boot Loader Specification (UAPI.1). What firmware variables
say (`LoaderEntryDefault`, `@saved`) stayed on the old machine: loader.conf and the order count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.errors import GuestError
from converter.formats import bls
from converter.formats.efi_program import Kind
from converter.guest import caseless, paths
from converter.guest.protocol import Code
from converter.inspection.boot_view import Found, main_initramfs
from converter.model import BootEntry, Bootloader, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.boot_view import BootView
    from converter.model import Mount

KIND: Final = "systemd-boot"
UKI: Final = "unified-kernel-image"
# The extended boot loader partition (UAPI.1, "XBOOTLDR").
XBOOTLDR: Final = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
_MOST_ENTRIES: Final = 1000
_NO_DEFAULT: Final = "Unable to determine kernel version."


@dataclass(frozen=True, slots=True)
class _File:
    """An entry's file; a unified kernel image has no keys that are read here."""

    mount: Mount
    path: str
    entry: bls.Entry

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def find(view: BootView) -> Found | None:
    """Find systemd-boot's configuration and entries."""
    places = _places(view)
    config = next(
        (path for mount in places if (path := _config(view.guest, mount)) is not None), None
    )
    is_installed = any(loader.program.kind is Kind.SYSTEMD_BOOT for _, loader in view.efi_loaders())
    if config is None and not is_installed:
        return None
    files = {file.name: file for mount in places for file in _files(view.guest, mount)}
    ordered = [name for name, _ in bls.sort((name, file.entry) for name, file in files.items())]
    text = paths.text(view.guest, config) if config is not None else ""
    pattern = bls.parse(text or "").get("default") or ""
    chosen = bls.default(ordered, pattern)
    entries = [entry for name in ordered if (entry := _entry(view.guest, files[name])) is not None]
    default = _entry(view.guest, files[chosen]) if chosen is not None else None
    bootloader = Bootloader(
        KIND,
        config or "",
        view.firmware,
        default,
        tuple(entries),
        scripts=(config,) if config else (),
    )
    where = ", ".join(mount.path for mount in places)
    findings = tuple(_judge(where, chosen, default, pattern))
    return Found(bootloader, findings, is_installed=is_installed)


def _places(view: BootView) -> list[Mount]:
    extended = {
        device for device, part in view.storage.partitions() if part.type.lower() == XBOOTLDR
    }
    return [*view.esps, *(mount for mount in view.mounts if mount.device in extended)]


def _config(guest: ReadableGuest, mount: Mount) -> str | None:
    path = caseless.find(guest, mount.path, "loader/loader.conf")
    return path if paths.is_file(guest, path) else None


def _files(guest: ReadableGuest, mount: Mount) -> Iterator[_File]:
    directory = caseless.find(guest, mount.path, "loader/entries")
    for name in paths.names(guest, directory)[:_MOST_ENTRIES]:
        if not name.casefold().endswith(".conf") or name.startswith("."):
            continue
        try:
            text = paths.text(guest, f"{directory}/{name}")
        except GuestError as error:
            if error.code not in Code.ODD:
                raise
            continue
        if text is not None:
            yield _File(mount, f"{directory}/{name}", bls.parse(text))
    images = caseless.find(guest, mount.path, "EFI/Linux")
    for name in paths.names(guest, images)[:_MOST_ENTRIES]:
        if name.casefold().endswith(".efi"):
            yield _File(mount, f"{images}/{name}", bls.parse(""))


def _entry(guest: ReadableGuest, file: _File) -> BootEntry | None:
    """Give an entry that starts a kernel; None for any other."""
    kernel = file.entry.get("linux")
    if kernel is None:
        return None
    initramfs = main_initramfs(kernel, file.entry.all("initrd"))
    return BootEntry(
        title=file.entry.get("title") or file.name,
        identifier=bls.identifier(file.name),
        kernel=caseless.find(guest, file.mount.path, kernel),
        initramfs=caseless.find(guest, file.mount.path, initramfs) if initramfs else "",
        arguments=file.entry.options,
        source=file.path,
    )


def _judge(
    where: str, chosen: str | None, default: BootEntry | None, pattern: str
) -> Iterator[Finding]:
    if chosen is not None and chosen.casefold().endswith(".efi"):
        yield Finding(
            Severity.ERROR,
            "bootloader-unsupported",
            f"the guest starts the {UKI} {chosen} ({where}), whose initramfs cannot be changed",
            "install a kernel with an entry in loader/entries (layout=bls in"
            " /etc/kernel/install.conf), make that the default, and export the machine again",
            _NO_DEFAULT,
        )
    elif default is None:
        what = f"the entry {chosen} starts no Linux kernel" if chosen else "there are no entries"
        yield Finding(
            Severity.ERROR,
            "default-kernel-unknown",
            f"systemd-boot ({where}): {what}",
            "set `default` in loader.conf to an entry that starts Linux (bootctl list), and export"
            " the machine again",
            _NO_DEFAULT,
        )
    elif pattern and not pattern.startswith("@") and not bls.matches(chosen or "", pattern):
        yield Finding(
            Severity.WARNING,
            "default-entry-missing",
            f"systemd-boot ({where}): no entry is {pattern!r}; {chosen} is started instead, and"
            " that one was prepared",
            "set `default` in loader.conf to an entry that exists (bootctl list)",
            _NO_DEFAULT,
        )
