"""UEFI without boot entries: EFI/BOOT/BOOTX64.EFI on every EFI system partition (BOOT-2).

A new machine's firmware remembers no boot entry. It then starts the fallback, which many systems
never made: the vendor's loader is copied there, shim first where it is. The fallback program of
shim (fbx64.efi) is not copied: it writes boot entries, and may restart the machine for them. All
programs are copied byte for byte, so that signatures hold; only GRUB's configuration is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from converter.formats.efi_program import Kind
from converter.guest import caseless, paths
from converter.inspection.efi import FALLBACK, EfiView, Loader
from converter.model import BootMode, Finding, Severity
from converter.policy import choose_boot_mode
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, Mount
    from converter.steps.step import Context

_REASON: Final = "firmware that remembers no boot entry, as a new instance's, starts this"
_SHIM_REASON: Final = "shim starts it from its own directory"
_CONFIG_REASON: Final = "GRUB looks here for its configuration, by the prefix that is built into it"
_CSV_REASON: Final = "shim's fallback program, which is on this partition, starts what stands here"


def run(context: Context) -> None:
    """Plan a fallback that finds all it needs, wherever one is possible."""
    facts = context.facts
    view = EfiView(
        context.guest,
        context.storage,
        tuple(dict.fromkeys([*facts.mounts, *facts.esps])),
        facts.linux.architecture,
        facts.linux.distribution,
    )
    problems = [_prepare(context.guest, view, esp) for esp in facts.esps]
    needed = choose_boot_mode(facts, context.options.boot_mode) is BootMode.UEFI
    lost = needed and not any(starts(view, esp) for esp in facts.esps)
    for finding in problems:
        if finding is not None:
            context.guest.note(replace(finding, severity=Severity.ERROR) if lost else finding)


def starts(view: EfiView, esp: Mount) -> bool:
    """Tell whether the fallback of an ESP is there, with all that it needs."""
    loader = view.fallback(esp)
    return loader is not None and not view.lacking(esp, loader)


def _is_ready(view: EfiView, esp: Mount) -> bool:
    """Tell whether the fallback starts the guest, and nothing better is there.

    What is of no kind that is known here may start it, or be another system's, a shell, a memory
    test: where a loader is there that does start it, that is taken.
    """
    loader = view.fallback(esp)
    if loader is None or view.lacking(esp, loader):
        return False
    better = (
        vendor
        for vendor in view.vendors(esp)
        if vendor.program.kind in (Kind.SHIM, Kind.GRUB) and not view.lacking(esp, vendor)
    )
    return loader.program.kind is not Kind.OTHER or next(better, None) is None


def _prepare(guest: RecordingGuest, view: EfiView, esp: Mount) -> Finding | None:
    """Plan the fallback of one ESP; gives what stands against it."""
    if _is_ready(view, esp):
        return None
    now = view.fallback(esp)
    source = _choose(view, esp, now)
    if source is None:
        return _incomplete(view, esp, now) if now is not None else None
    if source is not now:
        copies = dict(_copies(guest, view, esp, source))
        needed = sum(_size(guest, path) for pair in copies.items() for path in pair)
        if esp.space is not None and needed > esp.space.free:
            return _full(esp, needed)
        for target, origin in copies.items():
            reason = _REASON if origin == source.path else _SHIM_REASON
            guest.copy(origin, target, code="uefi-fallback", reason=reason)
    made = view.fallback(esp)
    if made is not None and view.lacking(esp, made):
        _write_config(guest, view, esp, source=source, made=made)
        _write_csv(guest, view, esp, source=source, made=made)
    return None if _is_ready(view, esp) else _incomplete(view, esp, made or source)


def _choose(view: EfiView, esp: Mount, now: Loader | None) -> Loader | None:
    """Choose what is to be the fallback: `now` itself where a configuration is all it lacks."""
    vendors = view.vendors(esp)
    whole = next((loader for loader in vendors if not view.lacking(esp, loader)), None)
    if whole is not None:
        return whole
    candidates = [*([now] if now is not None else []), *vendors]
    return next((loader for loader in candidates if view.can_be_whole(esp, loader)), None)


def _copies(
    guest: RecordingGuest, view: EfiView, esp: Mount, source: Loader
) -> Iterator[tuple[str, str]]:
    """Give what is copied to where: the loader last, which makes the others count."""
    target = view.fallback_path(esp)
    if source.program.kind is Kind.SHIM:
        for name in (source.program.second_stage, source.program.key_manager):
            beside = caseless.find(guest, source.directory, name)
            if paths.is_file(guest, beside):
                yield caseless.find(guest, target.rpartition("/")[0], name), beside
    yield target, source.path


def _size(guest: RecordingGuest, path: str) -> int:
    stat = guest.lstat(path)
    return 0 if stat is None else stat.size


def _write_config(
    guest: RecordingGuest, view: EfiView, esp: Mount, *, source: Loader, made: Loader
) -> None:
    """Plan the configuration that the fallback's GRUB lacks: the vendor's own, else a new one."""
    grub = view.second_stage(made) if made.program.kind is Kind.SHIM else made
    config = view.grub_config(esp, grub) if grub is not None else None
    if config is None or grub is None or not view.grub_lacking(esp, grub):
        return
    text = _vendor_config(guest, view, source) or view.stub()
    if text is not None:
        guest.write(config, paths.encode(text), code="uefi-grub-config", reason=_CONFIG_REASON)


def _vendor_config(guest: RecordingGuest, view: EfiView, source: Loader) -> str | None:
    text = paths.text(guest, caseless.find(guest, source.directory, "grub.cfg"))
    return None if text is None or view.leads_nowhere(text) else text


def _write_csv(
    guest: RecordingGuest, view: EfiView, esp: Mount, *, source: Loader, made: Loader
) -> None:
    """Plan what shim's fallback program goes by, where the guest has that program (UTF-16)."""
    if not view.runs_fallback(esp, made) or source.path == made.path:
        return
    name = source.path.rpartition("/")[2]
    vendor = source.directory.rpartition("/")[2]
    line = f"\ufeff{name},{vendor},,This is the boot entry for {vendor}\n"
    path = caseless.find(guest, source.directory, f"{FALLBACK[view.architecture]}.CSV")
    guest.write(path, line.encode("utf-16-le"), code="uefi-fallback", reason=_CSV_REASON)


def _incomplete(view: EfiView, esp: Mount, loader: Loader) -> Finding:
    return Finding(
        Severity.WARNING,
        "uefi-fallback-incomplete",
        f"{loader.path} on the EFI system partition {esp.device} would not find"
        f" {view.lacking(esp, loader)}",
        "reinstall GRUB in the machine (grub-install, or reinstall shim and grub2-efi), and export"
        " it again",
    )


def _full(esp: Mount, needed: int) -> Finding:
    free = esp.space.free if esp.space is not None else 0
    return Finding(
        Severity.WARNING,
        "esp-full",
        f"the EFI system partition {esp.device} has {free} bytes left, the fallback loader and the"
        f" originals of what it replaces need {needed}",
        "remove old loaders and kernels from it in the machine, and export it again",
    )


def _applies(facts: Facts) -> bool:
    return bool(facts.esps) and facts.linux.architecture in FALLBACK


STEP: Final = Step("uefi", "start by UEFI without boot entries", _applies, run)
