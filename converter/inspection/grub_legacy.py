"""GRUB Legacy (0.9x): the menu it reads, and what it starts by default.

menu.lst is what GRUB reads; Red Hat's builds read grub.conf, and have the other name as a link. The
name is in the second stage (GNU GRUB 0.97 sources, stage2/asm.S: behind the version). Red Hat's for
UEFI read the one beside themselves on the ESP.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import GuestError
from converter.formats import grub_legacy as codec
from converter.guest import caseless, paths
from converter.guest.protocol import Code
from converter.inspection.boot_view import SEVERAL_FILES, Found, main_initramfs
from converter.inspection.grub_files import home_files
from converter.model import BootEntry, Bootloader, BootMode, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.inspection.boot_view import BootView
    from converter.inspection.grub_files import GrubFiles

KIND: Final = "grub-legacy"
_NO_DEFAULT: Final = "Unable to determine kernel version."
_CONFIG_NAME: Final = re.compile(rb"/(grub\.conf|menu\.lst)\0")
_STAGE2_HEADER: Final = 1024
_DEVICE: Final = re.compile(r"\(([^)\s]*)\)")


def find(view: BootView) -> Found | None:
    """Find GRUB Legacy's menu, and read it."""
    configs = _configs(view)
    if not configs:
        return None
    config = configs[0]
    try:
        text = paths.text(view.guest, config) or ""
    except GuestError as error:
        if error.code not in Code.ODD:
            raise
        return _unreadable(view, config, error)
    menu = codec.parse(text)
    files = home_files(view.guest, view.storage, view.mounts, config, first_partition=0)
    wanted = _wanted(view, menu, config)
    chosen, is_there = codec.choose(menu, wanted)
    default = _entry(files, menu, chosen) if chosen is not None else None
    bootloader = Bootloader(
        KIND,
        config,
        view.firmware,
        default,
        tuple(_entries(files, menu)),
        scripts=tuple(configs),
    )
    findings = (
        *_judge(config, chosen, default, wanted if not is_there else ""),
        *_judge_others(view, configs),
    )
    return Found(bootloader, findings, is_installed=_is_installed(view))


def _unreadable(view: BootView, config: str, error: GuestError) -> Found:
    finding = Finding(
        Severity.ERROR,
        "grub-unreadable",
        f"{config}: {error.message}",
        "mend it in the machine and export it again",
    )
    return Found(Bootloader(KIND, config, view.firmware, None), (finding,))


def _configs(view: BootView) -> list[str]:
    """Give the menus there are, links to the same one once; the one that is read comes first."""
    named = _named_by_stage2(view)
    candidates: list[str] = load("linux")["grub_legacy"]["configs"]
    there = [path for path in candidates if paths.is_file(view.guest, path)]
    there.sort(key=lambda path: path.rpartition("/")[2] != named)
    by_bios = BootMode.LEGACY_BIOS in view.firmware or not _on_esps(view)
    ordered = [*there, *_on_esps(view)] if by_bios else [*_on_esps(view), *there]
    return list(dict.fromkeys(paths.resolve(view.guest, path) for path in ordered))


def _on_esps(view: BootView) -> list[str]:
    found = [
        caseless.find(view.guest, esp.path, f"EFI/{vendor}/grub.conf")
        for esp in view.esps
        for vendor in paths.names(view.guest, caseless.find(view.guest, esp.path, "EFI"))
    ]
    return [path for path in found if paths.is_file(view.guest, path)]


def _named_by_stage2(view: BootView) -> str:
    """Give the name of the menu that the second stage reads; "" if that cannot be told."""
    stages: list[str] = load("linux")["grub_legacy"]["stages"]
    for path in stages:
        if paths.is_file(view.guest, path):
            match = _CONFIG_NAME.search(view.guest.head(path, length=_STAGE2_HEADER))
            if match:
                return match[1].decode()
    return ""


def _is_installed(view: BootView) -> bool:
    patterns: list[str] = load("linux")["grub_legacy"]["stages"]
    return any(paths.is_file(view.guest, path) for path in patterns)


