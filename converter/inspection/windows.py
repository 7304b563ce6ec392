"""What a mounted Windows guest is: read from its registry and its files' names, nothing is run.

Source: Microsoft Learn, "Registry reference", and the facts in data/windows.toml. What a value
should be and is not counts as not there: Windows ignores it, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from converter.data import load
from converter.formats import FormatError, efi_program
from converter.formats.inf import ARCHITECTURES
from converter.guest import caseless, paths
from converter.guest.hives import damaged
from converter.inspection.windows_accounts import blank_passwords
from converter.inspection.windows_remote import remote_desktop
from converter.inspection.windows_values import number, text, texts
from converter.model import NetworkAdapter, ProductType, ServiceStart, WindowsFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from converter.formats.registry import Reader, Value
    from converter.guest.protocol import ReadableGuest

NT: Final = r"Microsoft\Windows NT\CurrentVersion"
# What a service says of itself that stands in for a driver package that is still to be installed.
STAND_IN: Final = "Put in by converter, until the driver package is installed"
_MEMORY: Final = r"Control\Session Manager\Memory Management"
_POLICIES: Final = r"Policies\Microsoft\Windows\System"
_UNINSTALL: Final = r"Microsoft\Windows\CurrentVersion\Uninstall"
_PRODUCT: Final = re.compile(r"\{[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}")
_MOST_PRODUCTS: Final = 5000
_RESTRICTIONS: Final = r"Policies\Microsoft\Windows\DeviceInstall\Restrictions"
# What of its lists is about EC2's devices: network cards and storage controllers, by the GUID of
# their class; a maker and classes of PCI.
_DENIED: Final = {
    "DenyDeviceClasses": (
        "4D36E972-E325-11CE-BFC1-08002BE10318", "4D36E97B-E325-11CE-BFC1-08002BE10318",
    ),
    "DenyDeviceIDs": ("VEN_1D0F", "CC_0108", "CC_0200"),
}  # fmt: skip
_RESTART_PENDING: Final = (
    r"Microsoft\Windows\CurrentVersion\WindowsUpdate\Auto Update\RebootRequired",
    r"Microsoft\Windows\CurrentVersion\Component Based Servicing\RebootPending",
)
INTERFACES: Final = r"Services\Tcpip\Parameters\Interfaces"
INTERFACES_6: Final = r"Services\Tcpip6\Parameters\Interfaces"
# A program that every Windows has; its header tells the architecture.
_PROGRAM: Final = "System32/cmd.exe"
_PE_LIMIT: Final = 4096
# Windows keeps two or three, and each of them is edited.
_MOST_CONTROL_SETS: Final = 64


@dataclass(frozen=True, slots=True)
class Registry:
    """The two hives that most is in, by the guest's paths of their files, and the control sets.

    `current` is the control set that the guest starts with next, as "ControlSet001".
    """

    system_path: str
    software_path: str
    system: Reader
    software: Reader
    sam: Reader
    control_sets: tuple[str, ...]
    current: str

    def control(self, path: str, name: str) -> Value | None:
        """Give a value below the current control set."""
        return self.system.value(f"{self.current}\\{path}", name)


def open_registry(guest: ReadableGuest, open_hive: Callable[[str], Reader], root: str) -> Registry:
    """Open the registry of the Windows in the directory `root`; `open_hive` opens by path.

    Raises `GuestRefusedError` ``registry-damaged`` where Windows could not start with it.
    """
    config = caseless.find(guest, root, "System32/config")
    system_path, software_path, sam_path = (
        caseless.find(guest, config, name) for name in ("SYSTEM", "SOFTWARE", "SAM")
    )
    system = open_hive(system_path)
    sets = tuple(
        name
        for name in system.subkeys("")
        if name.upper().startswith("CONTROLSET") and name[10:].isdecimal()
    )
    if not 0 < len(sets) <= _MOST_CONTROL_SETS:
        raise damaged(system_path, f"there are {len(sets)} control sets in it")
    # No Windows starts without its accounts.
    software, sam = open_hive(software_path), open_hive(sam_path)
    current = _current(system, sets)
    return Registry(system_path, software_path, system, software, sam, sets, current)


def _current(system: Reader, sets: tuple[str, ...]) -> str:
    """Give the control set that Windows takes at its next start.

    That is `Default`; `Current` is what it took at its last one (TechNet, "Select"). They differ
    where the last start failed, or was one with the last known good configuration.
    """
    by_number = {int(name[10:]): name for name in reversed(sets)}
    for chosen in (number(system.value("Select", name)) for name in ("Default", "Current")):
        if chosen in by_number:
            return by_number[chosen]
    return sets[0]


def inspect_windows(guest: ReadableGuest, registry: Registry, root: str) -> WindowsFacts:
    """Read what the Windows in the directory `root` of the mounted `guest` is."""
    current = registry.software.values(NT)
    named = {name.upper(): value for name, value in current.items()}
    build = _build(named)
    product_type = _product_type(registry)
    release = find_release(build, product_type)
    services = dict(_services(registry))
    drivers = frozenset(_drivers(guest, registry, root, services))
    data = load("windows")
    return WindowsFacts(
        product=_product(text(named.get("PRODUCTNAME")), release),
        edition=text(named.get("EDITIONID")),
        release=release["name"] if release else "",
        version=_version(named),
        build=build,
        installation_type=_installation_type(registry, text(named.get("INSTALLATIONTYPE"))),
        product_type=product_type,
        architecture=_architecture(guest, root) or _said_architecture(registry),
        hostname=text(registry.control(r"Services\Tcpip\Parameters", "Hostname"))
        or text(registry.control(r"Control\ComputerName\ComputerName", "ComputerName")),
        root=root,
        language=text(registry.control(r"Control\Nls\Language", "InstallLanguage")),
        languages=_languages(registry),
        control_sets=registry.control_sets,
        current_control_set=registry.current,
        image_state=_image_state(registry),
        services=services,
        stand_ins=frozenset(_stand_ins(registry, data["drivers"])),
        drivers=drivers,
        boot_drivers=frozenset(_boot_drivers(registry, drivers, services)),
        adapters=tuple(_adapters(registry)),
        roles=_present(data["roles"], services),
        agents=_present(data["agents"], services),
        guest_tools=_present(data["guest_tools"], services),
        antivirus=_present(data["antivirus"], services),
        dotnet=number(
            registry.software.value(r"Microsoft\NET Framework Setup\NDP\v4\Full", "Release")
        )
        or 0,
        is_restart_pending=any(registry.software.exists(key) for key in _RESTART_PENDING),
        page_files=texts(registry.control(_MEMORY, "PagingFiles")),
        blank_passwords=tuple(blank_passwords(registry.sam)),
        physical=_present(data["physical"], services),
        tools_products=tuple(_tools_products(registry, data["uninstalled"]["names"])),
        is_policy_off=_is_policy_off(registry, services),
        remote_desktop=remote_desktop(registry.software, registry.system, registry.current),
        automatic_logon=_automatic_logon(registry),
        is_installation_restricted=_is_installation_restricted(registry),
    )


def _is_installation_restricted(registry: Registry) -> bool:
    """Tell whether a policy keeps drivers from being installed for EC2's devices."""
    if number(registry.software.value(_RESTRICTIONS, "DenyUnspecified")):
        return True
    for name, denied in _DENIED.items():
        if number(registry.software.value(_RESTRICTIONS, name)):
            listed = registry.software.values(rf"{_RESTRICTIONS}\{name}").values()
            if any(word in text(value).upper() for value in listed for word in denied):
                return True
    return False


