"""Starts a disk on an emulated machine, and gives what comes over its serial port.

For programs that say that they were started, and stop. The disk is not changed, and firmware has
no variables but the empty ones that it comes with.
"""

from __future__ import annotations

import os
import select
import shutil
import time
from typing import TYPE_CHECKING

from converter import process
from converter.boot import OVMF

if TYPE_CHECKING:
    from pathlib import Path

    from images.windows.guest import Firmware

# Chipset and devices: IDE as old hypervisors have it, NVMe as EC2 has it.
_MACHINES = {
    "ide": ("pc", "ide-hd,bus=ide.0"),
    "ahci": ("q35", "ide-hd,bus=ide.0"),
    "nvme": ("q35", "nvme,serial=vol0"),
}


def says(disk: Path, firmware: Firmware, bus: str, *, until: bytes, seconds: float = 120) -> bytes:
    """Start `disk` and give what it says up to and with `until`, or all that it says in time."""
    chipset, device = _MACHINES[bus]
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-snapshot",
        "-machine", chipset, "-accel", "tcg", "-cpu", "max", "-m", "256",
        "-display", "none", "-vga", "std", "-serial", "stdio",
        "-drive", f"if=none,id=disk,format=raw,file={disk}", "-device", f"{device},drive=disk",
    ]  # fmt: skip
    variables = disk.with_suffix(".fd")
    if firmware == "uefi":
        code, empty = next(pair for pair in OVMF if pair[0].is_file())
        shutil.copyfile(empty, variables)
        argv += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}"]
        argv += ["-drive", f"if=pflash,unit=1,format=raw,file={variables}"]
    return _output(argv, until, time.monotonic() + seconds)


def _output(argv: list[str], until: bytes, deadline: float) -> bytes:
    found = b""
    with process.start(argv) as machine:
        assert machine.stdout is not None
        try:
            while until not in found:
                left = max(0.0, deadline - time.monotonic())
                if not select.select([machine.stdout], [], [], left)[0]:
                    break
                piece = os.read(machine.stdout.fileno(), 65536)
                if not piece:
                    break
                found += piece
        finally:
            machine.kill()
    return found
