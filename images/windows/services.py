"""The services and drivers of a guest (`Services` of a control set), and how drivers are bound."""

from __future__ import annotations

import struct
import uuid
from typing import TYPE_CHECKING, Final, NamedTuple

from images.windows.guest import State
from images.windows.hive import TIME, binary, dword, expand_sz, multi_sz, sz

if TYPE_CHECKING:
    from collections.abc import Iterator

    from images.windows.guest import Release, Windows
    from images.windows.hive import Keys

_KERNEL_DRIVER: Final = 1
_FILE_SYSTEM: Final = 2
_OWN_PROCESS: Final = 0x10
_SHARED_PROCESS: Final = 0x20
_BOOT: Final = 0
_AUTOMATIC: Final = 2
_DEMAND: Final = 3
_DISABLED: Final = 4
_SVCHOST: Final = r"%SystemRoot%\System32\svchost.exe -k "
_STORAGE_CLASS: Final = uuid.UUID("4d36e97b-e325-11ce-bfc1-08002be10318")
_IDE_CLASS: Final = uuid.UUID("4d36e96a-e325-11ce-bfc1-08002be10318")


class _Service(NamedTuple):
    type: int
    start: int
    image: str
    group: str = ""
    account: str = ""
    minimum: tuple[int, int] = (6, 1)
    maximum: tuple[int, int] = (99, 0)


def _driver(name: str, start: int = _BOOT, group: str = "SCSI miniport") -> _Service:
    return _Service(_KERNEL_DRIVER, start, rf"System32\drivers\{name}.sys", group)


_DRIVERS: Final = {
    "atapi": _driver("atapi"),
    "disk": _driver("disk", group="SCSI Class"),
    "e1iexpress": _driver("e1i63x64", _DEMAND, "NDIS"),
    "fvevol": _driver("fvevol", group="Filter"),
    "intelide": _driver("intelide", group="System Bus Extender"),
    "LSI_SAS": _driver("lsi_sas"),
    "mountmgr": _driver("mountmgr", group="System Bus Extender"),
    "msahci": _driver("msahci")._replace(maximum=(6, 1)),
    "NDIS": _driver("ndis", group="NDIS Wrapper"),
    "partmgr": _driver("partmgr", group="Boot Bus Extender"),
    "pci": _driver("pci", group="Boot Bus Extender"),
    "pciide": _driver("pciide", group="System Bus Extender"),
    "storahci": _driver("storahci")._replace(minimum=(6, 2)),
    "stornvme": _driver("stornvme")._replace(minimum=(6, 3)),
    "storvsc": _driver("storvsc"),
    "Tcpip": _driver("tcpip", group="PNP_TDI"),
    "vmbus": _driver("vmbus", group="Boot Bus Extender"),
    "volmgr": _driver("volmgr", group="System Bus Extender"),
    "volmgrx": _driver("volmgrx", group="System Bus Extender"),
    "volsnap": _driver("volsnap", group=""),
    "Ntfs": _Service(_FILE_SYSTEM, _DEMAND, "", "Boot File System"),
}


def _own(image: str, minimum: tuple[int, int] = (6, 1)) -> _Service:
    """Give a service with a program of its own."""
    return _Service(_OWN_PROCESS, _AUTOMATIC, image, "", "LocalSystem", minimum)


def _shared(host: str, start: int, account: str = "LocalSystem", group: str = "") -> _Service:
    """Give a service in one of the programs that have several."""
    return _Service(_SHARED_PROCESS, start, f"{_SVCHOST}{host}", group, account)


def _filter(image: str, group: str) -> _Service:
    return _Service(_FILE_SYSTEM, 1, image, group)


_LOCAL: Final = r"NT AUTHORITY\LocalService"
_NETWORK: Final = r"NT AUTHORITY\NetworkService"
_PROCESSES: Final = {
    "BITS": _shared("netsvcs", _DEMAND),
    "Dhcp": _shared("LocalServiceNetworkRestricted", _AUTOMATIC, _LOCAL, "TDI"),
    "Dnscache": _shared("NetworkService", _AUTOMATIC, _NETWORK, "TDI"),
    "EventLog": _shared("LocalServiceNetworkRestricted", _AUTOMATIC, _LOCAL, "Event Log"),
    "gpsvc": _shared("netsvcs", _AUTOMATIC),
    "MpsSvc": _shared("LocalServiceNoNetwork", _AUTOMATIC, _LOCAL, "NetworkProvider"),
    "TermService": _shared("NetworkService", _DEMAND, _NETWORK),
    "W32Time": _shared("LocalService", _DEMAND, _LOCAL),
    "WinDefend": _own(r'"%ProgramFiles%\Windows Defender\MsMpEng.exe"', (10, 0)),
    "wuauserv": _shared("netsvcs", _DEMAND),
}
_TOOLS: Final = r"C:\Program Files\VMware\VMware Tools"
_VMWARE: Final = {
    "pvscsi": _driver("pvscsi"),
    "vm3dmp": _driver("vm3dmp", _DEMAND, "Video"),
    "vmci": _driver("vmci", group="System Bus Extender"),
    "vmhgfs": _filter(r"system32\DRIVERS\vmhgfs.sys", "NetworkProvider"),
    "VMMemCtl": _driver("vmmemctl", _AUTOMATIC, ""),
    "vmmouse": _driver("vmmouse", _DEMAND, "Pointer Port"),
    "vmxnet3ndis6": _driver("vmxnet3", _DEMAND, "NDIS"),
    "vsepflt": _filter(r"system32\DRIVERS\vsepflt.sys", "FSFilter Activity Monitor"),
    "vsock": _driver("vsock", group="System Bus Extender"),
    "VGAuthService": _own(rf'"{_TOOLS}\VMware VGAuth\VGAuthService.exe"'),
    "VMTools": _own(rf'"{_TOOLS}\vmtoolsd.exe"'),
}
_FURTHER: Final = {
    State.HYPER_V: {
        "hvservice": _driver("hvservice", _DEMAND, ""),
        "vmms": _own(r"%systemroot%\system32\vmms.exe"),
    },
    State.VMWARE_TOOLS: _VMWARE,
    State.ANTIVIRUS: {
        "SepMasterService": _own(r'"C:\Program Files\Symantec\ccSvcHst.exe"'),
        "SRTSP": _filter(r"System32\Drivers\SRTSP64.SYS", "FSFilter Anti-Virus"),
    },
    State.DOMAIN_CONTROLLER: {"NTDS": _own(r"%SystemRoot%\System32\lsass.exe")},
}
# Those that decide what a guest can be started from.
STORAGE: Final = ("pci", "stornvme", "storahci", "intelide", "pciide", "atapi")

