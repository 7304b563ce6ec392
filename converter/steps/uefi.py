"""UEFI without boot entries: EFI/BOOT/BOOTX64.EFI on every EFI system partition (BOOT-2).

A new machine's firmware remembers no boot entry. It then starts the fallback, which many systems
never made: the vendor's loader is copied there, shim first where it is. The fallback program of
shim (fbx64.efi) is not copied: it writes boot entries, and may restart the machine for them. All
programs are copied byte for byte, so that signatures hold; only GRUB's configuration is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats.efi_program import Kind
from converter.guest import paths
from converter.inspection.efi import FALLBACK, EfiView, Loader
from converter.inspection.esp import child
from converter.model import Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
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
        facts.os.architecture,
        facts.os.distribution,
    )
    for esp in facts.esps:
        _prepare(context.guest, view, esp)


def _prepare(guest: RecordingGuest, view: EfiView, esp: Mount) -> None:
    now = view.fallback(esp)
    if now is not None and not view.lacking(esp, now):
        return
    source = _choose(view, esp, now)
    if source is None:
        if now is not None:
            _warn(guest, view, esp, now)
        return
    if source is not now:
        _copy(guest, view, esp, source)
    made = view.fallback(esp)
    if made is not None and view.lacking(esp, made):
        _write_config(guest, view, esp, source=source, made=made)
        _write_csv(guest, view, esp, source=source, made=made)
    if made is None or view.lacking(esp, made):
        _warn(guest, view, esp, made or source)


def _choose(view: EfiView, esp: Mount, now: Loader | None) -> Loader | None:
    """Choose what is to be the fallback: `now` itself where a configuration is all it lacks."""
    vendors = view.vendors(esp)
    whole = next((loader for loader in vendors if not view.lacking(esp, loader)), None)
    if whole is not None:
        return whole
    candidates = [*([now] if now is not None else []), *vendors]
    return next((loader for loader in candidates if view.can_be_whole(esp, loader)), None)


def _copy(guest: RecordingGuest, view: EfiView, esp: Mount, source: Loader) -> None:
    target = view.fallback_path(esp)
    directory = target.rpartition("/")[0]
    if source.program.kind is Kind.SHIM:
        for name in (source.program.second_stage, source.program.key_manager):
            beside = child(guest, source.directory, name)
            if paths.is_file(guest, beside):
                reason = f"shim in {directory} starts this"
                guest.copy(
                    beside, child(guest, directory, name), code="uefi-fallback", reason=reason
                )
    guest.copy(source.path, target, code="uefi-fallback", reason=_REASON)


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
    text = paths.text(guest, child(guest, source.directory, "grub.cfg"))
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
    path = child(guest, source.directory, f"{FALLBACK[view.architecture]}.CSV")
    guest.write(path, line.encode("utf-16-le"), code="uefi-fallback", reason=_CSV_REASON)


def _warn(guest: RecordingGuest, view: EfiView, esp: Mount, loader: Loader) -> None:
    guest.note(
        Finding(
            Severity.WARNING,
            "uefi-fallback-incomplete",
            f"{loader.path} on the EFI system partition {esp.device} would not find"
            f" {view.lacking(esp, loader)}",
            "reinstall GRUB in the machine (grub-install, or reinstall shim and grub2-efi), and"
            " export it again",
        )
    )


def _applies(facts: Facts) -> bool:
    return bool(facts.esps) and facts.os.architecture in FALLBACK


STEP: Final = Step("uefi", "start by UEFI without boot entries", _applies, run)