def _build(named: dict[str, Value]) -> int:
    for name in ("CURRENTBUILDNUMBER", "CURRENTBUILD"):
        found = text(named.get(name))
        if found.isdecimal() and len(found) <= 6:
            return int(found)
    return 0


def _version(named: dict[str, Value]) -> str:
    major, minor = (number(named.get(f"CURRENT{part}VERSIONNUMBER")) for part in ("MAJOR", "MINOR"))
    if major is not None:
        return f"{major}.{minor or 0}"
    return text(named.get("CURRENTVERSION"))


def _product_type(registry: Registry) -> ProductType:
    found = text(registry.control(r"Control\ProductOptions", "ProductType")).upper()
    types = {kind.value.upper(): kind for kind in ProductType}
    return types.get(found, ProductType.WORKSTATION)


def find_release(build: int, product_type: ProductType) -> dict[str, Any] | None:
    """Give the row of data/windows.toml for a build, None for one that is older than all."""
    is_server = product_type is not ProductType.WORKSTATION
    rows: list[dict[str, Any]] = load("windows")["releases"]
    for row in rows:
        if row["server"] == is_server and row["from"] <= build < (row["before"] or build + 1):
            return row
    return None


def _product(name: str, release: dict[str, Any] | None) -> str:
    """Give the product's name: Windows 11 still says in its registry that it is 10."""
    if release and release["name"] == "11":
        return name.replace("Windows 10", "Windows 11", 1)
    return name or (release["title"] if release else "")


def _installation_type(registry: Registry, said: str) -> str:
    levels = rf"{NT}\Server\ServerLevels"
    if number(registry.software.value(levels, "NanoServer")) == 1:
        return "Nano Server"
    return said


def _architecture(guest: ReadableGuest, root: str) -> str:
    path = caseless.find(guest, root, _PROGRAM)
    if not paths.is_file(guest, path):
        return ""
    try:
        return efi_program.machine(guest.head(path, length=_PE_LIMIT))
    except FormatError:
        return ""


def _said_architecture(registry: Registry) -> str:
    """Give what Windows tells its programs: where the program itself cannot be read (CompactOS)."""
    key = r"Control\Session Manager\Environment"
    said = text(registry.control(key, "PROCESSOR_ARCHITECTURE"))
    return ARCHITECTURES.get(said.lower(), "")


