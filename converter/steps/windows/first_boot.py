r"""What a Windows finishes by itself at its first start: drivers, agents, activation (WIN-2, 3, 7).

The payloads of the driver store are put into a directory of ours below %SystemRoot%, with a script
that installs them and then removes all of it, and with what makes Windows start that script
(`firstboot`). Where there is nothing to be done, nothing is put in.

What a mechanism shares with the guest's own files is made from these as they were before an earlier
conversion, so that a second one makes the same of them.
"""

from __future__ import annotations

import posixpath
import zipfile
from functools import partial
from typing import TYPE_CHECKING, Final

from converter import bundles, driver_package
from converter.archive import DAMAGE
from converter.bundles import Format, Install
from converter.firstboot import group_policy, items
from converter.firstboot.items import Item, Kind
from converter.firstboot.script import DONE, NOTE, PAYLOADS, STATE, staged
from converter.firstboot.trigger import (
    SCRIPT,
    SETUP_COMPLETE,
    SETUP_COMPLETE_BEFORE,
    Existing,
    Situation,
    prepare,
)
from converter.formats import FormatError
from converter.guest import caseless, paths
from converter.guest.recording import last_kept
from converter.inspection.windows_values import number
from converter.model import CopyIn, Finding, Licence, ProductType, ServiceStart, Severity
from converter.steps.step import Step
from converter.steps.windows import boot_driver
from converter.steps.windows.registry import Editing, registry_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from converter.firstboot.trigger import Trigger
    from converter.model import Facts
    from converter.provision import Provided
    from converter.steps.step import Context

_CODE: Final = "first-boot"
_ORDER: Final = (bundles.Kind.RUNTIME, bundles.Kind.DRIVER, bundles.Kind.AGENT)
_MEMBER_LIMIT: Final = 64 << 20
_AGAIN: Final = "fetch or import it again (converter drivers fetch, converter drivers import)"
# What a bundle's program is told, by the bundle's name.
_PROGRAMS: Final[dict[str, Callable[[str], Item]]] = {
    "dotnet-4.8": items.dotnet,
    "ssm-agent-windows": items.ssm_agent,
    "ec2config": items.ec2config,
}


def run(context: Context) -> None:
    """Plan payloads, script and what starts it."""
    todo = [*_items(context)]
    if not todo:
        return
    trigger = prepare(_situation(context), _existing(context))
    _forget(context)
    editing = Editing(context, _CODE, f"started by {trigger.mechanism.value}: {trigger.reason}")
    # The script is there before anything starts it.
    for path, data in staged(todo, trigger).items():
        _write(context, path, data)
    for file in trigger.files:
        _write(context, file.path, file.data)
    for placed in trigger.values:
        editing.set_control(placed.key, placed.name, placed.value)
    _tell(context, todo, trigger)


def _forget(context: Context) -> None:
    """Plan that nothing is known of an earlier first boot, after which there would be no other."""
    notes = paths.names(context.guest, _place(context, STATE))
    for path in (DONE, *(f"{STATE}/{name}" for name in notes if NOTE.fullmatch(name))):
        place = _place(context, path)
        if paths.is_file(context.guest, place):
            reason = "it tells of the first start after an earlier conversion"
            context.guest.discard(place, code=_CODE, reason=reason)


def _tell(context: Context, todo: list[Item], trigger: Trigger) -> None:
    names = ", ".join(item.name for item in todo)
    context.guest.note(
        Finding(
            Severity.INFO,
            _CODE,
            f"the first start finishes the conversion ({names}), started by"
            f" {trigger.mechanism.value}: {trigger.reason}; it may restart once",
        )
    )


# --- what is to be done ---------------------------------------------------------------------------


def _items(context: Context) -> Iterator[Item]:
    """Give what is to be done, and plan the payloads that it needs."""
    yield from boot_driver.removals(context)
    for provided in sorted(context.options.payloads, key=_rank):
        try:
            yield from _of_payload(context, provided)
        except (FormatError, *DAMAGE) as error:
            message = f"{provided.choice.bundle.summary}: the guest goes without: {error}"
            context.guest.note(Finding(Severity.WARNING, "payload-damaged", message, _AGAIN))
    windows = context.facts.windows
    yield from (items.vmware_tools_removal(code) for code in windows.tools_products)
    if context.options.licence is Licence.AWS and windows.product_type is not (
        ProductType.WORKSTATION
    ):
        yield from items.activation()


def _rank(provided: Provided) -> int:
    """Order payloads: what agents need, then drivers, then agents."""
    return _ORDER.index(provided.choice.bundle.kind)


