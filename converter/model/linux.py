"""What a Linux was found to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.model.wanted import BootMode


@dataclass(frozen=True, slots=True)
class Initramfs:
    """What the default kernel's initramfs was found to be.

    `modules` are normalised names (`-` written `_`), without those built into the kernel.
    """

    path: str
    compression: tuple[str, ...]
    segments: int
    generator: str
    modules: frozenset[str]


@dataclass(frozen=True, slots=True)
class Kernel:
    """An installed kernel: its release, image, and the modules it can load or has built in.

    `modules` and `builtin` hold normalised names (`-` written `_`).
    """

    release: str
    image: str
    modules: frozenset[str] = frozenset()
    builtin: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BootEntry:
    """A bootloader's menu entry: ids as the bootloader has them; paths are the guest's own.

    `source` is the file that the entry stands in alone (Boot Loader Specification), else "".
    """

    title: str
    identifier: str
    kernel: str
    initramfs: str
    arguments: tuple[str, ...]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Bootloader:
    """The bootloader that was found and what it starts by default.

    `kind` is "grub2", "grub-legacy", "systemd-boot", or the name of one that cannot be converted;
    `config` the file that says what the default is. `scripts` are all files that make the menu, in
    the bootloader's own language; `environments` those with the variables it keeps (GRUB 2).
    """

    kind: str
    config: str
    firmware: frozenset[BootMode]
    default: BootEntry | None
    entries: tuple[BootEntry, ...] = ()
    scripts: tuple[str, ...] = ()
    environments: tuple[str, ...] = ()


class LinkKind(StrEnum):
    """What a network link is, as far as it matters whether it needs a card of the source.

    A TUNNEL ends at an address of the source's network; OTHER links (VPNs, containers' and dummy
    ones) need no card.
    """

    ETHERNET = "ethernet"
    BOND = "bond"
    BRIDGE = "bridge"
    VLAN = "vlan"
    WIRELESS = "wireless"
    TUNNEL = "tunnel"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class NetworkLink:
    """A network link as one stack configures it: a card, or something made of others (`lower`).

    `name` is what the configuration calls it, which may be a pattern. `addresses` are the fixed
    ones, as they are written. `gateway`: the default route is set here by hand. `automatic`: it is
    brought up at boot.
    """

    name: str
    kind: LinkKind = LinkKind.ETHERNET
    addresses: tuple[str, ...] = ()
    dhcp: bool = False
    mac: str = ""
    lower: tuple[str, ...] = ()
    gateway: bool = False
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class NetworkStack:
    """A network configuration mechanism in use: `name` (ifupdown, networkd, …), its files.

    `interfaces` and `static` sum `links` up: their names, and whether any has a fixed address.
    `managed` tells that it configures cards which no file names (NetworkManager's default).
    """

    name: str
    files: tuple[str, ...]
    interfaces: tuple[str, ...]
    static: bool
    links: tuple[NetworkLink, ...] = ()
    managed: bool = False


@dataclass(frozen=True, slots=True)
class LinuxFacts:
    """What a Linux guest was found to be.

    `distribution` and `version` are those of os-release(5). `point_release` is the exact version
    where the distribution counts it as the same version with its updates in (Debian 12.7 is 12).
    `blocked` are modules of EC2's devices that are kept from loading, each with what does so.
    """

    distribution: str
    version: str
    pretty_name: str
    hostname: str
    architecture: str
    package_manager: str
    init_system: str
    selinux: str
    kernels: tuple[Kernel, ...]
    default_kernel: Kernel | None
    initramfs: Initramfs | None
    bootloader: Bootloader | None
    networks: tuple[NetworkStack, ...]
    agents: tuple[str, ...]
    guest_tools: tuple[str, ...]
    point_release: str = ""
    blocked: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
