"""The boot code that is committed is what its source says."""

from __future__ import annotations

from pathlib import Path

import converter.disk
from converter import process
from converter.disk.boot_code import AREA, CHAIN, SIGNATURE, identify
from converter.disk.windows_mbr import CODE

SOURCE = Path(converter.disk.__file__).with_name("mbr.asm")


def test_the_source_makes_the_code(tmp_path: Path) -> None:
    made = tmp_path / "mbr.bin"
    process.run(["nasm", "-w+all", "-w+error", "-f", "bin", "-o", str(made), str(SOURCE)])
    assert made.read_bytes() == CODE
    assert len(CODE) == AREA


def test_it_is_known_to_start_the_active_partition() -> None:
    assert identify(CODE.ljust(510, b"\0") + SIGNATURE) == CHAIN
