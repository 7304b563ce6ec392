from __future__ import annotations

import pytest

from converter.formats.registry import Value, binary, dword, expand_sz, multi_sz, sz
from converter.steps.windows import network
from tests.unit.steps.windows.planning import done
from tests.unit.windows_samples import ADAPTER, CURRENT, SYSTEM, both, hive_of, put, server

KEY = rf"{CURRENT}\{ADAPTER}"
CLIENT = r"Services\Dhcp"


def test_dhcp_instead_of_an_address() -> None:
    plan, machine = done(server(), network.STEP)
    hive = hive_of(machine, SYSTEM)
    for name in (CURRENT, "ControlSet002"):
        assert hive.values(rf"{name}\{ADAPTER}") == {"EnableDHCP": dword(1), "NameServer": sz("")}
    assert {change.code for change in plan.changes} == {"network-dhcp"}


def test_what_has_dhcp_stays() -> None:
    made = server()
    for name in (CURRENT, "ControlSet002"):
        made.system.delete_key(rf"{name}\{ADAPTER}")
        values = {"EnableDHCP": dword(1), "NameServer": sz(""), "DhcpIPAddress": sz("192.0.2.7")}
        put(made.system, {rf"{name}\{ADAPTER}": values})
    plan, _ = done(made, network.STEP)
    assert plan.changes == ()


@pytest.mark.parametrize("value", [dword(0), dword(7), sz("0"), binary(b"")])
def test_a_value_that_is_none(value: Value) -> None:
    made = server()
    both(made, ADAPTER, EnableDHCP=value, IPAddress=value, NameServer=value)
    _, machine = done(made, network.STEP)
    found = hive_of(machine, SYSTEM).values(KEY)
    assert found["EnableDHCP"] == dword(1)
    assert "IPAddress" not in found


def test_an_adapter_without_the_switch() -> None:
    made = server()
    both(made, ADAPTER, EnableDHCP=None)
    _, machine = done(made, network.STEP)
    assert hive_of(machine, SYSTEM).value(KEY, "EnableDHCP") == dword(1)


def test_name_servers_without_an_address() -> None:
    """A card that has DHCP, and servers that are not on EC2's network."""
    made = server()
    made.system.delete_key(KEY)
    put(made.system, {KEY: {"EnableDHCP": dword(1), "NameServer": expand_sz("192.0.2.53")}})
    _, machine = done(made, network.STEP)
    assert hive_of(machine, SYSTEM).value(KEY, "NameServer") == sz("")


def test_what_has_no_settings_gets_none() -> None:
    made = server()
    key = rf"{CURRENT}\Services\Tcpip\Parameters\Interfaces\{{other}}"
    put(made.system, {key: {"Lease": multi_sz("x")}})
    _, machine = done(made, network.STEP)
    assert hive_of(machine, SYSTEM).values(key) == {"Lease": multi_sz("x")}


@pytest.mark.parametrize(
    ("start", "expected"),
    [(4, dword(2)), (3, dword(2)), (2, dword(2)), (1, dword(1)), (None, None)],
)
def test_the_client_starts(start: int | None, expected: Value | None) -> None:
    made = server()
    both(made, CLIENT, Start=None if start is None else dword(start))
    _, machine = done(made, network.STEP)
    assert hive_of(machine, SYSTEM).value(rf"{CURRENT}\{CLIENT}", "Start") == expected


def test_no_client_and_no_adapters() -> None:
    made = server()
    for name in (CURRENT, "ControlSet002"):
        made.system.delete_key(rf"{name}\Services\Tcpip")
        made.system.delete_key(rf"{name}\{CLIENT}")
    plan, _ = done(made, network.STEP)
    assert plan.changes == ()


def test_name_servers_of_ipv6_in_every_control_set() -> None:
    made = server()
    key = r"Services\Tcpip6\Parameters\Interfaces\{other}"
    both(made, key, NameServer=sz("2001:db8::53"), Dhcpv6State=dword(0))
    _, machine = done(made, network.STEP)
    for name in (CURRENT, "ControlSet002"):
        found = hive_of(machine, SYSTEM).values(rf"{name}\{key}")
        assert found == {"NameServer": sz(""), "Dhcpv6State": dword(0)}


@pytest.mark.parametrize("value", [None, sz(""), dword(1)])
def test_ipv6_without_name_servers(value: Value | None) -> None:
    made = server()
    both(made, r"Services\Tcpip6\Parameters\Interfaces\{other}", NameServer=value, Any=dword(0))
    plan, _ = done(made, network.STEP)
    assert not any("Tcpip6" in change.key for change in plan.changes if hasattr(change, "key"))


def test_remote_desktop_listens_on_every_card() -> None:
    made = server()
    key = r"Control\Terminal Server\WinStations\RDP-Tcp"
    both(made, key, LanAdapter=dword(1))
    _, machine = done(made, network.STEP)
    assert hive_of(machine, SYSTEM).value(rf"{CURRENT}\{key}", "LanAdapter") == dword(0)
