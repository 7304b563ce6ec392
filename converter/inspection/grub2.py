"""GRUB 2: which grub.cfg is read, the menu it makes, and what starts by default.

A UEFI system has a grub.cfg on its ESP, beside GRUB or where its built-in prefix says; that is the
real one (EL 7 and 8), or leads to it by `configfile` (Debian, Ubuntu, SUSE, Fedora 34, EL 9.4). By
BIOS, GRUB reads the one in /boot. The configuration is evaluated as GRUB would, with its
environment block, and entries of the Boot Loader Specification where it asks for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import GuestError
from converter.formats import FormatError, grubenv, grubscript, kernel_args
from converter.formats.efi_program import Kind
from converter.formats.grub_menu import all_entries, select
from converter.guest import caseless, paths
from converter.guest.protocol import Code
from converter.inspection.boot_view import SEVERAL_FILES, Found, boot_entry
from converter.inspection.grub_files import home_files
from converter.model import Bootloader, BootMode, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from converter.formats.grub_menu import GrubMenu, Selection
    from converter.guest.protocol import ReadableGuest
    from converter.inspection.boot_view import BootView
    from converter.inspection.grub_files import GrubFiles
    from converter.inspection.storage import Storage
    from converter.model import BootEntry, Mount

KIND: Final = "grub2"
# How Ubuntu's images for clouds start what a start without an initramfs did not (its 10_linux,
# GRUB_FORCE_PARTUUID).
_SECOND: Final = {"initrdfail": "1"}
NO_DEFAULT: Final = "Unable to determine kernel version."
NO_BLS_DEFAULT: Final = "BLSC-style GRUB found, but unable to detect default kernel"
_MAKE_ANEW: Final = (
    "make it anew in the machine (update-grub, or grub2-mkconfig -o FILE) and export it again"
)
_CHOOSE: Final = "set GRUB_DEFAULT to an entry that exists (grub-set-default, grubby --set-default)"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A configuration that is read at start, and what came of it: `menu`, or why there is none.

    `is_second`: that is what comes of it after a start without an initramfs that failed.
    """

    start: str
    files: GrubFiles
    menu: GrubMenu | None = None
    fault: str = ""
    selection: Selection | None = None
    default: BootEntry | None = None
    is_second: bool = False

    @property
    def config(self) -> str:
        """The file whose menu is shown, by the guest's path."""
        place = self.start if self.menu is None else self.files.place(self.menu.config)
        return paths.resolve(self.files.guest, place)

    def entries(self) -> Iterator[BootEntry]:
        for entry in all_entries(self.menu) if self.menu is not None else ():
            if entry.linux:
                yield boot_entry(self.files, entry)


def find(view: BootView) -> Found | None:
    """Find GRUB 2's configuration, and read it."""
    readings = _readings(view)
    if not readings:
        return None
    first = next((reading for reading in readings if reading.menu is not None), readings[0])
    used = [reading for reading in readings if reading.menu is not None] or [first]
    bootloader = Bootloader(
        KIND,
        first.config,
        view.firmware,
        first.default,
        tuple(dict.fromkeys(entry for reading in used for entry in reading.entries())),
        _places(
            view, ((r.files, name) for r in used for name in (r.menu.scripts if r.menu else ()))
        ),
        _places(
            view,
            ((r.files, name) for r in used for name in (r.menu.environments if r.menu else ())),
        ),
    )
    findings = (
        *_judge(first),
        *_judge_others(view, first, readings),
        *_judge_environments(view, bootloader),
    )
    return Found(
        bootloader, findings, is_installed=any(_has_modules(view, path) for path in _in_boot(view))
    )


def _places(view: BootView, names: Iterable[tuple[GrubFiles, str]]) -> tuple[str, ...]:
    found = (paths.resolve(view.guest, files.place(name)) for files, name in names)
    return tuple(dict.fromkeys(found))


# --- which file -----------------------------------------------------------------------------------


