"""libguestfs' appliance as a machine with a guest's disks, in which a shell script is run.

Linux gives the appliance's disks their names in any order. So they are labelled with the names
that they have in the guest, and what is /dev/sda1 there is /dev/disk/guestfs/sda1 here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import guestfs

from converter.accelerator import choose

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def run(script: str, disks: Sequence[Path]) -> None:
    """Run a shell script with raw `disks` attached; nothing is mounted. A failure is an error."""
    os.environ.update(choose().libguestfs_settings)
    machine = guestfs.GuestFS(python_return_dict=True)
    try:
        for number, disk in enumerate(disks):
            label = disk_device(number).rpartition("/")[2]
            machine.add_drive_opts(str(disk), format="raw", cachemode="unsafe", label=label)
        machine.launch()
        machine.debug("sh", [script])
        machine.shutdown()
    finally:
        machine.close()


def disk_device(number: int) -> str:
    """Give the guest's name of the disk that is attached as `number`, from 0."""
    return f"/dev/sd{chr(ord('a') + number)}"


def here(device: str) -> str:
    """Give the appliance's name for a guest's device."""
    return device.replace("/dev/sd", "/dev/disk/guestfs/sd")
