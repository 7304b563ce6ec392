"""Files of network stacks: each in a guest that has the stack, found and turned to DHCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.formats import ini as ini_codec
from converter.formats import interfaces as interfaces_codec
from converter.formats import yaml_tree
from converter.guest.memory import MemoryGuest
from converter.guest.replay import replay
from tests.fuzz import seeds
from tests.fuzz.target import of_text
from tests.unit.network import (
    test_ifcfg,
    test_ifupdown,
    test_netplan,
    test_networkd,
    test_networkmanager,
    test_suse,
)
from tests.unit.network.guests import IFUPDOWN, NETWORKD, NETWORKMANAGER, plan_of

if TYPE_CHECKING:
    from converter.model import Plan
    from tests.unit.network.guests import Files


@of_text(
    seeds.guests(
        "/etc/network/interfaces",
        more=[
            test_ifupdown.LO + test_ifupdown.STATIC,
            "source-directory x\n mapping e*\n script a\n",
        ],
    )
)
def interfaces(text: str) -> None:
    file = interfaces_codec.parse(text)
    assert str(file) == text
    assert file.allowed is not None
    rest = interfaces_codec.parse(str(file.only({"lo"})))
    assert str(rest.only({"lo"})) == str(rest)


@of_text(
    seeds.guests(
        "*.network", "*.netdev", "*.link", "*.nmconnection", "*.service", "*/NetworkManager.conf",
        more=[test_networkd.STATIC, test_networkmanager.STATIC],
    )
)  # fmt: skip
def ini(text: str) -> None:
    file = ini_codec.parse(text)
    for section, key, _ in file.assignments[-16:]:  # each question has all of them looked at
        file.get_all(section, key)
    written = ini_codec.with_value(text, "Network", "DHCP", "no")
    assert ini_codec.with_value(written, "Network", "DHCP", "no") == written
    assert len(ini_codec.parse(written).assignments) == len(file.assignments)


@of_text(seeds.guests("*.yaml", "*/cloud.cfg", "*/cloud.cfg.d/*", more=[test_netplan.STATIC]))
def yaml(text: str) -> None:
    tree = yaml_tree.parse(text)
    yaml_tree.mapping(tree, "network", "ethernets")
    yaml_tree.words(tree, "network", "version")
    assert yaml_tree.parse(yaml_tree.dump(tree)) == tree


def _planned(files: Files, path: str, text: str) -> tuple[MemoryGuest, Plan]:
    guest = MemoryGuest({**files, path: text.encode("utf-8", "surrogateescape")})
    return guest, plan_of(guest)


def _converted(planned: tuple[MemoryGuest, Plan]) -> None:
    """Do the conversion; then there must be nothing left to be done."""
    guest, plan = planned
    replay(plan, guest, progress=lambda _fraction: None)
    assert plan_of(guest).changes == ()


@of_text(seeds.guests("*.yaml", more=[test_netplan.STATIC]), then=_converted)
def netplan(text: str) -> object:
    return _planned(test_netplan.NETPLAN, "/etc/netplan/50-cloud-init.yaml", text)


@of_text(
    seeds.guests("/etc/network/interfaces", more=[test_ifupdown.LO + test_ifupdown.STATIC]),
    then=_converted,
)
def ifupdown(text: str) -> object:
    return _planned(IFUPDOWN, test_ifupdown.MAIN, text)


@of_text(seeds.guests("*/network-scripts/ifcfg-*", more=[test_ifcfg.STATIC]), then=_converted)
def ifcfg(text: str) -> object:
    return _planned(NETWORKMANAGER, f"{test_ifcfg.DIRECTORY}/ifcfg-ens192", text)


@of_text(seeds.guests("/etc/sysconfig/network/ifcfg-*", more=[test_suse.STATIC]), then=_converted)
def ifcfg_suse(text: str) -> object:
    return _planned(test_suse.WICKED, f"{test_suse.DIRECTORY}/ifcfg-eth1", text)


@of_text(seeds.guests("*.network", more=[test_networkd.STATIC]), then=_converted)
def networkd(text: str) -> object:
    return _planned(NETWORKD, f"{test_networkd.ETC}/10-x.network", text)


@of_text(
    seeds.guests("*.nmconnection", "*/system-connections/*", more=[test_networkmanager.STATIC]),
    then=_converted,
)
def networkmanager(text: str) -> object:
    return _planned(NETWORKMANAGER, f"{test_networkmanager.ETC}/x.nmconnection", text)
