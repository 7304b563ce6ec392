"""What a converted Windows has to be like, from what it was: key by key, and nothing else.

Written from the specification (WIN-1 to WIN-8, BOOT-4, BOOT-5) and from what Windows documents,
not from the converter: nothing of it is used here. Each rule gives the keys that it changes; what
no rule names must be as it was.
"""

from __future__ import annotations

import re
import struct
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from images.windows.guest import State
from tests import standins
from tests.windows import payloads
from tests.windows.hives import Value
from tests.windows.stores import Device, Object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from images.windows.guest import Windows
    from tests.windows.hives import Keys

# Drivers of Windows' own that the boot disk may hang on.
_STORAGE: Final = ("pci", "stornvme", "storahci", "msahci", "intelide", "pciide", "atapi")
_TOOLS: Final = ("VMTools", "VGAuthService", "vmci", "vsock", "vmhgfs", "VMMemCtl")
_STATIC: Final = ("IPAddress", "SubnetMask", "DefaultGateway", "DefaultGatewayMetric")
_SCSI: Final = "{4D36E97B-E325-11CE-BFC1-08002BE10318}"
_WINLOGON: Final = r"Microsoft\Windows NT\CurrentVersion\Winlogon"
_PACKAGE: Final = re.compile(r"DriverDatabase\\DriverPackages\\((.+\.inf)_amd64_[0-9a-f]{16})")
_STARTER: Final = (
    r'%SystemRoot%\System32\cmd.exe /d /c start "" /b "%SystemRoot%\System32\cmd.exe" /d /c call'
    r' "%SystemRoot%\Converter\first-boot.cmd" <nul >nul 2>&1'
)

BOOTMGR: Final = "{9dea862c-5cdd-4e70-acc1-f32b344d4795}"
EMS: Final = "{0ce4991b-e6b3-4b16-b23c-5e0d9250e5d9}"
_FIRMWARE: Final = "{a5a30fa2-3d06-4e9f-b5f4-a01df9d1fcba}"
_MEMORY_TESTER: Final = "{b2721d73-1db4-4c62-bf78-c548a880142d}"
_LOADER, _RESUME, _FIRMWARE_ENTRY = 0x10200003, 0x10200004, 0x101FFFFF


# --- what a guest is to get -----------------------------------------------------------------------

