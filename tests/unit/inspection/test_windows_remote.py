from __future__ import annotations

import pytest

from converter.formats.registry import Hive, Value, binary, dword, qword, sz
from converter.formats.registry_new import empty
from converter.inspection.windows_remote import remote_desktop
from tests.unit.windows_samples import CURRENT, FIREWALL, change, control_set, put

TERMINAL = rf"{CURRENT}\Control\Terminal Server"
SERVICE = rf"{CURRENT}\Services\TermService"
RULES = rf"{CURRENT}\{FIREWALL}\FirewallRules"
PUBLIC = rf"{CURRENT}\{FIREWALL}\PublicProfile"
POLICY = r"Policies\Microsoft\Windows NT\Terminal Services"
WALL = r"Policies\Microsoft\WindowsFirewall"
RULE = "v2.30|Action=Allow|Active=TRUE|Dir=In|Protocol=6|LPort=3389|Name=@x|"


@pytest.fixture
def system() -> Hive:
    hive = Hive(empty())
    put(hive, {rf"{CURRENT}\{key}": values for key, values in control_set().items()})
    return hive


@pytest.fixture
def software() -> Hive:
    return Hive(empty())


def test_it_can_be_reached(system: Hive, software: Hive) -> None:
    assert remote_desktop(software, system, CURRENT) == ""


@pytest.mark.parametrize(
    ("own", "policy", "is_off"),
    [
        (dword(1), None, True),
        (dword(0), None, False),
        (None, None, False),
        (dword(0), dword(1), True),
        (dword(1), dword(0), False),
        (sz("1"), None, False),
        (qword(1), None, True),
        (dword(1), binary(b"\0"), True),
    ],
)
def test_the_switch(
    system: Hive, software: Hive, own: Value | None, policy: Value | None, *, is_off: bool
) -> None:
    change(system, TERMINAL, fDenyTSConnections=own)
    change(software, POLICY, fDenyTSConnections=policy)
    assert ("switched off" in remote_desktop(software, system, CURRENT)) is is_off


@pytest.mark.parametrize(
    ("start", "is_off"), [(dword(4), True), (None, True), (sz("2"), True), (dword(2), False)]
)
def test_the_service(system: Hive, software: Hive, start: Value | None, *, is_off: bool) -> None:
    change(system, SERVICE, Start=start)
    assert ("TermService" in remote_desktop(software, system, CURRENT)) is is_off


@pytest.mark.parametrize(
    ("rule", "is_open"),
    [
        (sz(RULE), True),
        (sz(RULE.lower()), True),
        (sz(RULE.replace("TRUE", "FALSE")), False),
        (sz(RULE.replace("Allow", "Block")), False),
        (sz(RULE.replace("Dir=In", "Dir=Out")), False),
        (sz(RULE.replace("3389", "33890")), False),
        (sz(RULE.replace("Protocol=6", "Protocol=17")), False),
        (sz(""), False),
        (dword(3389), False),
        (binary(b"\xff"), False),
        (None, False),
    ],
)
class TestTheFirewall:
    def test_its_own_rules(
        self, system: Hive, software: Hive, rule: Value | None, *, is_open: bool
    ) -> None:
        change(system, RULES, **{"RemoteDesktop-UserMode-In-TCP": rule})
        found = remote_desktop(software, system, CURRENT)
        assert ("3389 (profiles: PublicProfile)" in found) is not is_open

    def test_those_of_a_policy(
        self, system: Hive, software: Hive, rule: Value | None, *, is_open: bool
    ) -> None:
        change(system, RULES, **{"RemoteDesktop-UserMode-In-TCP": None})
        change(software, rf"{WALL}\FirewallRules", any=rule)
        assert (remote_desktop(software, system, CURRENT) == "") is is_open


@pytest.mark.parametrize(
    ("port", "open_port", "said"),
    [
        (dword(4000), 3389, "port 4000 "),
        (dword(4000), 4000, ""),
        (dword(3389), 4000, "port 3389 "),
        (None, 3389, ""),
        (sz("4000"), 3389, ""),
        (dword(0), 3389, ""),
    ],
)
def test_the_port_that_it_listens_on(
    system: Hive, software: Hive, port: Value | None, open_port: int, said: str
) -> None:
    change(system, rf"{TERMINAL}\WinStations\RDP-Tcp", PortNumber=port)
    rule = RULE.replace("3389", str(open_port))
    change(system, RULES, **{"RemoteDesktop-UserMode-In-TCP": sz(rule)})
    found = remote_desktop(software, system, CURRENT)
    assert said in found
    assert bool(found) is bool(said)


@pytest.mark.parametrize(
    ("own", "policy", "is_closed"),
    [
        (dword(1), None, True),
        (dword(0), None, False),
        (None, None, False),
        (dword(0), dword(1), True),
        (dword(1), dword(0), False),
        (dword(0), sz("1"), False),
    ],
)
def test_a_firewall_that_is_off(
    system: Hive, software: Hive, own: Value | None, policy: Value | None, *, is_closed: bool
) -> None:
    system.delete_key(RULES)
    change(system, PUBLIC, EnableFirewall=own)
    change(software, rf"{WALL}\PublicProfile", EnableFirewall=policy)
    assert ("firewall" in remote_desktop(software, system, CURRENT)) is is_closed
