"""What the guest has drivers for, read from itself (LNX-1, WIN-1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.data import load
from converter.model import Capabilities, WindowsFacts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.model import LinuxFacts
    from converter.provision import Provided


def capabilities(facts: LinuxFacts | WindowsFacts) -> Capabilities:
    """Tell which EC2 devices the guest drives."""
    if isinstance(facts, WindowsFacts):
        table = load("windows")["drivers"]
        return Capabilities(**{name: has_windows_driver(facts, name) for name in table})
    return Capabilities(
        **{
            name: has_driver(facts, name) and not is_blocked(facts, name)
            for name in load("linux")["drivers"]
        }
    )


def staged(payloads: Iterable[Provided]) -> frozenset[str]:
    """Give the EC2 devices whose drivers a Windows installs at its first start."""
    provides = {provided.choice.bundle.provides for provided in payloads}
    table: dict[str, dict[str, list[str]]] = load("windows")["drivers"]
    return frozenset(
        name for name, row in table.items() if not provides.isdisjoint(row["services"])
    )


def has_windows_driver(facts: WindowsFacts, name: str) -> bool:
    """Tell whether a Windows drives the device of data/windows.toml's `[drivers.name]`.

    Its file must be there: a driver of disks counts when it starts with the machine, another one
    when it is not disabled.
    """
    row = load("windows")["drivers"][name]
    there = facts.boot_drivers if row["boot"] else facts.drivers
    return not there.isdisjoint(row["services"])


def is_blocked(facts: LinuxFacts, name: str) -> bool:
    """Tell whether all modules of `[drivers.name]` that there are are kept from loading."""
    kernel = facts.default_kernel
    if kernel is None:
        return False
    modules = load("linux")["drivers"][name]["modules"]
    there = (kernel.modules | kernel.builtin).intersection(modules)
    return bool(there) and there <= facts.blocked.keys() - kernel.builtin


def has_driver(facts: LinuxFacts, name: str) -> bool:
    """Tell whether the default kernel can use the device of `[drivers.name]` when it needs it.

    A driver of block devices counts when it is built in or in the initramfs; without an initramfs
    it must be built in. A network driver may be loaded later.
    """
    kernel = facts.default_kernel
    if kernel is None:
        return False
    row = load("linux")["drivers"][name]
    loadable = kernel.modules
    if row["boot"]:
        loadable = facts.initramfs.modules if facts.initramfs else frozenset()
    return any(module in kernel.builtin or module in loadable for module in row["modules"])