_RUNTIME: Final = ".NET Framework"
# The agents, and what they need, by the release.
_AGENTS: Final = {
    "7": ("EC2Config", _RUNTIME),
    "2008r2": ("EC2Config", _RUNTIME),
    "2012": ("EC2Config", "SSM agent"),
    "2012r2": ("EC2Config", "SSM agent"),
}
_NEW_AGENTS: Final = ("EC2Launch v2", "SSM agent")
_AGENT_FOLDERS: Final = ("ec2config/", "ec2launch-v2/", "ssm-agent-windows/")
# WIN-6: what a guest is converted with, and is warned of.
WARNED: Final = {
    State.ANTIVIRUS: "antivirus",
    State.BLANK_PASSWORDS: "blank-password",
    State.DOMAIN_CONTROLLER: "domain-controller",
    State.PENDING_UPDATES: "restart-pending",
    State.RDP_FIREWALLED: "remote-desktop",
    State.RDP_OFF: "remote-desktop",
}
# What is put into DriverDatabase by hand is taken away again.
_ENTRIES: Final = (
    "PCI VEN_1D0F DEV_8061",
    "PCI VEN_1D0F DEV_CD00",
    "ec2-boot-disk.inf",
    "ec2-boot-disk.inf_amd64_4a54e1afb5ab1e50",
)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of a guest.

    `has_store`: there is a payload for everything. `has_agents`: they are wanted. `is_own`: it has
    a licence of its own. `answers` is the answer file that was given.
    `has_second`: there is another disk.

    `places` are the partitions' offsets by their GPT's identifiers, and `signature` the disk's,
    where it gets an MBR; `drive` is the identifier of that of C:.
    """

    guest: Windows
    has_store: bool
    is_own: bool = False
    has_agents: bool = True
    answers: bytes | None = None
    has_second: bool = False
    places: Mapping[str, int] | None = None
    signature: str = ""
    drive: str = ""

    @property
    def has_stand_in(self) -> bool:
        """Whether a driver of EC2's disks is put in by hand: Windows had none before 2012 R2."""
        return self.has_store and self.guest.about.version < (6, 3)

    @property
    def nvme(self) -> str:
        """The version of the driver of EC2's disks that the guest gets."""
        return payloads.NVME_VERSIONS[payloads.folders(self.guest.release)[0]]

    @property
    def payloads(self) -> dict[str, bytes]:
        """What is put in for the first boot, by the paths below the directory for it."""
        given = payloads.staged(self.guest.release) if self.has_store else {}
        return {
            path: data
            for path, data in given.items()
            if self.has_agents or not path.startswith(_AGENT_FOLDERS)
        }

    def items(self) -> set[str]:
        """Give what the first boot does, by the names that its log has for it."""
        found = set()
        if self.has_store:
            ena = payloads.ENA_VERSIONS[payloads.folders(self.guest.release)[1]]
            found |= {f"AWS NVMe driver {self.nvme}", f"AWS ENA network driver {ena}"}
            if payloads.has_xen(self.guest.release):
                found.add("AWS PV drivers for Xen instances")
            agents = _AGENTS.get(self.guest.release, _NEW_AGENTS)
            found |= {name for name in agents if self.has_agents or name == _RUNTIME}
            if self.guest.release == "2012r2":
                name = "Intel 82599 Virtual Function driver (of PROWinx64.exe)"
                found.add(f"{name} {payloads.INTEL_VERSION}")
            if self.has_stand_in and self.guest.about.has_driver_database:
                found |= {f"entry of the boot driver {name}" for name in _ENTRIES}
        if self.guest.about.is_server and not self.is_own:
            found |= {"KMS server", "Windows activation"}
        if self.guest.has(State.VMWARE_TOOLS):
            found.add("VMware Tools removal")
        return found

    def warnings(self) -> set[str]:
        """Give the codes of what is said of the states that it is in, and of no other."""
        return {code for state, code in WARNED.items() if self.guest.has(state)}

    @property
    def trigger(self) -> str:
        """What starts the first-boot script: "policy", "service", "setup", or "" for nothing."""
        if not self.items():
            return ""
        if self.guest.has(State.SYSPREPPED):
            return "setup"
        is_plain = self.guest.about.is_server and not self.guest.has(
            State.DOMAIN_CONTROLLER, State.LOCAL_POLICY_OFF
        )
        return "policy" if is_plain else "service"

    # --- the registry -----------------------------------------------------------------------------

    def system(self, before: Keys, after: Keys) -> Keys:
        """Give the keys that SYSTEM has to have; of `after` only names that are free to choose."""
        keys = {path: dict(values) for path, values in before.items()}
        for name in [n for n in before if re.fullmatch(r"ControlSet\d{3}", n)]:
            self._control_set(keys, name)
        if self.has_stand_in and self.guest.about.has_driver_database:
            keys |= self._database(keys, after)
        for name, value in before["MountedDevices"].items():
            identifier = _identifier(value.data)
            if self.places and identifier in self.places:
                place = struct.pack("<IQ", int(self.signature, 16), self.places[identifier])
                keys["MountedDevices"][name] = Value(3, place)
        return with_parents(keys)

    def _control_set(self, keys: Keys, top: str) -> None:
        for service in _STORAGE:
            _start_with_the_machine(keys, rf"{top}\Services\{service}")
        zone = keys.setdefault(rf"{top}\Control\TimeZoneInformation", {})
        zone["RealTimeIsUniversal"] = dword(1)
        if self.has_second:
            # OnlineAll: on whatever bus they are.
            keys.setdefault(rf"{top}\Services\partmgr\Parameters", {})["SanPolicy"] = dword(1)
        power = keys.get(rf"{top}\Control\Session Manager\Power", {})
        if "HiberbootEnabled" in power:
            power["HiberbootEnabled"] = dword(0)
        for service, ask in (("Tcpip", _ask_for_addresses), ("Tcpip6", _ask_for_names)):
            interfaces = rf"{top}\Services\{service}\Parameters\Interfaces"
            for path in [path for path in keys if path.startswith(interfaces)]:
                ask(keys[path])
        starts = {"Dhcp": 2} | dict.fromkeys(_TOOLS, 4)
        for service, start in starts.items():
            if rf"{top}\Services\{service}" in keys:
                keys[rf"{top}\Services\{service}"]["Start"] = dword(start)
        if self.has_stand_in:
            keys |= self._boot_driver(top)
        if self.trigger in ("service", "setup"):
            starter = _starter(by_itself=self.trigger == "service")
            keys[rf"{top}\Services\ConverterFirstBoot"] = starter

    def _boot_driver(self, top: str) -> Keys:
        """WIN-1: as an INF's AddService makes it, with what Storport and Windows 6.1 need."""
        key = rf"{top}\Services\AWSNVMe"
        found: Keys = {
            key: {
                "Type": dword(1),
                "Start": dword(0),
                "ErrorControl": dword(1),
                "Group": sz("SCSI miniport"),
                "ImagePath": sz(r"System32\drivers\AWSNVMe.sys", kind=2),
                "Description": sz("Put in by converter, until the driver package is installed"),
            },
            rf"{key}\Parameters\PnpInterface": {"5": dword(1)},
        }
        if not self.guest.about.has_driver_database:
            for identifier in standins.NVME:
                where = rf"{top}\Control\CriticalDeviceDatabase\{identifier.replace(chr(92), '#')}"
                found[where] = {"Service": sz("AWSNVMe"), "ClassGUID": sz(_SCSI)}
        return found

    def _database(self, keys: Keys, after: Keys) -> Keys:
        """Give the entry in DriverDatabase, under whatever name that nothing else has."""
        new = filter(None, map(_PACKAGE.fullmatch, after.keys() - keys.keys()))
        ((package, inf),) = (name.groups() for name in new)
        assert inf.lower() not in ("awsnvme.inf", "stornvme.inf", "mshdc.inf")
        infs, packages = (
            rf"DriverDatabase\DriverInfFiles\{inf}",
            rf"DriverDatabase\DriverPackages\{package}",
        )
        assert infs not in keys
        found: Keys = {
            infs: {
                "": multi_sz(package),
                "Active": sz(package),
                "Configurations": multi_sz("AWSNVMe_Inst"),
            },
            packages: {"": sz(inf), "Version": Value(3, _driver_version(self.nvme))},
            rf"{packages}\Configurations\AWSNVMe_Inst": {
                "ConfigFlags": dword(0),
                "Service": sz("AWSNVMe"),
            },
        }
        for identifier in standins.NVME:
            device = rf"DriverDatabase\DeviceIds\{identifier}"
            found[device] = {**keys.get(device, {}), inf: Value(3, b"\1\xff\0\0")}
            found[rf"{packages}\Descriptors\{identifier}"] = {"Configuration": sz("AWSNVMe_Inst")}
        return found

    def software(self, before: Keys) -> Keys:
        """Give the keys that SOFTWARE has to have: nobody is logged on by itself."""
        logon = before[_WINLOGON]
        if logon["AutoAdminLogon"].text == "0":
            return before
        gone = ("AutoAdminLogon", "DefaultPassword", "AutoLogonCount")
        kept = {name: value for name, value in logon.items() if name not in gone}
        return before | {_WINLOGON: {**kept, "AutoAdminLogon": sz("0")}}

    # --- boot configuration data ------------------------------------------------------------------

    def store(self, before: Mapping[str, Object]) -> dict[str, Object]:
        """Give the objects that the store in use has to have."""
        objects = dict(before)
        if self.places:
            objects = {
                name: self._for_bios(name, found)
                for name, found in before.items()
                if name != _FIRMWARE and found.type != _FIRMWARE_ENTRY
            }
        for name, found in objects.items():
            if name in (EMS, BOOTMGR):
                objects[name] = _with(found, {0x16000020: False})
            if found.type == _LOADER:
                objects[name] = _with(found, {0x260000B0: False})
        return objects

    def _for_bios(self, name: str, found: Object) -> Object:
        drive = self._moved(Device(is_gpt=True, partition=self.drive, disk=""))
        moved = {
            number: self._moved(value) if isinstance(value, Device) else value
            for number, value in found.elements.items()
        }
        found = Object(found.type, moved)
        if name == BOOTMGR:
            return _with(found, {0x11000001: drive}, without=(0x12000002,))
        if name == _MEMORY_TESTER:
            return _with(found, {0x11000001: drive, 0x12000002: r"\boot\memtest.exe"})
        if found.type in (_LOADER, _RESUME):
            path = str(found.elements[0x12000002])
            assert path.endswith(".efi")
            found = _with(found, {0x12000002: f"{path.removesuffix('.efi')}.exe"})
        if found.type == _LOADER and not _is_ram_disk(found):
            found = _with(found, {0x16000009: False}, without=(0x14000008,))
        return found

    def _moved(self, device: Device) -> Device:
        assert self.places
        if device.partition not in self.places:  # the ESP, which is set by its object's rule
            return device
        offset = str(self.places[device.partition])
        return replace(device, is_gpt=False, partition=offset, disk=self.signature)


