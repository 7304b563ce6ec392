"""Every parser that reads what comes from an image: importing this fills `TARGETS`."""

from tests.fuzz.target import TARGETS
from tests.fuzz.targets import (
    archives,
    containers,
    disks,
    grub,
    kernels,
    networks,
    texts,
    windows,
)

__all__ = [
    "TARGETS", "archives", "containers", "disks", "grub", "kernels", "networks", "texts", "windows",
]  # fmt: skip