def _of_payload(context: Context, provided: Provided) -> Iterator[Item]:
    bundle, payload = provided.choice.bundle, provided.payload
    match bundle.install:
        case Install.PNPUTIL:
            yield from _drivers(context, provided)
        case Install.MSI:
            path = _program(context, provided)
            # Xen's drivers may refuse a machine that is none of Xen's.
            is_required = bundle.kind is bundles.Kind.AGENT
            yield Item(bundle.summary, Kind.MSI, path, is_required=is_required)
        case Install.EXE:
            yield _PROGRAMS[bundle.name](_program(context, provided))
        case _:
            context.guest.note(
                Finding(
                    Severity.INFO,
                    "payload-by-hand",
                    f"{bundle.summary}: {payload.file} is not installed by itself",
                    f"install it in the machine ({bundle.origin})",
                )
            )


def _drivers(context: Context, provided: Provided) -> Iterator[Item]:
    """Plan a driver package's files; gives an item for each INF that is for the guest."""
    bundle = provided.choice.bundle
    architecture = context.facts.windows.architecture
    version = boot_driver.windows_version(context.facts)
    with zipfile.ZipFile(provided.checked.path) as archive:
        entries = [e for e in archive.infolist() if not e.is_dir()]
        readable = [(e.filename, e.file_size, partial(archive.read, e)) for e in entries]
        drivers = [
            driver
            for driver in driver_package.read_drivers(readable)
            if driver_package.serves_windows(driver, bundle, architecture, version)
        ]
        # What cannot stand in the script is not put in at all.
        wanted = [
            Item(
                f"{bundle.summary} {driver.inf.version}",
                Kind.DRIVER,
                f"{bundle.name}/{driver.name}",
                is_required=True,
            )
            for driver in drivers
        ]
        folders = {posixpath.dirname(driver.name) for driver in drivers}
        for entry in entries:
            inside = any(not f or entry.filename.startswith(f"{f}/") for f in folders)
            if inside:
                _unpack(context, archive, entry, bundle.name)
    yield from wanted


def _unpack(context: Context, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str) -> None:
    if entry.file_size > _MEMBER_LIMIT:
        raise FormatError(f"{entry.filename}: has {entry.file_size} bytes")
    _write(context, f"{PAYLOADS}/{name}/{entry.filename}", archive.read(entry))


def _program(context: Context, provided: Provided) -> str:
    """Plan an installer, or the one that a zip holds; gives its path below the payloads."""
    bundle, checked = provided.choice.bundle, provided.checked
    if provided.payload.format is not Format.ZIP:
        path = f"{bundle.name}/{provided.payload.file}"
        context.guest.copy_in(
            CopyIn(
                _CODE,
                f"{bundle.summary} is installed at the first start",
                _place(context, f"{PAYLOADS}/{path}"),
                checked.path,
                checked.entry.sha256,
                checked.entry.size,
            )
        )
        return path
    with zipfile.ZipFile(checked.path) as archive:
        for entry in archive.infolist():
            if posixpath.basename(entry.filename).casefold() == provided.payload.holds.casefold():
                _unpack(context, archive, entry, bundle.name)
                return f"{bundle.name}/{entry.filename}"
    raise FormatError(f"{provided.payload.file}: has no {provided.payload.holds or 'installer'}")


# --- what starts it -------------------------------------------------------------------------------


def _situation(context: Context) -> Situation:
    windows = context.facts.windows
    registry = registry_of(context)
    gpt = _read(context, group_policy.GPT)
    is_part_off = gpt is not None and group_policy.computer_part_is_off(gpt)
    return Situation(
        is_server=windows.product_type is not ProductType.WORKSTATION,
        is_domain_controller=windows.product_type is ProductType.DOMAIN_CONTROLLER,
        is_sysprepped=windows.is_generalized,
        has_local_policy=not windows.is_policy_off and not is_part_off,
        # Joining a domain makes it automatic; in a workgroup it starts on demand.
        is_domain_member=number(registry.control(r"Services\Netlogon", "Start"))
        == ServiceStart.AUTOMATIC,
    )


def _existing(context: Context) -> Existing:
    return Existing(
        gpt=_before(context, group_policy.GPT),
        scripts=_before(context, group_policy.SCRIPTS),
        setup_complete=_read(context, SETUP_COMPLETE),
        setup_complete_before=_read(context, SETUP_COMPLETE_BEFORE),
    )


def _before(context: Context, path: str) -> bytes | None:
    """Read a file as it was before an earlier conversion that has not been finished, if any."""
    place = _place(context, path)
    if paths.is_file(context.guest, _place(context, SCRIPT)):
        place = last_kept(context.guest, place)
    return context.guest.read(place) if paths.is_file(context.guest, place) else None


def _read(context: Context, path: str) -> bytes | None:
    place = _place(context, path)
    return context.guest.read(place) if paths.is_file(context.guest, place) else None


def _place(context: Context, path: str) -> str:
    return caseless.find(context.guest, context.facts.windows.root, path)


def _write(context: Context, path: str, data: bytes) -> None:
    reason = "Windows installs what EC2 needs when it first starts"
    context.guest.write(_place(context, path), data, code=_CODE, reason=reason)


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-first-boot", "finish at the first start", _applies, run)
