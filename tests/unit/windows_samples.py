r"""A Windows in memory: its hives, its files, and the disk they are on.

`server` and `client` give one that was shut down, with all that a conversion has something to do
with; a test changes what it is about before it asks for the machine. Everything is on real tables,
with boot sectors of NTFS as Windows writes them.
"""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from converter.formats.bcd import BOOT_MANAGER as BOOT_MANAGER_ID
from converter.formats.registry import (
    Hive,
    Value,
    binary,
    dword,
    expand_sz,
    multi_sz,
    sz,
)
from converter.formats.registry_cells import checksum
from converter.formats.registry_new import empty
from converter.guest.memory import MemoryGuest, Node
from converter.guest.replay import replay
from converter.inspection import inspect_machine
from converter.model import Filesystem, Space
from converter.steps.order import make_plan
from tests.guests.disks import MIB, TYPES, Part, make_disk
from tests.guests.machine import Device, Machine
from tests.unit.efi_programs import pe
from tests.unit.formats import bcd_samples, ntfs_volumes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from converter.inspection import Inspection
    from converter.model import Facts, Plan
    from converter.steps.step import Options
    from tests.guests.disks import SparseDisk

Files = dict[str, bytes | str | Node]
Keys = dict[str, dict[str, Value]]

ROOT = "/C/Windows"
CONFIG = f"{ROOT}/System32/config"
SYSTEM, SOFTWARE, SAM = (f"{CONFIG}/{name}" for name in ("SYSTEM", "SOFTWARE", "SAM"))
CURRENT = "ControlSet001"
SERVICES = rf"{CURRENT}\Services"
ADAPTER = r"Services\Tcpip\Parameters\Interfaces\{8E5B1D3A-0000-4000-8000-0123456789AB}"
FIREWALL = r"Services\SharedAccess\Parameters\FirewallPolicy"
NT = r"Microsoft\Windows NT\CurrentVersion"
STATE = r"Microsoft\Windows\CurrentVersion\Setup\State"
USERS = r"SAM\Domains\Account\Users"
SIGNATURE = 0xA1B2C3D4
ENABLED, DISABLED = 0x210, 0x211
_GIB = 1 << 30

PROGRAM = pe((b".text", b"\x90" * 16), subsystem=3)
DRIVER = pe((b".text", b"\x90" * 16), subsystem=1)
BOOT_MANAGER = pe((b".text", b"bootmgfw"))
# Of Windows' own drivers: their start as it is on a machine that is on a SCSI disk.
_OWN_DRIVERS = {"stornvme": 3, "storahci": 3, "intelide": 0, "pciide": 3, "atapi": 0}
_TOOLS = ("VMTools", "VGAuthService", "vmci", "vsock")


def service(start: int, **more: Value) -> dict[str, Value]:
    return {"Type": dword(1), "Start": dword(start), "ErrorControl": dword(1), **more}


def control_set() -> Keys:
    """Give what each control set has."""
    keys: Keys = {
        r"Control\ComputerName\ComputerName": {"ComputerName": sz("WEB")},
        r"Control\Nls\Language": {"InstallLanguage": sz("0409")},
        r"Control\MUI\UILanguages\en-US": {"LCID": dword(0x409)},
        r"Control\ProductOptions": {"ProductType": sz("ServerNT")},
        r"Control\Session Manager\Memory Management": {
            "PagingFiles": multi_sz(r"c:\pagefile.sys 4096 4096")
        },
        r"Control\Session Manager\Power": {"HiberbootEnabled": dword(1)},
        r"Control\Terminal Server": {"fDenyTSConnections": dword(0)},
        r"Control\TimeZoneInformation": {"TimeZoneKeyName": sz("W. Europe Standard Time")},
        r"Services\Dhcp": service(2),
        r"Services\gpsvc": service(2),
        r"Services\TermService": service(3),
        r"Services\Tcpip\Parameters": {"Hostname": sz("web")},
        rf"{FIREWALL}\PublicProfile": {"EnableFirewall": dword(1)},
        rf"{FIREWALL}\FirewallRules": {
            "RemoteDesktop-UserMode-In-TCP": sz(
                "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|App=%SystemRoot%"
                r"\system32\svchost.exe|Svc=termservice|"
            )
        },
        ADAPTER: {
            "EnableDHCP": dword(0),
            "IPAddress": multi_sz("192.0.2.10"),
            "SubnetMask": multi_sz("255.255.255.0"),
            "DefaultGateway": multi_sz("192.0.2.1"),
            "NameServer": sz("192.0.2.53,192.0.2.54"),
        },
    }
    for name, start in _OWN_DRIVERS.items():
        path = expand_sz(rf"\SystemRoot\System32\drivers\{name}.sys")
        keys[rf"Services\{name}"] = service(start, ImagePath=path)
        keys[rf"Services\{name}\StartOverride"] = {"0": dword(3)}
    return keys | {rf"Services\{name}": service(2) for name in _TOOLS}