def _is_ram_disk(loader: Object) -> bool:
    device = loader.elements[0x11000001]
    return isinstance(device, Device) and bool(device.path)


def _with(found: Object, elements: dict[int, object], *, without: tuple[int, ...] = ()) -> Object:
    kept = {number: value for number, value in found.elements.items() if number not in without}
    return Object(found.type, kept | elements)  # type: ignore[arg-type]


def _identifier(data: bytes) -> str:
    """Give the partition that a value of MountedDevices names by its GPT's identifier."""
    if len(data) != 24 or data[:8] != b"DMIO:ID:":
        return ""
    return str(uuid.UUID(bytes_le=data[8:]))


def _start_with_the_machine(keys: Keys, key: str) -> None:
    if key in keys:
        keys[key]["Start"] = dword(0)
    for path in [path for path in keys if f"{path}\\".startswith(rf"{key}\StartOverride" + "\\")]:
        del keys[path]


def _ask_for_addresses(values: dict[str, Value]) -> None:
    """WIN-4, for the key of an adapter."""
    if "EnableDHCP" not in values and "IPAddress" not in values:
        return
    values["EnableDHCP"] = dword(1)
    for name in _STATIC:
        values.pop(name, None)
    _ask_for_names(values)


def _ask_for_names(values: dict[str, Value]) -> None:
    """WIN-4, for the key of an adapter by IPv6."""
    if "NameServer" in values:
        values["NameServer"] = sz("")