def _readings(view: BootView) -> list[_Reading]:
    """Read what firmware comes to, the mode that is preferred first (`policy.choose_boot_mode`)."""
    by_bios = BootMode.LEGACY_BIOS in view.firmware or BootMode.UEFI not in view.firmware
    starts = [
        *((path, "pc") for path in (_in_use(view) if by_bios else ())),
        *((path, "efi") for path in _by_uefi(view)),
    ]
    readings: dict[str, _Reading] = {}
    for path, platform in starts:
        real = paths.resolve(view.guest, path)
        if real not in readings:
            readings[real] = _read(view, real, platform)
    return list(readings.values())


def _in_boot(view: BootView) -> list[str]:
    configs: list[str] = load("linux")["grub2"]["configs"]
    return [path for path in configs if paths.is_file(view.guest, path)]


def _in_use(view: BootView) -> list[str]:
    """Give the configurations in /boot that GRUB may read: those beside its modules, if any are."""
    there = _in_boot(view)
    return [path for path in there if _has_modules(view, path)] or there


def _has_modules(view: BootView, config: str) -> bool:
    directory = config.rpartition("/")[0]
    patterns: list[str] = load("linux")["grub2"]["modules"]
    return any(paths.glob(view.guest, f"{directory}/{pattern}") for pattern in patterns)


def _by_uefi(view: BootView) -> Iterator[str]:
    """Give the configuration that the GRUB reads which UEFI comes to.

    One that is built for another place than the ESP reads the one in /boot, as one does whose
    configuration on the ESP is missing, once that is written (`steps.uefi`).
    """
    if BootMode.UEFI not in view.firmware:
        return
    for esp, loader in view.efi_loaders():
        if loader.program.kind is Kind.GRUB:
            config = view.efi.grub_config(esp, loader)
            if config is not None and not view.efi.grub_lacking(esp, loader):
                yield config
            else:
                yield from _in_use(view)
            return
    yield from _in_use(view)
    for esp in view.esps:
        directory = caseless.find(view.guest, esp.path, "EFI")
        for vendor in paths.names(view.guest, directory):
            config = f"{directory}/{vendor}/grub.cfg"
            if paths.is_file(view.guest, config):
                yield config


def _read(view: BootView, path: str, platform: str) -> _Reading:
    files = home_files(view.guest, view.storage, view.mounts, path)
    cpu = {"efi": view.efi.architecture, "pc": "i386"}[platform]
    variables = {"grub_platform": platform, "grub_cpu": cpu}
    try:
        paths.text(view.guest, path)  # whatever keeps it from being read is said
        first = _evaluate(files, path, variables)
        if first.default is None or first.default.initramfs:
            return first
        second = _evaluate(files, path, variables | _SECOND)
    except FormatError as error:
        return _Reading(path, files, fault=str(error))
    except GuestError as error:
        if error.code not in Code.ODD:
            raise
        return _Reading(path, files, fault=error.message)
    again = second.default
    is_same = again is not None and again.kernel == first.default.kernel
    has_initramfs = again is not None and again.initramfs
    return replace(second, is_second=True) if is_same and has_initramfs else first


def _evaluate(files: GrubFiles, path: str, variables: Mapping[str, str]) -> _Reading:
    menu = grubscript.evaluate(files.name(path), files=files, variables=variables)
    chosen = select(menu)
    is_linux = chosen.entry is not None and bool(chosen.entry.linux)
    default = boot_entry(files, chosen.entry) if chosen.entry is not None and is_linux else None
    return _Reading(path, files, menu, selection=chosen, default=default)


def default_roots(
    guest: ReadableGuest, storage: Storage, mounts: Sequence[Mount], config: str
) -> list[str]:
    """Give every root= of the default entry that the grub.cfg `config` has now.

    Nothing where it has none, or cannot be read.
    """
    files = home_files(guest, storage, mounts, config)
    try:
        menu = grubscript.evaluate(files.name(config), files=files, variables={})
    except FormatError:
        return []
    entry = select(menu).entry
    return kernel_args.values(entry.arguments, "root") if entry is not None else []


# --- what is to be said ---------------------------------------------------------------------------


