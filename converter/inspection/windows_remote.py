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
    if closed and not rules:
        return f"the firewall lets nothing in to port {port} (profiles: {', '.join(closed)})"
    if _PUBLIC in closed and not any(_is_for_public(fields) for fields in rules):
        return f"the firewall lets nothing in to port {port} from public networks, as a new one is"
    return ""


def _is_for_public(fields: frozenset[str]) -> bool:
    """Tell whether a rule counts in a public network: it names no profile, or this one."""
    profiles = {field for field in fields if field.startswith("PROFILE=")}
    return not profiles or "PROFILE=PUBLIC" in profiles


def _closed_profiles(software: Reader, system: Reader, control_set: str) -> Iterator[str]:
    """Give the profiles in which the firewall is on: a new network is public, or a domain's."""
    for name in (_PUBLIC, "StandardProfile", "DomainProfile"):
        by_policy = number(software.value(rf"{_FIREWALL_POLICY}\{name}", "EnableFirewall"))
        own = number(system.value(rf"{control_set}\{_FIREWALL}\{name}", "EnableFirewall"))
        if own if by_policy is None else by_policy:
            yield name


def _rules(
    software: Reader, system: Reader, control_set: str, port: int
) -> Iterator[frozenset[str]]:
    """Give the rules that let somebody in to `port`, each by its fields in upper case."""
    for hive, key in (
        (system, rf"{control_set}\{_FIREWALL}\FirewallRules"),
        (software, rf"{_FIREWALL_POLICY}\FirewallRules"),
    ):
        for _, value in zip(range(_MOST_RULES), hive.values(key).values(), strict=False):
            fields = frozenset(field.upper() for field in text(value).split("|"))
            wanted = {"ACTIVE=TRUE", "DIR=IN", "ACTION=ALLOW", f"LPORT={port}"}
            if wanted <= fields and "PROTOCOL=17" not in fields:
                yield fields
