"""Whether a Windows gets an MBR, so that it starts by BIOS (BOOT-4).

The service gives one to a Windows that could start by either firmware, where the disk comes as VHDX
and an MBR can hold it, unless UEFI is asked for. Whoever asks for BIOS gets it whatever the
container is; where it is impossible that is an error, and otherwise the disk stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.disk.conversion import refusal
from converter.disk.windows_conversion import prepare_windows
from converter.errors import GuestRefusedError
from converter.inspection.windows_volumes import DRIVE
from converter.model import BootMode, DiskFormat, TableType
from converter.policy_windows import needs_uefi

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.disk.windows_conversion import WindowsConversion
    from converter.model import Facts, Partition, Source, Wanted

    Read = Callable[[int, int], bytes]


def is_asked(wanted: Wanted) -> bool:
    """Tell whether an MBR is asked for: then it is an error where it is impossible."""
    return BootMode.LEGACY_BIOS is wanted.boot_mode or wanted.table is TableType.MBR


def prepare(read: Read, source: Source, facts: Facts, wanted: Wanted) -> WindowsConversion | None:
    """Plan the MBR that the guest gets, None where its table stays.

    Raises `GuestRefusedError` where one is asked for that is impossible.
    """
    disk = facts.disks[0]
    if wanted.table is TableType.GPT and disk.table is not TableType.GPT:
        raise refusal(
            "table-windows",
            disk,
            "a Windows that starts by BIOS gets no GPT here",
            "leave --partition-table out, or convert the disk in the machine (mbr2gpt)",
        )
    if (
        wanted.boot_mode is BootMode.LEGACY_BIOS
        and BootMode.LEGACY_BIOS not in facts.boot_modes
        and disk.table is not TableType.GPT
    ):
        raise refusal(
            "table-boot-record",
            disk,
            "nothing on it starts Windows by BIOS",
            "leave --boot-mode out, or repair it in the machine (bootrec /fixmbr, bcdboot)",
        )
    is_default = (
        wanted.boot_mode is None
        and wanted.table is None
        and source.disks[0].format is DiskFormat.VHDX
        and not needs_uefi(facts.windows)
    )
    if disk.table is not TableType.GPT or not (is_asked(wanted) or is_default):
        return None
    if wanted.boot_mode is BootMode.UEFI or needs_uefi(facts.windows):
        raise refusal(
            "table-firmware",
            disk,
            f"{facts.windows.product} is to start by UEFI, and does so from a GPT only",
            "leave --partition-table out",
        )
    try:
        return prepare_windows(read, disk, system=_windows_partition(facts))
    except GuestRefusedError:
        if is_asked(wanted):
            raise
        return None


def _windows_partition(facts: Facts) -> Partition:
    """Give the partition that Windows is on; its own files make it one that a BIOS starts."""
    disk = facts.disks[0]
    device = next(mount.device for mount in facts.mounts if mount.path == DRIVE)
    for partition in disk.partitions:
        if f"{disk.device}{partition.number}" == device:
            return partition
    raise refusal(
        "table-elsewhere",
        disk,
        f"Windows is not on it, but on {device}",
        "give the disk that Windows is on first, or leave --boot-mode out",
    )