def _languages(registry: Registry) -> tuple[str, ...]:
    """Give the languages of the user interface that are installed, as "en-US"."""
    key = rf"{registry.current}\Control\MUI\UILanguages"
    return tuple(sorted(registry.system.subkeys(key)))


def _image_state(registry: Registry) -> str:
    key = r"Microsoft\Windows\CurrentVersion\Setup\State"
    return text(registry.software.value(key, "ImageState"))


def _services(registry: Registry) -> Iterator[tuple[str, int]]:
    top = rf"{registry.current}\Services"
    for name in registry.system.subkeys(top):
        start = number(registry.system.value(rf"{top}\{name}", "Start"))
        if start is not None:
            yield name, start


def _stand_ins(registry: Registry, drivers: dict[str, Any]) -> Iterator[str]:
    for name in {name for row in drivers.values() for name in row["services"]}:
        if text(registry.control(rf"Services\{name}", "Description")) == STAND_IN:
            yield name


def _drivers(
    guest: ReadableGuest, registry: Registry, root: str, services: dict[str, int]
) -> Iterator[str]:
    """Give the known drivers that are not disabled, their file being there."""
    data = load("windows")
    known = {name for row in data["drivers"].values() for name in row["services"]}
    known |= {*data["boot_services"]["names"]}
    by_name = {name.upper(): name for name in services}
    for name in known:
        found = by_name.get(name.upper())
        if found is None or services[found] >= ServiceStart.DISABLED:
            continue
        path = image_path(registry.control(rf"Services\{found}", "ImagePath"), found)
        if caseless.has_file(guest, root, path):
            yield name


def _boot_drivers(
    registry: Registry, drivers: Iterable[str], services: dict[str, int]
) -> Iterator[str]:
    """Give those of `drivers` that really start with the machine."""
    by_name = {name.upper(): name for name in services}
    for name in drivers:
        found = by_name[name.upper()]
        if services[found] == ServiceStart.BOOT and not any(override(registry, found)):
            yield name


def override(registry: Registry, service: str) -> Iterator[int]:
    """Give what StartOverride makes of a service's start: anything but 0 turns it off."""
    key = rf"{registry.current}\Services\{service}\StartOverride"
    for value in registry.system.values(key).values():
        found = number(value)
        if found:
            yield found


def image_path(value: Value | None, service: str) -> str:
    r"""Give a driver's file below %SystemRoot%; it is in `System32\drivers` where nobody says.

    ImagePath may be `\SystemRoot\…`, `%SystemRoot%\…`, `System32\…`, or a full path.
    """
    plain = text(value).strip('"') or rf"System32\drivers\{service}.sys"
    for prefix in ("\\SystemRoot\\", "%SystemRoot%\\", "\\??\\C:\\Windows\\", "C:\\Windows\\"):
        if plain.upper().startswith(prefix.upper()):
            return plain[len(prefix) :]
    return plain


def _adapters(registry: Registry) -> Iterator[NetworkAdapter]:
    top = rf"{registry.current}\{INTERFACES}"
    for name in registry.system.subkeys(top):
        values = {
            key.upper(): item for key, item in registry.system.values(rf"{top}\{name}").items()
        }
        servers = text(values.get("NAMESERVER")).replace(",", " ").split()
        addresses = [item for item in texts(values.get("IPADDRESS")) if item.strip("0.")]
        yield NetworkAdapter(
            identifier=name,
            dhcp=number(values.get("ENABLEDHCP")) == 1,
            addresses=tuple(addresses),
            servers=tuple(servers),
        )


def _present(table: dict[str, list[str]], services: dict[str, int]) -> tuple[str, ...]:
    there = {name.upper() for name in services}
    return tuple(
        name for name, marks in table.items() if any(mark.upper() in there for mark in marks)
    )


def _tools_products(registry: Registry, names: list[str]) -> Iterator[str]:
    """Give the product codes of what is installed by one of `names`."""
    for code in registry.software.subkeys(_UNINSTALL)[:_MOST_PRODUCTS]:
        name = text(registry.software.value(rf"{_UNINSTALL}\{code}", "DisplayName"))
        if _PRODUCT.fullmatch(code) and name in names:
            yield code


def _is_policy_off(registry: Registry, services: dict[str, int]) -> bool:
    """Tell whether a startup script of the local policy would not be run.

    GroupPolicy.admx has the policy as a REG_DWORD, 0 or 1. What Windows makes of other types nobody
    says: they count as 1, for what a script is started by then does without the policy.
    """
    starts = {name.upper(): start for name, start in services.items()}
    by_policy = registry.software.value(_POLICIES, "DisableLGPOProcessing")
    is_off = by_policy is not None and any(by_policy.data)
    return is_off or starts.get("GPSVC", ServiceStart.DISABLED) == ServiceStart.DISABLED


def _automatic_logon(registry: Registry) -> str:
    """Give who is logged on by itself, "" where nobody is."""
    key = rf"{NT}\Winlogon"
    if text(registry.software.value(key, "AutoAdminLogon")) not in ("", "0"):
        return text(registry.software.value(key, "DefaultUserName")) or "?"
    return ""
