"""The files on a guest's volumes, by their paths: `C:` and what the firmware starts from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from images.windows import accounts, bcd, hive, logs, services
from images.windows.guest import State
from images.windows.programs import assembled, program
from images.windows.software import software
from images.windows.system import system

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.layout import Layout


@dataclass(frozen=True, slots=True)
class Link:
    """A reparse point that leads to another place on the same volume."""

    target: str


# A file's bytes, None for a directory.
Files = dict[str, bytes | Link | None]

_SYSTEM32: Final = (
    "cmd.exe", "hal.dll", "kernel32.dll", "lsass.exe", "msiexec.exe", "ntdll.dll", "ntoskrnl.exe",
    "pnputil.exe", "reg.exe", "services.exe", "shutdown.exe", "smss.exe", "svchost.exe",
    "Sysprep/sysprep.exe", "WindowsPowerShell/v1.0/powershell.exe",
    "winload.efi", "winload.exe", "winresume.efi", "winresume.exe",
)  # fmt: skip
_DIRECTORIES: Final = (
    "$Recycle.Bin/S-1-5-18", "PerfLogs", "Program Files/Common Files", "Program Files (x86)",
    "ProgramData/Microsoft/Windows", "Recovery", "System Volume Information",
    "Users/Administrator/Desktop", "Users/Public/Documents",
)  # fmt: skip
_WINDOWS: Final = ("Logs/CBS", "Panther", "Setup", "SoftwareDistribution", "Temp", "WinSxS")
_GPT_INI: Final = (
    "[General]\r\n"
    "gPCMachineExtensionNames=[{35378EAC-683F-11D2-A89A-00C04FBBCFA2}"
    "{D02B1F72-3407-48AE-BA88-E8213C6761F1}]\r\n"
    "Version=7\r\n"
)
# Those who write it say that it is UTF-16 with a byte order mark.
_SCRIPTS_INI: Final = "\r\n[Startup]\r\n0CmdLine=own.cmd\r\n0Parameters=/quiet\r\n"
_SLEEPING: Final = b"HIBR"
_PAGE_FILE: Final = 1 << 16


def drive_c(windows: Windows, layout: Layout) -> Files:
    """Give what is on C:."""
    root, system32 = windows.windows, windows.system32
    files: Files = dict.fromkeys((*_DIRECTORIES, *(f"{root}/{name}" for name in _WINDOWS)))
    files |= {f"{system32}/{name}": program(name) for name in _SYSTEM32}
    files |= {
        f"{system32}/drivers/{name}": program(name) for name in services.driver_files(windows)
    }
    files |= {f"{system32}/config/{name}": data for name, data in _hives(windows, layout).items()}
    files |= {
        f"{root}/explorer.exe": program("explorer.exe"),
        f"{root}/INF/mshdc.inf": b'[Version]\r\nSignature="$WINDOWS NT$"\r\n',
        f"{root}/Panther/setupact.log": b"",
        f"{root}/SysWOW64/cmd.exe": program("cmd.exe"),
        f"{system32}/DriverStore/FileRepository": None,
        f"{system32}/GroupPolicy": None,
        f"{system32}/drivers/etc/hosts": b"# localhost\r\n",
        f"{system32}/winevt/Logs": None,
        # The last of them is below what it leads to.
        "Documents and Settings": Link("Users"),
        "ProgramData/Application Data": Link("."),
        "Users/Administrator/NTUSER.DAT": accounts.default(windows),
        "Users/Default/NTUSER.DAT": accounts.default(windows),
        "pagefile.sys": bytes(_PAGE_FILE),
    }
    files |= {f"{root}/Boot/{name}": data for name, data in _boot_files(windows).items()}
    if windows.about.has_driver_database:
        files["swapfile.sys"] = bytes(_PAGE_FILE)
    for state, further in _FURTHER.items():
        if windows.has(state):
            files |= {
                name.format(system32=system32, root=root): each for name, each in further.items()
            }
    return files


def second_windows(windows: Windows) -> Files:
    """Give as much of another Windows as says that it is one."""
    return {
        "Windows/System32/cmd.exe": program("cmd.exe"),
        "Windows/System32/config/SYSTEM": hive.make(
            "SYSTEM", {"Select": {"Current": hive.dword(1)}}
        ),
        "Windows/System32/config/SOFTWARE": software(windows),
        "Windows/System32/ntoskrnl.exe": program("ntoskrnl.exe"),
    }


def active_partition(windows: Windows, layout: Layout) -> Files:
    """Give what BIOS starts from, at the root of the active partition."""
    files = _pcat(windows)
    found: Files = {
        "bootmgr": files["bootmgr"],
        "Boot/BCD": bcd.make(windows, layout),
        "Boot/BCD.LOG": b"",
        "Boot/memtest.exe": files["memtest.exe"],
        "Boot/Fonts": None,
    }
    if "bootnxt" in files:
        found["BOOTNXT"] = files["bootnxt"]
    return found


def esp(windows: Windows, layout: Layout) -> Files:
    """Give what UEFI starts from, on the ESP."""
    manager = assembled("bootmgfw")
    files: Files = {
        "EFI/Microsoft/Boot/BCD": bcd.make(windows, layout),
        "EFI/Microsoft/Boot/BCD.LOG": b"",
        "EFI/Microsoft/Boot/bootmgfw.efi": manager,
        "EFI/Microsoft/Boot/memtest.efi": program("memtest.efi"),
    }
    if not windows.has(State.NO_FALLBACK):
        files["EFI/Boot/bootx64.efi"] = manager
    return files


def recovery() -> Files:
    """Give what is on the recovery partition."""
    return {
        "Recovery/WindowsRE/Winre.wim": b"MSWIM\0\0\0".ljust(4096, b"\0"),
        "Recovery/WindowsRE/boot.sdi": b"$SDI0001".ljust(4096, b"\0"),
    }


def _pcat(windows: Windows) -> dict[str, bytes]:
    # A boot sector's worth of code, and a PE behind it, as the real one is.
    files = {"bootmgr": b"\xeb\xfe".ljust(0x4000, b"\0") + program("bootmgr.exe")}
    files["memtest.exe"] = program("memtest.exe")
    if windows.about.has_driver_database:
        files["bootnxt"] = b"\x01"
    return files


def _boot_files(windows: Windows) -> Files:
    """Give what `bcdboot` makes a disk bootable with."""
    files: Files = {f"PCAT/{name}": data for name, data in _pcat(windows).items()}
    files["EFI/bootmgfw.efi"] = assembled("bootmgfw")
    files["EFI/memtest.efi"] = program("memtest.efi")
    files["DVD/EFI/en-US"] = None
    return files


def _hives(windows: Windows, layout: Layout) -> Files:
    found: Files = {
        "SOFTWARE": software(windows),
        "SAM": accounts.sam(windows),
        "SECURITY": accounts.security(),
        "DEFAULT": accounts.default(windows),
    }
    clean = found["SYSTEM"] = system(windows, layout)
    found |= {f"{name}.LOG{number}": b"" for name in list(found) for number in (1, 2)}
    if windows.has(State.DIRTY_HIVE, State.LOST_HIVE):
        dirty = logs.dirty(clean, is_new=windows.about.has_new_logs)
        is_lost = windows.has(State.LOST_HIVE)
        log1 = logs.damaged(dirty.log1) if is_lost else dirty.log1
        found |= {"SYSTEM": dirty.primary, "SYSTEM.LOG1": log1, "SYSTEM.LOG2": dirty.log2}
    return found


_TOOLS: Final = "Program Files/VMware/VMware Tools"
_FURTHER: Final[dict[State, Files]] = {
    State.HIBERNATED: {"hiberfil.sys": _SLEEPING.ljust(_PAGE_FILE, b"\0")},
    State.FAST_STARTED: {"hiberfil.sys": _SLEEPING.lower().ljust(_PAGE_FILE, b"\0")},
    State.SYSPREPPED: {
        "{system32}/Sysprep/Sysprep_succeeded.tag": b"",
        "{root}/Panther/UnattendGC": None,
    },
    State.VMWARE_TOOLS: {
        f"{_TOOLS}/vmtoolsd.exe": program("vmtoolsd.exe"),
        f"{_TOOLS}/VMware VGAuth/VGAuthService.exe": program("VGAuthService.exe"),
    },
    State.GROUP_POLICY: {
        "{system32}/GroupPolicy/gpt.ini": _GPT_INI.encode(),
        "{system32}/GroupPolicy/Machine/Registry.pol": b"PReg\1\0\0\0",
        "{system32}/GroupPolicy/Machine/Scripts/scripts.ini": _SCRIPTS_INI.encode("utf-16"),
        "{system32}/GroupPolicy/Machine/Scripts/Startup/own.cmd": b"@exit /b 0\r\n",
    },
    State.PENDING_UPDATES: {"{root}/WinSxS/pending.xml": b"<?xml version='1.0'?>\r\n"},
    State.DOMAIN_CONTROLLER: {"{root}/NTDS/ntds.dit": bytes(4096), "{root}/SYSVOL/sysvol": None},
    State.GERMAN: {
        "{system32}/de-DE/cmd.exe.mui": program("cmd.dll"),
        "Users/Administrator/Desktop/Übergröße.txt": "Grüße\r\n".encode("utf-16"),
    },
}
