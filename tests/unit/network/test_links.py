"""Which links need a card, and which stack had the default route."""

from __future__ import annotations

import pytest

from converter.model import LinkKind, NetworkLink
from converter.network import links
from converter.network.stack import choose

CARD = NetworkLink("ens1", addresses=("10.0.0.5/24",))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ens192", LinkKind.ETHERNET),
        ("eth0", LinkKind.ETHERNET),
        ("enX0", LinkKind.ETHERNET),
        ("lan0", LinkKind.ETHERNET),
        ("eth0.5", LinkKind.VLAN),
        ("wlp2s0", LinkKind.WIRELESS),
        ("bond1", LinkKind.BOND),
        ("br0", LinkKind.BRIDGE),
        ("br-1a2b", LinkKind.OTHER),
        ("docker0", LinkKind.OTHER),
        ("lo", LinkKind.OTHER),
        ("tun*", LinkKind.OTHER),
    ],
)
def test_a_name_tells_what_a_link_is(name: str, kind: LinkKind) -> None:
    assert links.kind_of_name(name) is kind


def test_what_is_made_of_cards_needs_them() -> None:
    made = (
        NetworkLink("br0", LinkKind.BRIDGE, lower=("bond0",)),
        NetworkLink("bond0", LinkKind.BOND, lower=("ens1",)),
        NetworkLink("v7", LinkKind.VLAN, lower=("elsewhere",)),
        NetworkLink("lxc", LinkKind.BRIDGE),
        NetworkLink("v8", LinkKind.VLAN, lower=("lxc",)),
        NetworkLink("wg0", LinkKind.OTHER),
        NetworkLink("wlan0", LinkKind.WIRELESS),
    )
    assert [link.name for link in links.on_cards((*made, CARD))] == ["br0", "bond0", "v7", "ens1"]


def test_links_in_a_circle_are_no_harm() -> None:
    made = (
        NetworkLink("a", LinkKind.BRIDGE, lower=("b",)),
        NetworkLink("b", LinkKind.BRIDGE, lower=("a",)),
        NetworkLink("c", LinkKind.VLAN, lower=("c",)),
    )
    assert links.on_cards(made) == ()


def test_a_long_chain_takes_time_that_follows_its_length() -> None:
    chain = [NetworkLink(f"v{n}", LinkKind.VLAN, lower=(f"v{n + 1}",)) for n in range(20_000)]
    assert len(links.on_cards(chain)) == 20_000


def test_the_default_route_goes_over_a_gateway_before_dhcp() -> None:
    fixed = NetworkLink("ens1", addresses=("10.0.0.5",), gateway=True)
    dynamic = NetworkLink("ens2", dhcp=True)
    plain = NetworkLink("ens3", addresses=("10.0.0.6",))
    later = NetworkLink("ens4", addresses=("10.0.0.7",), gateway=True, automatic=False)
    assert links.primary(links.make_stack("x", (), (plain, dynamic, fixed, later))) == fixed
    assert links.primary(links.make_stack("x", (), (plain, dynamic))) == dynamic
    assert links.primary(links.make_stack("x", (), ())) is None


def test_the_stack_with_the_default_route_is_chosen() -> None:
    fixed = links.make_stack("fixed", (), (NetworkLink("e", addresses=("1",), gateway=True),))
    dynamic = links.make_stack("dynamic", (), (NetworkLink("e", dhcp=True),))
    default = links.make_stack("default", (), (), managed=True)
    nothing = links.make_stack("nothing", (), (NetworkLink("wg0", LinkKind.OTHER),))
    assert choose((nothing, default, dynamic, fixed)) == fixed
    assert choose((nothing, default, dynamic)) == dynamic
    assert choose((nothing, default)) == default
    assert choose((nothing,)) == nothing
    assert choose(()) is None