@cache
def _system() -> bytes:
    hive = Hive(empty())
    numbers = {"Current": 1, "Default": 1, "Failed": 0, "LastKnownGood": 2}
    put(hive, {"Select": {name: dword(number) for name, number in numbers.items()}})
    for name in (CURRENT, "ControlSet002"):
        put(hive, {rf"{name}\{key}": values for key, values in control_set().items()})
    disk = b"DMIO:ID:" + bcd_samples.C.bytes_le
    put(hive, {"MountedDevices": {r"\DosDevices\C:": binary(disk)}, "DriverDatabase": {}})
    return hive.tobytes()


@cache
def _software() -> bytes:
    hive = Hive(empty())
    put(
        hive,
        {
            NT: {
                "ProductName": sz("Windows Server 2019 Standard"),
                "EditionID": sz("ServerStandard"),
                "InstallationType": sz("Server"),
                "CurrentVersion": sz("6.3"),
                "CurrentMajorVersionNumber": dword(10),
                "CurrentMinorVersionNumber": dword(0),
                "CurrentBuildNumber": sz("17763"),
            },
            rf"{NT}\Winlogon": {"AutoAdminLogon": sz("0")},
            STATE: {"ImageState": sz("IMAGE_STATE_COMPLETE")},
            r"Microsoft\NET Framework Setup\NDP\v4\Full": {"Release": dword(461814)},
        },
    )
    return hive.tobytes()


def account(name: str, *, flags: int = ENABLED, length: int = 20) -> dict[str, Value]:
    """Give what the SAM has of an account; `length` is that of its NT hash."""
    fixed = bytearray(80)
    struct.pack_into("<H", fixed, 0x38, flags)
    text = name.encode("utf-16-le")
    fields = [(0, 0)] * 17
    fields[1], fields[14] = (0, len(text)), (len(text), length)
    table = b"".join(struct.pack("<III", at, size, 0) for at, size in fields)
    variable = table + text + bytes(length)
    return {"F": binary(bytes(fixed)), "V": binary(variable)}


@cache
def _sam() -> bytes:
    hive = Hive(empty())
    put(
        hive,
        {
            rf"{USERS}\000001F4": account("Administrator"),
            rf"{USERS}\000001F5": account("Guest", flags=DISABLED, length=4),
            rf"{USERS}\Names": {"": Value(0x1F4, b"")},
        },
    )
    return hive.tobytes()


def put(hive: Hive, keys: Mapping[str, Mapping[str, Value]]) -> None:
    for key, values in keys.items():
        hive.create_key(key)
        for name, value in values.items():
            hive.set_value(key, name, value)


@cache
def bcd(*, uefi: bool) -> bytes:
    """Give a store with EMS on: that of UEFI names partitions of the GPT."""
    objects = bcd_samples.uefi_objects()
    if not uefi:
        kind, elements = objects[bcd_samples.LOADER]
        changed = {
            0x11000001: binary(bcd_samples.MBR_C),
            0x21000001: binary(bcd_samples.MBR_C),
            0x12000002: sz(r"\Windows\system32\winload.exe"),
        }
        objects = {
            BOOT_MANAGER_ID: objects[BOOT_MANAGER_ID],
            bcd_samples.LOADER: (kind, elements | changed),
        }
    return bcd_samples.store(objects)


class WindowsMachine(Machine):
    """A machine with room on its volumes, on which some cannot be mounted."""

    free = 40 * _GIB
    broken: tuple[str, ...] = ()

    def space(self, path: str) -> Space:
        super().space(path)
        return Space(size=60 * _GIB, free=self.free)

    def mount(self, device: str, path: str, *, options: str) -> None:
        found = self._devices.get(device)
        if device in self.broken and found:
            found.found = Filesystem(device, "")
        super().mount(device, path, options=options)


