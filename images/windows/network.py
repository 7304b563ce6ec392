"""A guest's network adapters, their addresses, and its firewall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from images.windows.guest import State
from images.windows.hive import binary, dword, expand_sz, multi_sz, sz

if TYPE_CHECKING:
    from images.windows.guest import Windows
    from images.windows.hive import Keys, Value

CLASS: Final = "{4d36e972-e325-11ce-bfc1-08002be10318}"
_DOMAIN: Final = "corp.example"


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter: without `addresses` it asks for them; without `name` it is not there any more."""

    identifier: str
    name: str
    addresses: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    servers: str = ""


_DHCP: Final = Adapter("{C0FFEE07-0001-4E1A-8D11-0050569A0001}", "Ethernet0")
_STATIC: Final = (
    Adapter(
        "{C0FFEE07-0002-4E1A-8D11-0050569A0002}", "Ethernet1",
        ("10.20.30.40", "10.20.30.41"), ("255.255.255.0", "255.255.255.0"),
        ("10.20.30.1",), "10.20.30.2,10.20.30.3",
    ),
    Adapter(
        "{C0FFEE07-0003-4E1A-8D11-0050569A0003}", "Backup LAN", ("192.168.77.5",), ("255.255.0.0",),
    ),
    Adapter(
        "{C0FFEE07-0004-4E1A-8D11-0050569A0004}", "", ("172.16.0.9",), ("255.240.0.0",),
        ("172.16.0.1",), "172.16.0.53",
    ),
)  # fmt: skip

_RULES: Final = "v2.10"


def adapters(windows: Windows) -> tuple[Adapter, ...]:
    """Give a guest's adapters."""
    return (_DHCP, *_STATIC) if windows.has(State.STATIC_ADDRESSES) else (_DHCP,)


def host_name(windows: Windows) -> str:
    """Give a guest's name, which is its release's."""
    return f"WIN-{windows.release.upper()}"


def tcpip(windows: Windows) -> Keys:
    """Give what is below the service `Tcpip`."""
    name = host_name(windows)
    domain = _DOMAIN if windows.has(State.DOMAIN_CONTROLLER) else ""
    keys: Keys = {
        "Parameters": {
            "DataBasePath": expand_sz(r"%SystemRoot%\System32\drivers\etc"),
            "Domain": sz(domain),
            "Hostname": sz(name),
            "ICSDomain": sz("mshome.net"),
            "NV Domain": sz(domain),
            "NV Hostname": sz(name),
        }
    }
    for adapter in adapters(windows):
        keys[rf"Parameters\Adapters\{adapter.identifier}"] = {
            "IpConfig": multi_sz(rf"Tcpip\Parameters\Interfaces\{adapter.identifier}")
        }
        keys[rf"Parameters\Interfaces\{adapter.identifier}"] = _interface(adapter)
    return keys


def _interface(adapter: Adapter) -> dict[str, Value]:
    common = {"Domain": sz(""), "NameServer": sz(adapter.servers), "UseZeroBroadcast": dword(0)}
    if not adapter.addresses:
        return common | {
            "EnableDHCP": dword(1),
            "DhcpIPAddress": sz("192.168.1.50"),
            "DhcpServer": sz("192.168.1.1"),
            "DhcpSubnetMask": sz("255.255.255.0"),
            "Lease": dword(86400),
        }
    return common | {
        "EnableDHCP": dword(0),
        "IPAddress": multi_sz(*adapter.addresses),
        "SubnetMask": multi_sz(*adapter.masks),
        "DefaultGateway": multi_sz(*adapter.gateways),
        "DefaultGatewayMetric": multi_sz(*("0" for _ in adapter.gateways)),
    }


def control(windows: Windows) -> Keys:
    """Give what says which devices the adapters are, for below a control set's `Control`."""
    keys: Keys = {rf"Class\{CLASS}": {"": sz("Network adapters"), "Class": sz("Net")}}
    for number, adapter in enumerate(adapters(windows)):
        if not adapter.name:
            continue
        device = r"PCI\VEN_8086&DEV_10D3&SUBSYS_07D015AD&REV_00"
        keys[rf"Class\{CLASS}\{number:04}"] = {
            "ComponentId": sz(r"pci\ven_8086&dev_10d3"),
            "DriverDesc": sz("Intel(R) 82574L Gigabit Network Connection"),
            "InfPath": sz("net1ix64.inf"),
            "NetCfgInstanceId": sz(adapter.identifier),
            "ProviderName": sz("Microsoft"),
        }
        keys[rf"Network\{CLASS}\{adapter.identifier}\Connection"] = {
            "Name": sz(adapter.name),
            "PnpInstanceID": sz(rf"{device}\00505{number}FFFF9A0001"),
        }
    return keys


def firewall(windows: Windows) -> Keys:
    """Give what is below the service `SharedAccess`."""
    policy = r"Parameters\FirewallPolicy"
    keys: Keys = {
        rf"{policy}\{profile}": {"DisableNotifications": dword(1), "EnableFirewall": dword(1)}
        for profile in ("DomainProfile", "PublicProfile", "StandardProfile")
    }
    rdp = "FALSE" if windows.has(State.RDP_OFF, State.RDP_FIREWALLED) else "TRUE"
    keys[rf"{policy}\FirewallRules"] = {
        f"RemoteDesktop-UserMode-In-{protocol}": sz(
            f"{_RULES}|Action=Allow|Active={rdp}|Dir=In|Protocol={number}|LPort=3389"
            r"|App=%SystemRoot%\system32\svchost.exe|Svc=termservice"
            "|Name=@FirewallAPI.dll,-28775|EmbedCtxt=@FirewallAPI.dll,-28752|"
        )
        for protocol, number in (("TCP", 6), ("UDP", 17))
    } | {
        "CoreNet-DHCP-In": sz(
            f"{_RULES}|Action=Allow|Active=TRUE|Dir=In|Protocol=17|LPort=68|RPort=67"
            r"|App=%SystemRoot%\system32\svchost.exe|Svc=dhcp|Name=@FirewallAPI.dll,-25301|"
        )
    }
    return keys


def terminal_server(windows: Windows) -> Keys:
    """Give what is below the control set's `Terminal Server`."""
    return {
        "": {"fDenyTSConnections": dword(1 if windows.has(State.RDP_OFF) else 0)},
        r"WinStations\RDP-Tcp": {"PortNumber": dword(3389), "UserAuthentication": dword(1)},
        "RCM": {"GracePeriod": binary(bytes(8))},
    }
