"""Rules of the firewall that count in some networks only."""

from __future__ import annotations

import pytest

from converter.formats.registry import Hive, dword, sz
from converter.formats.registry_new import empty
from converter.inspection.windows_remote import remote_desktop

SET = "ControlSet001"
POLICY = rf"{SET}\Services\SharedAccess\Parameters\FirewallPolicy"
RULE = "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|"


@pytest.mark.parametrize(
    ("profiles", "public", "reached"),
    [
        ("", 1, True),
        ("Profile=Public|", 1, True),
        ("Profile=Domain|Profile=Private|Profile=Public|", 1, True),
        ("Profile=Domain|Profile=Private|", 1, False),
        ("Profile=Domain|Profile=Private|", 0, True),
    ],
)
def test_a_new_network_is_a_public_one(profiles: str, public: int, reached: bool) -> None:  # noqa: FBT001
    system = Hive(empty())
    system.set_value(rf"{SET}\Control\Terminal Server", "fDenyTSConnections", dword(0))
    system.set_value(rf"{SET}\Services\TermService", "Start", dword(3))
    system.set_value(rf"{POLICY}\PublicProfile", "EnableFirewall", dword(public))
    system.set_value(rf"{POLICY}\StandardProfile", "EnableFirewall", dword(1))
    system.set_value(rf"{POLICY}\FirewallRules", "RemoteDesktop-In-TCP", sz(RULE + profiles))
    assert (remote_desktop(Hive(empty()), system, SET) == "") is reached


def firewalled(*rules: str, profile: dict[str, int] | None = None) -> Hive:
    system = Hive(empty())
    system.set_value(rf"{SET}\Control\Terminal Server", "fDenyTSConnections", dword(0))
    system.set_value(rf"{SET}\Services\TermService", "Start", dword(3))
    for name, number in {"EnableFirewall": 1, **(profile or {})}.items():
        system.set_value(rf"{POLICY}\PublicProfile", name, dword(number))
    for number, rule in enumerate(rules):
        system.set_value(rf"{POLICY}\FirewallRules", str(number), sz(rule))
    return system


BLOCK = RULE.replace("Allow", "Block")


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ((RULE, BLOCK), "a rule of the firewall blocks port 3389"),
        ((RULE, f"{BLOCK}Profile=Domain|"), ""),
        ((RULE, f"{BLOCK}RA4=203.0.113.7|"), ""),
        ((f"{RULE}RA4=10.0.0.0/255.0.0.0|",), "only some addresses in to port 3389"),
        ((f"{RULE}RA4=LocalSubnet|RA6=LocalSubnet|",), "only some addresses in to port 3389"),
        ((f"{RULE}RA4=LocalSubnet|", RULE), ""),
    ],
)
def test_rules_for_some(rules: tuple[str, ...], said: str) -> None:
    found = remote_desktop(Hive(empty()), firewalled(*rules), SET)
    assert said in found
    assert bool(found) is bool(said)


def test_a_profile_without_exceptions() -> None:
    system = firewalled(RULE, profile={"DoNotAllowExceptions": 1})
    assert "nothing at all" in remote_desktop(Hive(empty()), system, SET)


@pytest.mark.parametrize("merges", [0, 1])
def test_a_policy_may_leave_the_machine_s_own_rules_out(merges: int) -> None:
    software = Hive(empty())
    key = r"Policies\Microsoft\WindowsFirewall\PublicProfile"
    software.set_value(key, "AllowLocalPolicyMerge", dword(merges))
    found = remote_desktop(software, firewalled(RULE), SET)
    assert bool(found) is not bool(merges)
    rules = r"Policies\Microsoft\WindowsFirewall\FirewallRules"
    software.set_value(rules, "RDP", sz(RULE))
    assert remote_desktop(software, firewalled(RULE), SET) == ""