def _judge(reading: _Reading) -> Iterator[Finding]:
    selection, default = reading.selection, reading.default
    if reading.menu is None or selection is None:
        yield Finding(
            Severity.ERROR, "grub-unreadable", f"{reading.start}: {reading.fault}", _MAKE_ANEW
        )
    elif default is None:
        yield _no_default(reading, reading.menu, selection)
    elif selection.is_fallback:
        yield Finding(
            Severity.WARNING,
            "default-entry-missing",
            f"{reading.config}: the default entry {selection.wanted!r} does not exist;"
            f" GRUB starts {default.title!r} instead, and that one was prepared",
            _CHOOSE,
            NO_BLS_DEFAULT if reading.menu.uses_bls else NO_DEFAULT,
        )
    if reading.is_second:
        yield Finding(
            Severity.INFO,
            "initramfs-second",
            f"{reading.config}: GRUB starts the kernel without its initramfs, and with it after a"
            " start that failed: where the kernel has no driver for the disk built in, the machine"
            " restarts once at its first start",
        )
    if selection is not None and selection.entry is not None and selection.entry.needs_password:
        yield Finding(
            Severity.WARNING,
            "default-entry-locked",
            f"{reading.config}: GRUB asks for a password before it starts the default entry"
            f" {selection.entry.title!r}",
            "give the entry --unrestricted (CLASS in /etc/grub.d/10_linux), run update-grub",
        )


def _no_default(reading: _Reading, menu: GrubMenu, selection: Selection) -> Finding:
    entry = selection.entry
    if entry is not None and entry.hypervisor:
        other = next((item.title for item in reading.entries()), "")
        choice = f", for instance {other!r}" if other else ""
        return Finding(
            Severity.ERROR,
            "default-is-hypervisor",
            f"{reading.config}: the default entry {entry.title!r} starts the hypervisor"
            f" {entry.hypervisor}, which does not run on EC2",
            f"set the default to an entry that starts Linux by itself{choice}; run update-grub,"
            " export again",
            NO_DEFAULT,
        )
    if entry is None:
        what = (
            "there are no entries"
            if not menu.uses_bls
            else ("it asks for entries in /boot/loader/entries, and there are none")
        )
    elif entry.config:
        what = f"the default entry {entry.title!r} leads to the menu of {entry.config}"
    else:
        what = f"the default entry {entry.title!r} starts no Linux kernel"
    return Finding(
        Severity.ERROR,
        "default-kernel-unknown",
        f"{reading.config}: {what}",
        "set GRUB_DEFAULT to an entry that starts Linux, run update-grub or grub2-mkconfig, export"
        " again",
        NO_BLS_DEFAULT if menu.uses_bls else NO_DEFAULT,
    )


def _judge_others(view: BootView, first: _Reading, readings: list[_Reading]) -> Iterator[Finding]:
    """Say what other configurations there are, and refuse where it cannot be told which is used."""
    others = [r for r in readings if r.config != first.config and r.default != first.default]
    same_firmware = [r for r in others if _is_of_boot(view, r) and _is_of_boot(view, first)]
    if same_firmware:
        names = ", ".join(sorted(r.config for r in (first, *same_firmware)))
        yield Finding(
            Severity.ERROR,
            "several-grub-configs",
            f"it cannot be told which of these GRUB reads, and they start differently: {names}",
            "remove the one that is not used from the machine, and export it again",
            SEVERAL_FILES,
        )
        return
    known = {reading.start for reading in readings} | {reading.config for reading in readings}
    known |= {*_places(view, ((r.files, n) for r in readings if r.menu for n in r.menu.scripts))}
    left = [path for path in _in_boot(view) if paths.resolve(view.guest, path) not in known]
    names = ", ".join([*(r.config for r in others), *left])
    if names:
        yield Finding(
            Severity.INFO,
            "several-grub-configs",
            f"GRUB reads {first.config}; there are others that differ: {names}",
            "remove what is not used from the machine",
            SEVERAL_FILES,
        )


def _is_of_boot(view: BootView, reading: _Reading) -> bool:
    return any(paths.resolve(view.guest, path) == reading.start for path in _in_boot(view))


def _judge_environments(view: BootView, bootloader: Bootloader) -> Iterator[Finding]:
    for path in bootloader.environments:
        data = view.guest.read(path)
        try:
            grubenv.parse(data)
        except FormatError as error:
            if data:
                yield Finding(
                    Severity.WARNING,
                    "grubenv-invalid",
                    f"{path}: {error}; GRUB ignores it, and so did we",
                    f"make it anew in the machine (grub-editenv {path} create)",
                )
