"""Whether a Windows can be reached by Remote Desktop, by its settings (WIN-6).

Sources: Microsoft Learn, "Remote Desktop: how to enable" and "Change the listening port for Remote
Desktop", [MS-GPFAS] (firewall rules in the registry). A policy of the domain or the machine wins
over the setting itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.inspection.windows_values import number, text
from converter.model import ServiceStart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.formats.registry import Reader

_PORT: Final = 3389
_LISTENER: Final = r"Control\Terminal Server\WinStations\RDP-Tcp"
_POLICY: Final = r"Policies\Microsoft\Windows NT\Terminal Services"
_FIREWALL_POLICY: Final = r"Policies\Microsoft\WindowsFirewall"
_FIREWALL: Final = r"Services\SharedAccess\Parameters\FirewallPolicy"
_PUBLIC: Final = "PublicProfile"
_MOST_RULES: Final = 100_000
# Of a rule: local and remote addresses, of IPv4 and IPv6 ([MS-FASP], 2.2.37).
_ADDRESSES: Final = ("RA4=", "RA6=", "LA4=", "LA6=")


def remote_desktop(software: Reader, system: Reader, control_set: str) -> str:
    """Say what keeps Remote Desktop from being reached, "" where nothing does."""
    denied = number(software.value(_POLICY, "fDenyTSConnections"))
    if denied is None:
        denied = number(
            system.value(rf"{control_set}\Control\Terminal Server", "fDenyTSConnections")
        )
    if denied:
        return "Remote Desktop is switched off"
    start = number(system.value(rf"{control_set}\Services\TermService", "Start"))
    if start is None or start == ServiceStart.DISABLED:
        return "the service of Remote Desktop (TermService) is disabled or missing"
    port = number(system.value(rf"{control_set}\{_LISTENER}", "PortNumber")) or _PORT
    closed = [*_closed_profiles(software, system, control_set)]
    rules = [*_rules(software, system, control_set, port)]
    if closed and not any(map(_allows, rules)):
        return f"the firewall lets nothing in to port {port} (profiles: {', '.join(closed)})"
    if _PUBLIC not in closed:
        return ""
    return _closed_to_public(software, system, control_set, port)


def _closed_to_public(software: Reader, system: Reader, control_set: str, port: int) -> str:
    """Say why the firewall lets nobody in from a public network, as a new one is."""
    if _profile(software, system, control_set, _PUBLIC, "DoNotAllowExceptions"):
        return "the firewall lets nothing at all in from public networks, as a new one is"
    merges = number(software.value(rf"{_FIREWALL_POLICY}\{_PUBLIC}", "AllowLocalPolicyMerge"))
    rules = [
        fields
        for fields in _rules(software, None if merges == 0 else system, control_set, port)
        if _is_for_public(fields)
    ]
    if any("ACTION=BLOCK" in fields and _is_for_anybody(fields) for fields in rules):
        return f"a rule of the firewall blocks port {port} for public networks, as a new one is"
    open_rules = list(filter(_allows, rules))
    if not open_rules:
        return f"the firewall lets nothing in to port {port} from public networks, as a new one is"
    if not any(map(_is_for_anybody, open_rules)):
        return f"the firewall lets only some addresses in to port {port}"
    return ""


def _allows(fields: frozenset[str]) -> bool:
    return "ACTION=ALLOW" in fields


def _is_for_anybody(fields: frozenset[str]) -> bool:
    """Tell whether a rule names no addresses of either side."""
    return not any(field.startswith(_ADDRESSES) for field in fields)


def _is_for_public(fields: frozenset[str]) -> bool:
    """Tell whether a rule counts in a public network: it names no profile, or this one."""
    profiles = {field for field in fields if field.startswith("PROFILE=")}
    return not profiles or "PROFILE=PUBLIC" in profiles


def _closed_profiles(software: Reader, system: Reader, control_set: str) -> Iterator[str]:
    """Give the profiles in which the firewall is on: a new network is public, or a domain's."""
    for name in (_PUBLIC, "StandardProfile", "DomainProfile"):
        if _profile(software, system, control_set, name, "EnableFirewall"):
            yield name


def _profile(software: Reader, system: Reader, control_set: str, name: str, value: str) -> bool:
    """Tell whether a setting of a profile is on: the policy's, else its own."""
    by_policy = number(software.value(rf"{_FIREWALL_POLICY}\{name}", value))
    own = number(system.value(rf"{control_set}\{_FIREWALL}\{name}", value))
    return bool(own if by_policy is None else by_policy)


def _rules(
    software: Reader, system: Reader | None, control_set: str, port: int
) -> Iterator[frozenset[str]]:
    """Give the rules about who comes in to `port`, each by its fields in upper case."""
    own = [] if system is None else [(system, rf"{control_set}\{_FIREWALL}\FirewallRules")]
    for hive, key in (*own, (software, rf"{_FIREWALL_POLICY}\FirewallRules")):
        for _, value in zip(range(_MOST_RULES), hive.values(key).values(), strict=False):
            fields = frozenset(field.upper() for field in text(value).split("|"))
            wanted = {"ACTIVE=TRUE", "DIR=IN", f"LPORT={port}"}
            if wanted <= fields and "PROTOCOL=17" not in fields:
                yield fields