# INF, its class, the devices that it binds, and the service that drives them.
_BINDINGS: Final = (
    ("mshdc.inf", _IDE_CLASS, "PCI", "CC_0101", "pciide", (6, 1)),
    ("mshdc.inf", _IDE_CLASS, "PCI", "VEN_8086&DEV_7111", "intelide", (6, 1)),
    ("mshdc.inf", _IDE_CLASS, "PCI", "CC_010601", "storahci", (6, 2)),
    ("stornvme.inf", _STORAGE_CLASS, "PCI", "CC_010802", "stornvme", (6, 3)),
    ("lsi_sas.inf", _STORAGE_CLASS, "PCI", "VEN_1000&DEV_0054", "LSI_SAS", (6, 1)),
)


def all_of(windows: Windows) -> dict[str, _Service]:
    """Give the services that a guest has, by their names."""
    found = {**_DRIVERS, **_PROCESSES}
    for state, further in _FURTHER.items():
        if windows.has(state):
            found |= further
    version = windows.about.version
    return {name: s for name, s in found.items() if s.minimum <= version <= s.maximum}


def driver_files(windows: Windows) -> Iterator[str]:
    """Give the file names of a guest's drivers."""
    for service in all_of(windows).values():
        if service.image.lower().endswith(".sys"):
            yield service.image.rpartition("\\")[2]
    yield "ntfs.sys"


def services(windows: Windows) -> Keys:
    """Give the services' keys, for below `Services`."""
    keys: Keys = {}
    for name, service in all_of(windows).items():
        values = {
            "Type": dword(service.type),
            "Start": dword(service.start),
            "ErrorControl": dword(3 if service.start == _BOOT else 1),
        }
        if service.image:
            values["ImagePath"] = expand_sz(service.image)
        if service.group:
            values["Group"] = sz(service.group)
        if service.account:
            values["ObjectName"] = sz(service.account)
        keys[name] = values
        if windows.has(State.START_OVERRIDE) and name in STORAGE:
            keys[rf"{name}\StartOverride"] = {"0": dword(3)}
    if windows.has(State.RDP_OFF):
        keys["TermService"]["Start"] = dword(_DISABLED)
    return keys


def _bindings(about: Release) -> list[tuple[str, uuid.UUID, str, str, str]]:
    return [row[:5] for row in _BINDINGS if about.version >= row[5]]


def critical_devices(about: Release) -> Keys:
    """Give what is below `CriticalDeviceDatabase`, up to Windows 7."""
    keys: Keys = {}
    for _, group, bus, device, service in _bindings(about):
        keys[f"{bus}#{device}"] = {
            "ClassGUID": sz(f"{{{group}}}".upper()),
            "Service": sz(service),
        }
    return keys


def driver_database(about: Release) -> Keys:
    """Give `DriverDatabase`, from Windows 8 on."""
    keys: Keys = {
        "DriverDatabase": {
            "Version": dword(0x03000000),
            "SchemaVersion": dword(0x00010000),
            "Architecture": dword(9),
        }
    }
    for inf, group, bus, device, service in _bindings(about):
        package, configuration = _package(inf), f"{service}_Inst"
        infs, packages = (
            rf"DriverDatabase\DriverInfFiles\{inf}",
            rf"DriverDatabase\DriverPackages\{package}",
        )
        keys[infs] = {
            "": multi_sz(package),
            "Active": sz(package),
            "Configurations": multi_sz(configuration),
        }
        keys.setdefault(rf"DriverDatabase\DeviceIds\{bus}\{device}", {})[inf] = binary(
            b"\1\xff\0\0"
        )
        keys[packages] = {
            "": sz(inf),
            "Version": binary(_version(about, group)),
            "Provider": sz("Microsoft"),
            "SignerScore": dword(0x0D000003),
        }
        keys[rf"{packages}\Configurations\{configuration}"] = {
            "ConfigFlags": dword(0),
            "Service": sz(service),
        }
        keys[rf"{packages}\Descriptors\{bus}\{device}"] = {"Configuration": sz(configuration)}
    return keys


def _package(inf: str) -> str:
    return f"{inf}_amd64_{uuid.uuid5(uuid.NAMESPACE_DNS, inf).hex[:16]}"


def _version(about: Release, group: uuid.UUID) -> bytes:
    """Give a driver package's version: for which class, when, and which."""
    number = (about.revision, about.build, about.minor, about.major)
    return struct.pack("<4sI16sQ4H8x", b"\0\xff\x09\0", 0, group.bytes_le, TIME, *number)