@dataclass
class Windows:
    """What a Windows is made of; `files` are those of its drive, without the hives.

    `spell` says how names are written on the disk: Windows does not care. Without `hives` there are
    those in `files` alone.
    """

    uefi: bool
    system: Hive = field(default_factory=lambda: Hive(_system()))
    software: Hive = field(default_factory=lambda: Hive(_software()))
    sam: Hive | None = field(default_factory=lambda: Hive(_sam()))
    files: Files = field(default_factory=dict)
    esp: Files = field(default_factory=dict)
    reserved: Files = field(default_factory=dict)
    volume: ntfs_volumes.Pieces = field(default_factory=ntfs_volumes.volume)
    more: list[tuple[str, Device]] = field(default_factory=list)
    types: dict[str, str] = field(default_factory=dict)
    spell: Callable[[str], str] = str
    hives: bool = True

    def machine(self) -> WindowsMachine:
        """Give the machine: the ESP, what is reserved and C: by UEFI, else two volumes by BIOS."""
        hives = {"SYSTEM": self.system, "SOFTWARE": self.software, "SAM": self.sam}
        config = "/Windows/System32/config"
        own: Files = {
            f"{config}/{name}": hive.tobytes()
            for name, hive in hives.items()
            if hive and self.hives
        }
        drive = ("windows", "ntfs", {**own, **self.files}, bcd_samples.C)
        rows: list[tuple[str, str, Files, uuid.UUID]] = [
            ("windows", "ntfs", self.reserved, uuid.UUID(int=1)),
            drive,
        ]
        if self.uefi:
            rows = [
                ("esp", "vfat", self.esp, bcd_samples.ESP),
                ("msr", "", {}, uuid.UUID(int=2)),
                drive,
                ("recovery", "ntfs", {}, bcd_samples.RECOVERY),
            ]
        return self._made(rows)

    def _made(self, rows: list[tuple[str, str, Files, uuid.UUID]]) -> WindowsMachine:
        parts, devices, start = [], [], MIB
        for number, (kind, fs, files, identifier) in enumerate(rows, start=1):
            table_type = self.types.get(kind, TYPES[kind][self.uefi])
            active = not self.uefi and number == 1
            parts.append(Part(number, start, MIB, table_type, str(identifier), active=active))
            devices.append(self._device(f"/dev/sda{number}", fs, files))
            start += MIB
        for number, (kind, device) in enumerate(self.more, start=len(rows) + 1):
            table_type = TYPES[kind][self.uefi]
            parts.append(Part(number, start, MIB, table_type, str(uuid.UUID(int=number))))
            device.found = _renamed(device.found, f"/dev/sda{number}")
            devices.append(device)
            start += MIB
        disk = make_disk(
            table="gpt" if self.uefi else "mbr",
            size=start + MIB,
            signature=bcd_samples.DISK.int if self.uefi else SIGNATURE,
            parts=parts,
            boot="" if self.uefi else "active-",
        )
        self._format(disk, parts, devices)
        return WindowsMachine({"/dev/sda": disk}, devices)

    def _device(self, name: str, fs: str, files: Files) -> Device:
        spelt = {self.spell(path): content for path, content in files.items()}
        found = Filesystem(name, fs, f"5E5B1D3A0000{name[-1]}" if fs else "")
        return Device(found, MemoryGuest(spelt)._nodes)

    def _format(self, disk: SparseDisk, parts: list[Part], devices: list[Device]) -> None:
        for part, device in zip(parts, devices, strict=True):
            if device.found.type == "ntfs":
                for at, piece in self.volume.items():
                    disk.put(part.start + at, piece)

    def inspect(self) -> Inspection:
        return inspect_machine(self.machine())

    def machine_mounted(self) -> WindowsMachine:
        machine = self.machine()
        inspect_machine(machine)
        return machine


def _renamed(found: Filesystem, device: str) -> Filesystem:
    return Filesystem(device, found.type, found.uuid, found.label)


def _files() -> Files:
    files: Files = {
        "/Windows/System32/cmd.exe": PROGRAM,
        "/Windows/System32/winload.exe": b"winload for BIOS",
        "/Windows/Boot/PCAT/bootmgr": b"bootmgr for BIOS",
        "/Windows/Boot/PCAT/bootnxt": b"bootnxt",
        "/Windows/Boot/PCAT/memtest.exe": b"memtest",
        "/pagefile.sys": b"",
    }
    return files | {f"/Windows/System32/drivers/{name}.sys": DRIVER for name in _OWN_DRIVERS}


