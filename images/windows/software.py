"""A guest's SOFTWARE hive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from images.windows.guest import State
from images.windows.hive import below, binary, dword, expand_sz, make, merged, qword, sz

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.hive import Keys, Value

_CURRENT: Final = r"Microsoft\Windows NT\CurrentVersion"
_WINDOWS: Final = r"Microsoft\Windows\CurrentVersion"
# .NET Framework by its `Release`: what each release of Windows comes with.
_DOTNET: Final = {
    "2012": 378389, "2012r2": 378675, "2016": 394802, "2019": 461814, "2022": 528449,
    "2025": 533325, "10": 528372, "11": 533325,
}  # fmt: skip
VMWARE_TOOLS: Final = "{C0FFEE07-7001-4A5B-9B1F-0050569A7001}"


def software(windows: Windows) -> bytes:
    """Make the hive."""
    parts: list[Keys] = [
        {_CURRENT: _version(windows), rf"{_CURRENT}\Winlogon": _winlogon(windows)},
        {
            rf"{_WINDOWS}\Setup\State": {"ImageState": sz(_image_state(windows))},
            rf"{_WINDOWS}\Policies\System": {"EnableLUA": dword(1)},
            rf"{_WINDOWS}\Run": {},
            rf"{_WINDOWS}\Uninstall\AddressBook": {},
            rf"{_WINDOWS}\Group Policy\State\Machine": {"Distinguished-Name": sz("")},
            rf"{_CURRENT}\ProfileList\S-1-5-18": {
                "ProfileImagePath": expand_sz(r"%systemroot%\system32\config\systemprofile")
            },
            r"Policies\Microsoft\Windows NT\Terminal Services": {},
            r"Microsoft\NET Framework Setup\NDP\v3.5": {"Install": dword(1)},
            r"Classes\.txt": {"": sz("txtfile")},
        },
    ]
    if release := _DOTNET.get(windows.release):
        full = r"Microsoft\NET Framework Setup\NDP\v4\Full"
        parts.append({full: {"Install": dword(1), "Release": dword(release)}})
    parts += [keys for state, keys in _FURTHER.items() if windows.has(state)]
    if windows.about.is_server:
        parts.append(below(r"Microsoft\ServerManager\ServicingStorage", _roles(windows)))
    return make("SOFTWARE", merged(parts))


def _installation_type(windows: Windows) -> str:
    if not windows.about.is_server:
        return "Client"
    if windows.has(State.NANO):
        return "Nano Server"
    return "Server Core" if windows.has(State.CORE) else "Server"


def _version(windows: Windows) -> dict[str, Value]:
    about = windows.about
    # Frozen at 6.3, the number before 10.0.
    number = "6.3" if about.major == 10 else f"{about.major}.{about.minor}"
    values = {
        "BuildLab": sz(f"{about.build}.release.240101-0000"),
        "CurrentBuild": sz(str(about.build)),
        "CurrentBuildNumber": sz(str(about.build)),
        "CurrentVersion": sz(number),
        "EditionID": sz(about.edition),
        "InstallationType": sz(_installation_type(windows)),
        "InstallDate": dword(0x65920080),
        "PathName": sz(rf"C:\{windows.windows}"),
        "ProductId": sz("00000-00000-00000-AA000"),
        "ProductName": sz(about.product),
        "RegisteredOwner": sz("Windows User"),
        "SystemRoot": sz(rf"C:\{windows.windows}"),
        "DigitalProductId": binary(bytes(164)),
    }
    if about.version == (6, 1):
        values["CSDVersion"] = sz("Service Pack 1")
    if about.major == 10:
        values |= {
            "CurrentMajorVersionNumber": dword(about.major),
            "CurrentMinorVersionNumber": dword(about.minor),
            "InstallTime": qword(133485408000000000),
            "UBR": dword(about.revision),
        }
    if about.display_version:
        values |= {"DisplayVersion": sz(about.display_version), "ReleaseId": sz("2009")}
    return values


def _winlogon(windows: Windows) -> dict[str, Value]:
    values = {
        "AutoAdminLogon": sz("0"),
        "DefaultDomainName": sz(""),
        "DefaultUserName": sz(""),
        "Shell": sz("explorer.exe"),
        "Userinit": sz(r"C:\Windows\system32\userinit.exe,"),
    }
    if windows.has(State.AUTO_LOGON):
        values |= {
            "AutoAdminLogon": sz("1"),
            "DefaultPassword": sz("correct horse"),
            "DefaultUserName": sz("Administrator"),
        }
    return values


def _image_state(windows: Windows) -> str:
    is_general = windows.has(State.SYSPREPPED)
    return "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE" if is_general else "IMAGE_STATE_COMPLETE"


def _roles(windows: Windows) -> Keys:
    """Give the roles that can be installed (and say which are), as Server Manager keeps them."""
    is_there = {
        "Hyper-V": windows.has(State.HYPER_V),
        "AD-Domain-Services": windows.has(State.DOMAIN_CONTROLLER),
        "FileAndStorage-Services": True,
    }
    return {
        rf"ServerComponentCache\{name}": {"InstallState": dword(int(found))}
        for name, found in is_there.items()
    }


_TOOLS: Final = r"C:\Program Files\VMware\VMware Tools"
_FURTHER: Final[dict[State, Keys]] = {
    State.VMWARE_TOOLS: {
        rf"{_WINDOWS}\Uninstall\{VMWARE_TOOLS}": {
            "DisplayName": sz("VMware Tools"),
            "DisplayVersion": sz("12.3.5.22544099"),
            "Publisher": sz("VMware, Inc."),
            "UninstallString": expand_sz(f"MsiExec.exe /I{VMWARE_TOOLS}"),
            "WindowsInstaller": dword(1),
        },
        rf"{_WINDOWS}\Run": {"VMware User Process": sz(rf'"{_TOOLS}\vmtoolsd.exe" -n vmusr')},
        r"VMware, Inc.\VMware Tools": {"InstallPath": sz(f"{_TOOLS}\\")},
    },
    State.NANO: {rf"{_CURRENT}\Server\ServerLevels": {"NanoServer": dword(1)}},
    State.PENDING_UPDATES: {
        rf"{_WINDOWS}\Component Based Servicing\RebootPending": {},
        rf"{_WINDOWS}\WindowsUpdate\Auto Update\RebootRequired": {},
    },
    State.LOCAL_POLICY_OFF: {
        r"Policies\Microsoft\Windows\System": {"DisableLGPOProcessing": dword(1)}
    },
    State.GROUP_POLICY: {
        rf"{_WINDOWS}\Group Policy\State\Machine\Scripts\Startup\0": {
            "GPO-ID": sz("LocalGPO"),
            "FileSysPath": sz(r"C:\Windows\System32\GroupPolicy\Machine"),
        },
        r"Policies\Microsoft\Windows NT\Terminal Services": {"fDenyTSConnections": dword(0)},
    },
    State.ANTIVIRUS: {
        rf"{_WINDOWS}\Uninstall\SEP": {"DisplayName": sz("Symantec Endpoint Protection")},
        r"Symantec\Symantec Endpoint Protection\CurrentVersion": {"PRODUCTVERSION": sz("14.3")},
    },
    State.GERMAN: {
        rf"{_WINDOWS}\Component Based Servicing\Packages\Microsoft-Windows-Server-LanguagePack"
        "-Package~31bf3856ad364e35~amd64~de-DE~1.0.0.0": {"CurrentState": dword(0x70)},
        rf"{_WINDOWS}\Uninstall\{{Grün}}": {"DisplayName": sz("Überwachung")},
    },
}
