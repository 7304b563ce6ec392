"""What parted reads of a partition table: the only importer of `parted`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Debian's libparted asks whose machine it runs on as soon as it is loaded, to write tables of its
# own kind on an Apple: a shell runs dmidecode(8). When that prints nothing (it is not there, or
# may not read), the answer is looked for in memory that nobody wrote, and past its end; the first
# newline there, whatever it belongs to, becomes a zero. With this set nothing is asked.
# See debian/patches/gptsync.patch of the source package parted.
os.environ.setdefault("PARTED_GPT_APPLE", "0")

import parted

if TYPE_CHECKING:
    from pathlib import Path


def read_table(path: Path) -> tuple[str, dict[int, tuple[int, int]]]:
    """Give the label ("gpt", "msdos") and the partitions (start and size in bytes) of an image.

    Where it reads no table, the label says why not.
    """
    try:
        device = parted.getDevice(str(path))
        disk = parted.newDisk(device)
        sector = device.sectorSize
        partitions = {
            part.number: (part.geometry.start * sector, part.geometry.length * sector)
            for part in disk.partitions
        }
    except (parted.DeviceException, parted.DiskException, parted.IOException) as error:
        return f"nothing ({error})", {}
    return str(disk.type), partitions