def _starter(*, by_itself: bool) -> dict[str, Value]:
    """Give the service that starts the first-boot script, which Windows or Setup starts."""
    return {
        "Type": dword(0x10),
        "Start": dword(2 if by_itself else 3),
        "ErrorControl": dword(0),
        "ImagePath": sz(_STARTER, kind=2),
        "ObjectName": sz("LocalSystem"),
        "DisplayName": sz("First boot after conversion"),
    }


def _driver_version(version: str) -> bytes:
    """Give the 48 bytes of a driver package's version: its class, date and number."""
    number = map(int, version.split("."))
    days = (datetime(2023, 6, 21, tzinfo=UTC) - datetime(1601, 1, 1, tzinfo=UTC)).days
    time = days * 24 * 3600 * 10_000_000
    group = uuid.UUID(_SCSI).bytes_le
    return struct.pack("<4sI16sQ4H8x", b"\0\xff\x09\0", 0, group, time, *reversed([*number]))


def with_parents(keys: Keys) -> Keys:
    """Give `keys` with those above them, which are there when they are."""
    parents: Keys = {parent: {} for path in keys for parent in _above(path)}
    return parents | keys


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("\\")[0]
        yield path


# --- values ---------------------------------------------------------------------------------------


def dword(number: int) -> Value:
    return Value(4, struct.pack("<I", number))


def sz(text: str, *, kind: int = 1) -> Value:
    return Value(kind, text.encode("utf-16-le") + b"\0\0")


def multi_sz(*texts: str) -> Value:
    return Value(7, b"".join(text.encode("utf-16-le") + b"\0\0" for text in texts) + b"\0\0")
