r"""The driver of EC2's disks in a Windows that has none of its own (WIN-1): 2008 R2 and 2012.

A driver that starts with the machine needs its file, its service, and an entry that says which
device it is for: in `Control\CriticalDeviceDatabase` up to Windows 7 and 2008 R2, in the root key
`DriverDatabase` since. Such an entry is made by hand, under a name of its own: the real package is
installed at the first start, and the entry is taken away then (`first_boot`).

Sources: Microsoft Learn, "AddService directive"; the layout of DriverDatabase is that of hives that
Windows made.
"""

from __future__ import annotations

import re
import struct
import uuid
import zipfile
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from converter.archive import DAMAGE
from converter.boot_driver import read_boot_driver
from converter.bundles import Install
from converter.data import load
from converter.firstboot.items import Item, Kind
from converter.formats import FormatError
from converter.formats.registry import binary, dword, expand_sz, multi_sz, sz
from converter.guest import caseless
from converter.inspection.windows import STAND_IN, image_path
from converter.inspection.windows_values import number, text
from converter.model import Finding, ServiceStart, Severity
from converter.steps.step import Step
from converter.steps.windows.registry import Editing, registry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.boot_driver import BootDriver
    from converter.formats.registry import Reader
    from converter.model import Facts
    from converter.provision import Provided
    from converter.steps.step import Context

CRITICAL_DEVICES: Final = r"Control\CriticalDeviceDatabase"
DATABASE: Final = "DriverDatabase"
# The INF that the entry names, which Windows does not have: no package can be taken for it.
INF: Final = "ec2-boot-disk.inf"
_CODE: Final = "boot-driver"
_ENTRY: Final = "entry of the boot driver"
_KERNEL_DRIVER: Final = 1
_NORMAL: Final = 1
_BUS_PCI: Final = "5"
_SCSI_ADAPTER: Final = "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
# FILETIME counts from 1601, in units of 100 ns.
_EPOCH: Final = datetime(1601, 1, 1, tzinfo=UTC)
# The disks of EC2 in that database: by their own numbers, and as NVMe of any maker.
_NVME_CLASS: Final = "PCI#CC_010802"
_NVME: Final = re.compile(r"PCI#(?:CC_0108(?:02)?|VEN_1D0F&DEV_.*)", re.IGNORECASE)
_MOST_DEVICES: Final = 200
# What a version of Windows, 6.1 or 10.0, has in its numbers and more.
_DIGITS: Final = 9
_RANK: Final = bytes.fromhex("01ff0000")


_WINDOWS_7: Final = (6, 1)
_UPDATES: Final = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
# Microsoft, security advisory 3033929, and "2019 SHA-2 code signing support requirement"; a rollup
# has what came before it.
_SHA2_UPDATES: Final = tuple(
    f"Package_for_{name}~" for name in ("KB3033929", "KB4474419", "RollupFix")
)
# What the servicing stack calls superseded, installed and permanent.
_INSTALLED: Final = frozenset({0x50, 0x70, 0x80})
_NO_SHA2: Final = Finding(
    Severity.WARNING,
    "sha2-missing",
    "no update for SHA-2 signatures is installed: if the driver of EC2's disks is signed with one,"
    " Windows does not start at all (0xc0000428)",
    "install KB4474419 in the machine (KB3033929 is the least), and export it again",
)


def run(context: Context) -> None:
    """Plan the driver, where Windows has none that starts with the machine."""
    own = _own(context)
    if own:
        _bind(context, own)
        return
    provided = next(_packages(context), None)
    if provided is None:
        context.guest.note(_missing(context.facts))
        return
    try:
        driver = read_boot_driver(
            provided,
            architecture=context.facts.windows.architecture,
            version=windows_version(context.facts),
        )
    except (FormatError, zipfile.BadZipFile, *DAMAGE) as error:
        context.guest.note(_unusable(f"{provided.checked.path}: {error}"))
        return
    _put_in(context, driver, provided.choice.bundle.summary)
    if windows_version(context.facts)[:2] == _WINDOWS_7 and not _reads_sha2(context):
        context.guest.note(_NO_SHA2)