def _wanted(view: BootView, menu: codec.LegacyMenu, config: str) -> str:
    """Give the number of the default entry as it is written; "" where nothing says one."""
    wanted = (menu.get("default") or "").strip()
    if wanted != "saved":
        return wanted
    saved = f"{config.rpartition('/')[0]}/default"
    return codec.saved_default(paths.text(view.guest, saved) or "")


def _entries(files: GrubFiles, menu: codec.LegacyMenu) -> Iterator[BootEntry]:
    for item in menu.entries:
        entry = _entry(files, menu, item)
        if entry is not None:
            yield entry


def _entry(files: GrubFiles, menu: codec.LegacyMenu, entry: codec.Entry) -> BootEntry | None:
    """Give an entry that starts Linux by itself; None for any other."""
    kernel = entry.first("kernel")
    if kernel is None or kernel.file is None or entry.is_hypervisor:
        return None
    device = _root(files, menu, entry)
    image, initrd = kernel.file.word, entry.first("initrd")
    images = [_name(device, span.word) for span in initrd.words] if initrd else []
    initramfs = main_initramfs(image, images)
    return BootEntry(
        title=entry.title,
        identifier=str(menu.entries.index(entry)),
        kernel=files.place(_name(device, image)),
        initramfs=files.place(initramfs) if initramfs else "",
        arguments=tuple(span.word for span in kernel.parameters),
    )


def _root(files: GrubFiles, menu: codec.LegacyMenu, entry: codec.Entry) -> str:
    """Give the device that files without one are on; "" where nothing says it."""
    for commands in (entry.commands, menu.commands):
        for command in commands:
            match = _DEVICE.match(command.arguments)
            if command.name in ("root", "rootnoverify") and match:
                return match[1]
            if command.name == "uuid":
                return files.search("uuid", command.arguments) or ""
    return ""


def _name(device: str, name: str) -> str:
    return name if name.startswith("(") else f"({device}){name}"


# --- what is to be said ---------------------------------------------------------------------------


def _judge(
    config: str, chosen: codec.Entry | None, default: BootEntry | None, missing: str
) -> Iterator[Finding]:
    if default is None:
        yield _no_default(config, chosen)
    elif missing:
        yield Finding(
            Severity.WARNING,
            "default-entry-missing",
            f"{config}: there is no entry number {missing}; GRUB starts {default.title!r} instead,"
            " and that one was prepared",
            f"set `default` in {config} to an entry that exists",
            _NO_DEFAULT,
        )


def _no_default(config: str, chosen: codec.Entry | None) -> Finding:
    if chosen is not None and chosen.is_hypervisor:
        return Finding(
            Severity.ERROR,
            "default-is-hypervisor",
            f"{config}: the default entry {chosen.title!r} starts the Xen hypervisor, which does"
            " not run on EC2",
            f"set `default` in {config} to the number of an entry with a kernel that is not for"
            " Xen, install that kernel if there is none, and export the machine again",
            _NO_DEFAULT,
        )
    what = (
        f"the default entry {chosen.title!r} starts no Linux kernel" if chosen else "has no entries"
    )
    return Finding(
        Severity.ERROR,
        "default-kernel-unknown",
        f"{config}: {what}",
        f"set `default` in {config} to the number of an entry that starts Linux, export again",
        _NO_DEFAULT,
    )


def _judge_others(view: BootView, configs: list[str]) -> Iterator[Finding]:
    """Refuse where menus differ and it cannot be told which is read."""
    texts = {paths.text(view.guest, path) for path in configs}
    if len(texts) < 2:
        return
    in_boot = [path for path in configs if path not in _on_esps(view)]
    is_told = configs[0].rpartition("/")[2] == _named_by_stage2(view) or len(in_boot) < 2
    others = ", ".join(configs[1:])
    yield Finding(
        Severity.INFO if is_told else Severity.ERROR,
        "several-grub-configs",
        f"GRUB reads {configs[0]}; there are others that differ: {others}"
        if is_told
        else f"it cannot be told which of these GRUB reads: {configs[0]}, {others}",
        "remove the one that is not used from the machine, and export it again",
        SEVERAL_FILES,
    )
