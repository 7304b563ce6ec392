r"""A Windows that UEFI starts made one that BIOS starts: an MBR, and the files it needs (BOOT-5).

The table itself is made in `disk.windows_conversion`, and written when all files are in. Here is
what depends on files: Windows' boot manager for BIOS, which every installation has a copy of, the
settings that it reads, made of those that UEFI's uses, and what Windows calls its volumes.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, bcd_edit
from converter.formats.bcd_edit import Places
from converter.formats.mounted_devices import changed
from converter.formats.registry import Hive
from converter.guest import caseless, paths
from converter.guest.hives import read_whole
from converter.inspection.windows_boot import BCD, EFI_BCD
from converter.inspection.windows_volumes import DRIVE
from converter.model import ConvertTable, Finding, Severity, TableType
from converter.steps.partition_table import row
from converter.steps.step import Step
from converter.steps.windows.registry import Editing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.disk.windows_conversion import WindowsConversion
    from converter.model import Facts, Mount
    from converter.steps.step import Context

# Below %SystemRoot%, and where it is to be on the active partition; the first one must be there.
_PROGRAMS: Final = (
    ("Boot/PCAT/bootmgr", "bootmgr"),
    ("Boot/PCAT/bootnxt", "BOOTNXT"),
    ("Boot/PCAT/memtest.exe", "Boot/memtest.exe"),
)
_LOADER: Final = "System32/winload.exe"
_MOUNTED_DEVICES: Final = "MountedDevices"
_CODE: Final = "boot-by-bios"
_REASON: Final = "the disk is to start by BIOS, from an MBR"
_KEEP: Final = "give --boot-mode uefi: the disk keeps its GPT then"


def run(context: Context) -> None:
    """Plan the files, the names of volumes, and the table."""
    conversion = context.options.windows_conversion
    if conversion is None:
        return
    system = _system(context.facts, conversion)
    try:
        _programs(context, system)
        _settings(context, conversion, system)
    except FormatError as error:
        context.guest.note(
            Finding(Severity.ERROR, "table-boot-settings", f"Windows cannot follow: {error}", _KEEP)
        )
        return
    _volumes(context, conversion)
    _table(context, conversion)


def _system(facts: Facts, conversion: WindowsConversion) -> Mount:
    """Give where the partition that becomes the active one is mounted."""
    numbers = {part.start: part.number for part in conversion.disk.partitions}
    device = f"{conversion.disk.device}{numbers[conversion.system.start]}"
    return next(mount for mount in facts.mounts if mount.device == device)


def _programs(context: Context, system: Mount) -> None:
    guest, root = context.guest, context.facts.windows.root
    for source, target in _PROGRAMS:
        found = caseless.find(guest, root, source)
        if paths.is_file(guest, found):
            place = caseless.find(guest, system.path, target)
            guest.copy(found, place, code=_CODE, reason=_REASON)
        elif target == "bootmgr":
            raise FormatError(f"{found}, its boot manager for BIOS, is not there")
    loader = caseless.find(guest, root, _LOADER)
    if not paths.is_file(guest, loader):
        raise FormatError(f"{loader}, its loader for BIOS, is not there")


def _settings(context: Context, conversion: WindowsConversion, system: Mount) -> None:
    windows = next(mount for mount in context.facts.mounts if mount.path == DRIVE)
    by_device = {f"{conversion.disk.device}{p.number}": p for p in conversion.disk.partitions}
    places = Places(
        uuid.UUID(conversion.disk.identifier),
        conversion.places,
        conversion.place(by_device[system.device]),
        conversion.place(by_device[windows.device]),
    )
    source = next(_stores(context), None)
    if source is None:
        raise FormatError("there are no boot settings on an EFI system partition")
    hive = Hive(bcd_edit.for_bios(read_whole(context.guest, source), places))
    bcd_edit.ems_off(hive)
    bcd_edit.safe_mode_off(hive)
    target = caseless.find(context.guest, system.path, BCD)
    context.guest.write(target, hive.tobytes(), code=_CODE, reason=_REASON)


def _stores(context: Context) -> Iterator[str]:
    for esp in context.facts.esps:
        found = caseless.find(context.guest, esp.path, EFI_BCD)
        if paths.is_file(context.guest, found):
            yield found


def _volumes(context: Context, conversion: WindowsConversion) -> None:
    editing = Editing(context, _CODE, "Windows knows its volumes by their place on the disk")
    values = editing.registry.system.values(_MOUNTED_DEVICES)
    for name, value in changed(values, places=conversion.places).items():
        editing.set_system(_MOUNTED_DEVICES, name, value)


def _table(context: Context, conversion: WindowsConversion) -> None:
    old = conversion.disk
    change = ConvertTable(
        code="convert-table",
        reason=_REASON,
        path=old.device,
        table=TableType.MBR,
        partitions=conversion.partitions,
        pieces=conversion.pieces,
        size=old.size,
    )
    lines = [f"-{old.table.value}, {old.size} bytes", *(f"-{row(part)}" for part in old.partitions)]
    lines += [f"+{change.table.value}", *(f"+{row(part)}" for part in change.partitions)]
    context.guest.record_table(change, "".join(f"{line}\n" for line in lines))


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-partition-table", "start by BIOS from an MBR, if so", _applies, run)
