"""The boot code of the MBR of a disk with Windows: it starts the active partition.

The source is `mbr.asm`, beside this; the assembled code lies in the package's data, so that a
conversion needs no assembler. It is our own: nothing of Windows is copied.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

CODE: Final = files("converter.data").joinpath("windows_mbr.bin").read_bytes()
