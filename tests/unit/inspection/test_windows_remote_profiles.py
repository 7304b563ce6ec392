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