def server(*, uefi: bool = True) -> Windows:
    """Give a Windows Server 2019 that was exported from VMware."""
    esp: Files = {
        "/EFI/Microsoft/Boot/bootmgfw.efi": BOOT_MANAGER,
        "/EFI/Microsoft/Boot/BCD": bcd(uefi=True),
    }
    reserved: Files = {"/bootmgr": b"bootmgr for BIOS", "/Boot/BCD": bcd(uefi=False)}
    return Windows(uefi, files=_files(), esp=esp, reserved=reserved)


def server_2008_r2() -> Windows:
    """Give a Windows Server 2008 R2: no driver for NVMe, and no DriverDatabase."""
    made = server(uefi=False)
    change(
        made.software,
        NT,
        ProductName=sz("Windows Server 2008 R2 Standard"),
        CurrentVersion=sz("6.1"),
        CurrentMajorVersionNumber=None,
        CurrentMinorVersionNumber=None,
        CurrentBuildNumber=sz("7601"),
    )
    made.system.delete_key("DriverDatabase")
    without_nvme(made)
    return made


def client(*, build: int = 19045) -> Windows:
    """Give a Windows 10 or 11."""
    made = server()
    change(
        made.software,
        NT,
        ProductName=sz("Windows 10 Pro"),
        EditionID=sz("Professional"),
        InstallationType=sz("Client"),
        CurrentBuildNumber=sz(str(build)),
    )
    for name in (CURRENT, "ControlSet002"):
        change(made.system, rf"{name}\Control\ProductOptions", ProductType=sz("WinNT"))
    return made


def without_nvme(made: Windows) -> None:
    """Take Windows' own driver of NVMe disks away, as before 2012 R2."""
    for name in (CURRENT, "ControlSet002"):
        made.system.delete_key(rf"{name}\Services\stornvme")
    del made.files["/Windows/System32/drivers/stornvme.sys"]


def change(hive: Hive, key: str, **values: Value | None) -> None:
    """Set values, and delete those that are None."""
    for name, value in values.items():
        if value is None:
            hive.delete_value(key, name)
        else:
            hive.set_value(key, name, value)


def both(made: Windows, key: str, **values: Value | None) -> None:
    """Change values in both control sets."""
    for name in (CURRENT, "ControlSet002"):
        change(made.system, rf"{name}\{key}", **values)


def spoilt(data: bytes) -> bytes:
    """Give a hive that opens, and whose keys below the root make no sense."""
    head, bins = data[:4096], data[4096:]
    return head + bins.replace(b"lh", b"??").replace(b"lf", b"??").replace(b"li", b"??")


def hive_of(machine: Machine, path: str) -> Hive:
    return Hive(machine.read(path, limit=1 << 30))


def convert(machine: Machine, options: Options | None = None) -> tuple[Plan, Inspection]:
    """Plan a machine's conversion, do it, and see that nothing of it is left to be planned.

    Gives the plan, and what is found then; the machine stays mounted.
    """
    before = inspect_machine(machine)
    plan = make_plan(machine, before, options)
    replay(plan, machine, progress=lambda _fraction: None)
    machine.unmount()
    after = inspect_machine(machine)
    if options is None or options.windows_conversion is None:
        assert make_plan(machine, after, options).changes == ()
    return plan, after


@cache
def inspected(*, uefi: bool = True) -> Inspection:
    """Give what is found on the server after its conversion: nothing is to be said of it."""
    return convert(server(uefi=uefi).machine())[1]


def facts(*, uefi: bool = True, **changed: Any) -> Facts:
    """Give the facts about the server with other values in its `WindowsFacts`."""
    found = inspected(uefi=uefi).facts
    return replace(found, os=replace(found.windows, **changed))


def interrupted(old: bytes, new: bytes) -> tuple[bytes, bytes]:
    """Give a hive that was not written to its end, and the log that has what is `new` in it."""
    assert len(old) == len(new)
    dirty = bytearray(old)
    struct.pack_into("<I", dirty, 4, int.from_bytes(old[4:8], "little") + 1)
    seal_sum(dirty)
    base = bytearray(new[:512])
    struct.pack_into("<I", base, 28, 1)
    seal_sum(base)
    length = len(new) - 4096
    vector = (b"DIRT" + b"\xff" * (length // 4096)).ljust(512, b"\0")
    return bytes(dirty), bytes(base) + vector + new[4096:]


def seal_sum(data: bytearray) -> None:
    """Make the checksum of a base block that of its content."""
    struct.pack_into("<I", data, 508, checksum(data[:512]))
