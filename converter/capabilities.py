"""What the guest has drivers for, read from its kernel and its initramfs (LNX-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.data import load
from converter.model import Capabilities

if TYPE_CHECKING:
    from converter.model import LinuxFacts


def capabilities(facts: LinuxFacts) -> Capabilities:
    """Tell which EC2 devices the default kernel drives.

    A driver of block devices counts when it is built in or in the initramfs; without an initramfs
    it must be built in. A network driver may be loaded later.
    """
    table = load("linux")["drivers"]
    return Capabilities(**{name: has_driver(facts, name) for name in table})


def has_driver(facts: LinuxFacts, name: str) -> bool:
    """Tell whether the default kernel can use the device of `[drivers.name]` when it needs it."""
    kernel = facts.default_kernel
    if kernel is None:
        return False
    row = load("linux")["drivers"][name]
    loadable = kernel.modules
    if row["boot"]:
        loadable = facts.initramfs.modules if facts.initramfs else frozenset()
    return any(module in kernel.builtin or module in loadable for module in row["modules"])
