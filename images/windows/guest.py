"""What a Windows guest is: a release, a firmware, and the states it was left in."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

GIB: Final = 1 << 30


class Firmware(StrEnum):
    """What starts the guest: BIOS from an MBR, UEFI from a GPT."""

    BIOS = "bios"
    UEFI = "uefi"


class State(StrEnum):
    """What a guest may have, be or have had done to it, besides a plain installation."""

    ANTIVIRUS = "antivirus"
    AUTO_LOGON = "auto-logon"
    # C: itself; nothing of the guest can be read.
    BITLOCKER = "bitlocker"
    # A further data partition.
    BITLOCKER_DATA = "bitlocker-data"
    BLANK_PASSWORDS = "blank-passwords"
    CORE = "core"
    # SYSTEM misses what its logs hold (`logs.LOGGED`).
    DIRTY_HIVE = "dirty-hive"
    # Likewise, and the logs are damaged.
    LOST_HIVE = "lost-hive"
    # The NTFS flag that asks for chkdsk.
    DIRTY_VOLUME = "dirty-volume"
    DOMAIN_CONTROLLER = "domain-controller"
    DUAL_BOOT = "dual-boot"
    DYNAMIC_DISK = "dynamic-disk"
    EMS = "ems"
    FAST_STARTED = "fast-started"
    GERMAN = "german"
    GROUP_POLICY = "group-policy"
    HIBERNATED = "hibernated"
    HYPER_V = "hyper-v"
    LOCAL_POLICY_OFF = "local-policy-off"
    LOW_SPACE = "low-space"
    # An NTFS that mkntfs made, and nothing else: no BIOS boots it.
    NO_BOOT_CODE = "no-boot-code"
    # An ESP without EFI/Boot/bootx64.efi: it boots by the old machine's variables only.
    NO_FALLBACK = "no-fallback"
    NANO = "nano"
    PENDING_UPDATES = "pending-updates"
    RDP_FIREWALLED = "rdp-firewalled"
    RDP_OFF = "rdp-off"
    # BIOS: no partition besides C:.
    SINGLE_PARTITION = "single-partition"
    START_OVERRIDE = "start-override"
    STATIC_ADDRESSES = "static-addresses"
    SYSPREPPED = "sysprepped"
    # As upgrades leave it: \WINDOWS\system32.
    UPPER_CASE = "upper-case"
    VMWARE_TOOLS = "vmware-tools"


@dataclass(frozen=True, slots=True)
class Release:
    """What differs between releases; `edition` and `product` are those of the usual edition."""

    name: str
    major: int
    minor: int
    build: int
    product: str
    edition: str
    display_version: str = ""
    revision: int = 0
    firmwares: frozenset[Firmware] = frozenset(Firmware)

    @property
    def is_server(self) -> bool:
        """Whether it is a Windows Server."""
        return "Server" in self.product

    @property
    def version(self) -> tuple[int, int]:
        """Its version number: Windows' own, not the product's."""
        return self.major, self.minor

    @property
    def has_driver_database(self) -> bool:
        """Whether drivers are bound by DriverDatabase, not by CriticalDeviceDatabase."""
        return self.version >= (6, 2)

    @property
    def has_new_logs(self) -> bool:
        """Whether registry logs are in the format that came with Windows 8.1."""
        return self.version >= (6, 3)


def _release(  # noqa: PLR0913, PLR0917 - a row of the table below
    name: str,
    version: str,
    build: int,
    product: str,
    edition: str,
    display_version: str = "",
    revision: int = 0,
) -> Release:
    major, minor = map(int, version.split("."))
    # ProductName says 10 on Windows 11, whose installer wants UEFI.
    firmwares = frozenset({Firmware.UEFI}) if name == "11" else frozenset(Firmware)
    return Release(
        name, major, minor, build, product, edition, display_version, revision, firmwares
    )


RELEASES: Final = {
    release.name: release
    for release in (
        _release("7", "6.1", 7601, "Windows 7 Professional", "Professional"),
        _release("2008r2", "6.1", 7601, "Windows Server 2008 R2 Standard", "ServerStandard"),
        _release("2012", "6.2", 9200, "Windows Server 2012 Standard", "ServerStandard"),
        _release("2012r2", "6.3", 9600, "Windows Server 2012 R2 Standard", "ServerStandard"),
        _release("2016", "10.0", 14393, "Windows Server 2016 Standard", "ServerStandard", "", 7426),
        _release("2019", "10.0", 17763, "Windows Server 2019 Standard", "ServerStandard", "", 6293),
        _release(
            "2022", "10.0", 20348, "Windows Server 2022 Standard", "ServerStandard", "21H2", 2700
        ),
        _release(
            "2025", "10.0", 26100, "Windows Server 2025 Standard", "ServerStandard", "24H2", 1742
        ),
        _release("10", "10.0", 19045, "Windows 10 Pro", "Professional", "22H2", 4957),
        _release("11", "10.0", 26100, "Windows 10 Pro", "Professional", "24H2", 1742),
    )
}


@dataclass(frozen=True, slots=True)
class Windows:
    """A guest to build. `size` is the disk's, in bytes; most of it is a hole."""

    release: str
    firmware: Firmware = Firmware.BIOS
    states: frozenset[State] = field(default_factory=frozenset)
    size: int = 9 * GIB

    def __post_init__(self) -> None:
        if self.firmware not in self.about.firmwares:
            raise ValueError(f"Windows {self.release} does not start by {self.firmware}")

    @property
    def about(self) -> Release:
        """The release's row."""
        return RELEASES[self.release]

    @property
    def is_uefi(self) -> bool:
        """Whether UEFI starts it, and its disk therefore has a GPT."""
        return self.firmware is Firmware.UEFI

    def has(self, *states: State) -> bool:
        """Tell whether it was left in any of `states`."""
        return not self.states.isdisjoint(states)

    @property
    def windows(self) -> str:
        """The Windows directory, as it is spelled on this disk."""
        return "WINDOWS" if self.has(State.UPPER_CASE) else "Windows"

    @property
    def system32(self) -> str:
        """The directory of the system's programs, as it is spelled on this disk."""
        return f"{self.windows}/{'system32' if self.has(State.UPPER_CASE) else 'System32'}"

    @property
    def name(self) -> str:
        """A name for it in tests and files."""
        return "-".join((self.release, self.firmware, *sorted(self.states)))


def matrix(*states: State) -> tuple[Windows, ...]:
    """Give every release by every firmware it starts by, all of them in `states`."""
    return tuple(
        Windows(release.name, firmware, frozenset(states))
        for release in RELEASES.values()
        for firmware in Firmware
        if firmware in release.firmwares
    )
