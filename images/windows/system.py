"""A guest's SYSTEM hive."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from images.windows import network, services
from images.windows.guest import State
from images.windows.hive import below, binary, dword, expand_sz, make, merged, multi_sz, sz
from images.windows.layout import SIGNATURE, Role

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.hive import Keys, Value
    from images.windows.layout import Layout, Partition

# The second is what the guest goes back to when the first does not start.
CONTROL_SETS: Final = ("ControlSet001", "ControlSet002")
_CDROM: Final = (
    r"\??\IDE#CdRomNECVMWar_VMware_IDE_CDR10_______________1.00____#5&290fd3ab&0&1.0.0"
    "#{53f5630d-b6bf-11d0-94f2-00a0c91efb8b}"
)


def system(windows: Windows, layout: Layout) -> bytes:
    """Make the hive."""
    control_set = _control_set(windows)
    parts: list[Keys] = [below(name, control_set) for name in CONTROL_SETS]
    parts += [
        {
            "Select": {
                "Current": dword(1),
                "Default": dword(1),
                "Failed": dword(0),
                "LastKnownGood": dword(2),
            },
            "MountedDevices": _mounted(windows, layout),
            "Setup": _setup(windows),
            r"Setup\Status\SysprepStatus": {
                "CleanupState": dword(2),
                "GeneralizationState": dword(3 if windows.has(State.SYSPREPPED) else 7),
            },
        }
    ]
    if windows.about.has_driver_database:
        parts.append(services.driver_database(windows.about))
    return make("SYSTEM", merged(parts))


def _control_set(windows: Windows) -> Keys:
    parts = [
        below("Services", services.services(windows)),
        below(r"Services\Tcpip", network.tcpip(windows)),
        below(r"Services\SharedAccess", network.firewall(windows)),
        below("Control", network.control(windows)),
        below(r"Control\Terminal Server", network.terminal_server(windows)),
        below(r"Control\Session Manager", _session_manager(windows)),
        below("Control", _control(windows)),
        {r"Hardware Profiles\0001": {"FriendlyName": sz("Undocked Profile")}, "Enum": {}},
    ]
    if not windows.about.has_driver_database:
        devices = services.critical_devices(windows.about)
        parts.append(below(r"Control\CriticalDeviceDatabase", devices))
    return merged(parts)


def _control(windows: Windows) -> Keys:
    language = "0407" if windows.has(State.GERMAN) else "0409"
    name = "de-DE" if windows.has(State.GERMAN) else "en-US"
    return {
        r"ComputerName\ComputerName": {"ComputerName": sz(network.host_name(windows))},
        r"Nls\Language": {"Default": sz(language), "InstallLanguage": sz(language)},
        r"Nls\Locale": {"": sz(f"0000{language}")},
        rf"MUI\UILanguages\{name}": {"LCID": dword(int(language, 16)), "Type": dword(0x91)},
        "ProductOptions": _product_options(windows),
        "SystemInformation": {
            "SystemManufacturer": sz("VMware, Inc."),
            "SystemProductName": sz("VMware Virtual Platform"),
        },
        "TimeZoneInformation": {
            "ActiveTimeBias": dword(480),
            "Bias": dword(480),
            "DaylightBias": dword(-60 & 0xFFFFFFFF),
            "StandardName": sz("@tzres.dll,-212"),
            "TimeZoneKeyName": sz("Pacific Standard Time"),
        },
        "Windows": {
            "CSDVersion": dword(0x100 if windows.about.version == (6, 1) else 0),
            "SystemDirectory": expand_sz(r"%SystemRoot%\system32"),
        },
        "": {"SystemBootDevice": sz("multi(0)disk(0)rdisk(0)partition(2)")},
    }


def _product_options(windows: Windows) -> dict[str, Value]:
    kind = "ServerNT" if windows.about.is_server else "WinNT"
    if windows.has(State.DOMAIN_CONTROLLER):
        kind = "LanmanNT"
    suite = ("Terminal Server",) if windows.about.is_server else ("Terminal Server", "SingleUserTS")
    return {"ProductType": sz(kind), "ProductSuite": multi_sz(*suite)}


def _session_manager(windows: Windows) -> Keys:
    values = {
        "BootExecute": multi_sz("autocheck autochk *"),
        "ProtectionMode": dword(1),
    }
    if windows.has(State.PENDING_UPDATES):
        values["PendingFileRenameOperations"] = multi_sz(r"\??\C:\Windows\Temp\old.dll", "")
    is_fast = windows.has(State.FAST_STARTED)
    keys: Keys = {
        "": values,
        "Environment": {
            "ComSpec": expand_sz(r"%SystemRoot%\system32\cmd.exe"),
            "NUMBER_OF_PROCESSORS": sz("2"),
            "PROCESSOR_ARCHITECTURE": sz("AMD64"),
        },
        "Memory Management": {
            "ExistingPageFiles": multi_sz(r"\??\C:\pagefile.sys"),
            "PagingFiles": multi_sz(r"?:\pagefile.sys"),
        },
        "Power": {"HiberbootEnabled": dword(1)} if is_fast else {},
    }
    return keys


def _mounted(windows: Windows, layout: Layout) -> dict[str, Value]:
    letters = {Role.WINDOWS: "C", Role.DATA: "E", Role.SECOND_WINDOWS: "F"}
    values = {r"\DosDevices\D:": binary(_CDROM.encode("utf-16-le"))}
    for partition in layout.partitions:
        if partition.role in (Role.MSR, Role.LDM_METADATA):
            continue
        place = binary(mounted_device(partition, is_gpt=windows.is_uefi))
        if letter := letters.get(partition.role):
            values[rf"\DosDevices\{letter}:"] = place
        values[rf"\??\Volume{{{_volume(partition)}}}"] = place
    return values


def _volume(partition: Partition) -> str:
    return f"5f2e8b4{partition.number}-0000-11ee-9d5b-806e6f6e6963"


def mounted_device(partition: Partition, *, is_gpt: bool) -> bytes:
    """Give what `MountedDevices` knows a partition by."""
    if is_gpt:
        return b"DMIO:ID:" + partition.identifier.bytes_le
    return struct.pack("<IQ", SIGNATURE, partition.start)


def _setup(windows: Windows) -> dict[str, Value]:
    is_unfinished = windows.has(State.SYSPREPPED)
    return {
        "CmdLine": sz(r"oobe\windeploy.exe" if is_unfinished else ""),
        "OOBEInProgress": dword(int(is_unfinished)),
        "SetupType": dword(2 if is_unfinished else 0),
        "SystemPartition": sz(r"\Device\HarddiskVolume1"),
        "SystemSetupInProgress": dword(int(is_unfinished)),
    }
