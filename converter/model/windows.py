"""What a Windows was found to be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class NetworkAdapter:
    """A network interface that a Windows keeps settings for, by the GUID of its key.

    `addresses` are the fixed ones, `servers` the name servers that were set by hand.
    """

    identifier: str
    dhcp: bool
    addresses: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


class ProductType(StrEnum):
    r"""What a Windows is for, as `Control\ProductOptions` has it."""

    WORKSTATION = "WinNT"
    SERVER = "ServerNT"
    DOMAIN_CONTROLLER = "LanmanNT"


class ServiceStart(IntEnum):
    """When Windows starts a service, as its value `Start` has it (those that matter here)."""

    BOOT = 0
    AUTOMATIC = 2
    DEMAND = 3
    DISABLED = 4


# What sysprep leaves in `WindowsFacts.image_state`.
GENERALIZED: Final = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"


@dataclass(frozen=True, slots=True)
class WindowsFacts:
    """What a Windows guest was found to be, read from its registry and files.

    `release` is the row of data/windows.toml that its build is ("2019", "11"), "" for none.
    `version` is that of NT ("6.1", "10.0"). `root` is where its directory is mounted
    (%SystemRoot%), as "/C/Windows". `language` is the number of the language it was installed in,
    four hexadecimal digits. `image_state` is what sysprep left. `current_control_set` is the one
    that it starts with next. `services` are those of it with the number that says when they start,
    without those that have none.
    `drivers` are those of EC2's devices that are not off, and are there; `boot_drivers` those of
    them that start before the boot volume is found.
    `stand_ins` are drivers that an earlier conversion put in before their package is installed.
    `remote_desktop` says what keeps it from being used, `automatic_logon` whom it is for; both are
    "" where there is nothing to be said. `dotnet` is the release of .NET Framework 4. `physical`
    are signs of a physical machine that it was, `tools_products` the codes by which Windows
    Installer knows the old hypervisor's tools. `is_policy_off`: the local Group Policy is not
    processed. `is_installation_restricted`: a policy keeps EC2's devices from getting drivers.
    """

    product: str
    edition: str
    release: str
    version: str
    build: int
    installation_type: str
    product_type: ProductType
    architecture: str
    hostname: str
    root: str
    language: str
    control_sets: tuple[str, ...]
    current_control_set: str
    image_state: str
    services: dict[str, int]
    drivers: frozenset[str]
    boot_drivers: frozenset[str]
    stand_ins: frozenset[str]
    adapters: tuple[NetworkAdapter, ...]
    roles: tuple[str, ...]
    agents: tuple[str, ...]
    guest_tools: tuple[str, ...]
    languages: tuple[str, ...] = ()
    dotnet: int = 0
    remote_desktop: str = ""
    automatic_logon: str = ""
    antivirus: tuple[str, ...] = ()
    is_restart_pending: bool = False
    is_installation_restricted: bool = False
    page_files: tuple[str, ...] = ()
    blank_passwords: tuple[str, ...] = ()
    physical: tuple[str, ...] = ()
    tools_products: tuple[str, ...] = ()
    is_policy_off: bool = False

    @property
    def is_generalized(self) -> bool:
        """Whether sysprep prepared it, to be set up anew at its next start."""
        return self.image_state == GENERALIZED