def _reads_sha2(context: Context) -> bool:
    """Tell whether an update is installed without which Windows 7 knows no SHA-2 signatures."""
    software = registry_of(context).software
    states = (
        number(software.value(rf"{_UPDATES}\{name}", "CurrentState"))
        for name in software.subkeys(_UPDATES)
        if name.startswith(_SHA2_UPDATES)
    )
    return any(state is None or state in _INSTALLED for state in states)


def _identifiers(system: Reader) -> Iterator[str]:
    """Give the devices of our entry. Raises `FormatError` for more than any driver has."""
    top = rf"{DATABASE}\DriverPackages\{package_name()}\Descriptors"
    found = [
        rf"{bus}\{name}" for bus in system.subkeys(top) for name in system.subkeys(rf"{top}\{bus}")
    ]
    if len(found) > _MOST_DEVICES:
        raise FormatError(f"{top} has {len(found)} devices")
    yield from found


def _own(context: Context) -> str:
    """Give the driver of EC2's disks that is there, "" if none; `boot_services` has seen to it.

    It must be in the control set that Windows starts with.
    """
    registry = registry_of(context)
    root = context.facts.windows.root
    for service in load("windows")["drivers"]["nvme"]["services"]:
        if registry.system.exists(rf"{registry.current}\Services\{service}"):
            image = registry.control(rf"Services\{service}", "ImagePath")
            if caseless.has_file(context.guest, root, image_path(image, service)):
                return str(service)
    return ""


def _bind(context: Context, service: str) -> None:
    """Plan that Windows takes its own driver for a disk that it did not have before.

    Since Windows 8 the database of drivers tells, which has all that are installed; before, what
    is in this one alone.
    """
    reason = "Windows starts new disks with the drivers that are named here alone"
    editing = Editing(context, _CODE, reason)
    registry = editing.registry
    if registry.system.exists(DATABASE):
        return
    for control_set in registry.control_sets:
        top = rf"{control_set}\{CRITICAL_DEVICES}"
        names = [name for name in registry.system.subkeys(top) if _NVME.fullmatch(name)]
        if not any(
            text(registry.system.value(rf"{top}\{name}", "Service")).upper() == service.upper()
            for name in names
        ):
            editing.set_system(rf"{top}\{_NVME_CLASS}", "Service", sz(service))
            editing.set_system(rf"{top}\{_NVME_CLASS}", "ClassGUID", sz(_SCSI_ADAPTER))


def _packages(context: Context) -> Iterator[Provided]:
    for provided in context.options.payloads:
        bundle = provided.choice.bundle
        if bundle.boot_critical and bundle.install is Install.PNPUTIL:
            yield provided


def _missing(facts: Facts) -> Finding:
    return Finding(
        Severity.WARNING,
        "boot-driver-missing",
        f"{facts.windows.product} has no driver for NVMe disks, and the driver store none for it:"
        " it starts on Xen instances only (T2, M4, C4, …)",
        "converter drivers fetch aws-nvme, and convert it again",
    )


def _unusable(why: str) -> Finding:
    return Finding(
        Severity.WARNING,
        "boot-driver-unusable",
        why,
        "converter drivers fetch aws-nvme, or import another version of it, and convert it again",
    )


def windows_version(facts: Facts) -> tuple[int, int, int]:
    """Give major and minor version and build, as INF files count Windows."""
    major, _, minor = facts.windows.version.partition(".")
    return _number(major), _number(minor), facts.windows.build


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 0


def removals(context: Context) -> Iterator[Item]:
    """Give what takes the entry away at the first start, before the real package is installed.

    What Windows has started by then it starts without the entry, too. Raises `FormatError` for an
    entry that is not as we make it.
    """
    registry = registry_of(context)
    if not registry.system.exists(rf"{DATABASE}\DriverInfFiles\{INF}"):
        return
    top = rf"HKLM\SYSTEM\{DATABASE}"
    for identifier in _identifiers(registry.system):
        key = rf"{top}\DeviceIds\{identifier}"
        name = f"{_ENTRY} {identifier.replace(chr(92), ' ').replace('&', ' ')}"
        yield Item(name, Kind.VALUE_REMOVAL, key, (INF,))
    for key in (rf"{top}\DriverPackages\{package_name()}", rf"{top}\DriverInfFiles\{INF}"):
        yield Item(f"{_ENTRY} {key.rpartition(chr(92))[2]}", Kind.KEY_REMOVAL, key)


