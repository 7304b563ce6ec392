"""What the synthetic Windows guests have for boot code is really started, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from images.windows.build import build
from images.windows.guest import Firmware, State, Windows
from images.windows.layout import Role, plan
from tests.windows.machine import says

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.boot


@pytest.mark.parametrize("bus", ["ide", "nvme"])
def test_bios_starts_the_active_partition(bus: str, tmp_path: Path) -> None:
    windows = Windows("2019", states=frozenset({State.SINGLE_PARTITION}))
    sectors = plan(windows).get(Role.WINDOWS).start // 512
    said = says(build(windows, tmp_path), Firmware.BIOS, bus, until=b"\n")
    assert f"VBR hidden={sectors:08x} drive=80\r\n".encode() in said


def test_bios_starts_what_the_vbr_says(tmp_path: Path) -> None:
    """The number is the volume's own: another one is said when another one is there."""
    windows = Windows("2008r2")
    disk = build(windows, tmp_path)
    with disk.open("r+b") as file:
        file.seek(plan(windows).system.start + 0x1C)
        file.write(bytes.fromhex("efbeadde"))
    said = says(disk, Firmware.BIOS, "ide", until=b"\n")
    assert b"VBR hidden=deadbeef drive=80\r\n" in said


def test_uefi_starts_the_fallback_loader(tmp_path: Path) -> None:
    disk = build(Windows("2022", Firmware.UEFI), tmp_path)
    assert b"bootmgfw reached" in says(disk, Firmware.UEFI, "nvme", until=b"bootmgfw reached")


def test_uefi_starts_nothing_without_it(tmp_path: Path) -> None:
    windows = Windows("2022", Firmware.UEFI, frozenset({State.NO_FALLBACK}))
    said = says(build(windows, tmp_path), Firmware.UEFI, "nvme", until=b"UEFI Interactive Shell")
    assert b"bootmgfw reached" not in said
    assert b"UEFI Interactive Shell" in said