def _put_in(context: Context, driver: BootDriver, summary: str) -> None:
    reason = f"{summary} {'.'.join(map(str, driver.version))}: EC2's disks are found with it"
    drivers = caseless.find(context.guest, context.facts.windows.root, "System32/drivers")
    place = caseless.find(context.guest, drivers, driver.file)
    context.guest.write(place, driver.data, code=_CODE, reason=reason)
    editing = Editing(context, _CODE, reason)
    _service(editing, driver)
    if editing.registry.system.exists(DATABASE):
        _database(editing, driver)
    else:
        for identifier in driver.hardware_ids:
            key = rf"{CRITICAL_DEVICES}\{identifier.replace(chr(92), '#')}"
            editing.set_control(key, "Service", sz(driver.service))
            editing.set_control(key, "ClassGUID", sz(driver.class_guid.upper() or _SCSI_ADAPTER))


def _service(editing: Editing, driver: BootDriver) -> None:
    key = rf"Services\{driver.service}"
    editing.set_control(key, "Description", sz(STAND_IN))
    editing.set_control(key, "Type", dword(_KERNEL_DRIVER))
    editing.set_control(key, "Start", dword(ServiceStart.BOOT))
    editing.set_control(key, "ErrorControl", dword(_NORMAL))
    editing.set_control(key, "Group", sz("SCSI miniport"))
    editing.set_control(key, "ImagePath", expand_sz(rf"System32\drivers\{driver.file}"))
    # Storport's: the bus that the adapter is on.
    editing.set_control(rf"{key}\Parameters\PnpInterface", _BUS_PCI, dword(1))


def package_name() -> str:
    """Give the name of the package that the entry makes up, of the form that Windows gives them."""
    stem = zlib.crc32(INF.encode())
    return f"{INF}_amd64_{stem:08x}{stem ^ 0xFFFFFFFF:08x}"


def _database(editing: Editing, driver: BootDriver) -> None:
    package, configuration = package_name(), f"{driver.service}_Inst"
    infs = rf"{DATABASE}\DriverInfFiles\{INF}"
    editing.set_system(infs, "", multi_sz(package))
    editing.set_system(infs, "Active", sz(package))
    editing.set_system(infs, "Configurations", multi_sz(configuration))
    packages = rf"{DATABASE}\DriverPackages\{package}"
    editing.set_system(packages, "Version", binary(_version_data(driver)))
    editing.set_system(packages, "", sz(INF))
    configurations = rf"{packages}\Configurations\{configuration}"
    editing.set_system(configurations, "ConfigFlags", dword(0))
    editing.set_system(configurations, "Service", sz(driver.service))
    for identifier in driver.hardware_ids:
        editing.set_system(rf"{DATABASE}\DeviceIds\{identifier}", INF, binary(_RANK))
        key = rf"{packages}\Descriptors\{identifier}"
        editing.set_system(key, "Configuration", sz(configuration))


def _version_data(driver: BootDriver) -> bytes:
    """Give what a package's `Version` holds: its class, the driver's date and version."""
    data = bytearray(48)
    struct.pack_into("<I", data, 0, 0x0009FF00)
    data[8:24] = uuid.UUID(driver.class_guid or _SCSI_ADAPTER).bytes_le
    struct.pack_into("<Q", data, 24, _filetime(driver.date))
    struct.pack_into("<4H", data, 32, *(part & 0xFFFF for part in reversed(driver.version)))
    return bytes(data)


def _filetime(date: str) -> int:
    try:
        day = datetime.strptime(date.strip(), "%m/%d/%Y").replace(tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, int((day - _EPOCH).total_seconds())) * 10_000_000


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("windows-boot-driver", "a driver of EC2's disks, where none is", _applies, run)
