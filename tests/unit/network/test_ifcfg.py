"""ifcfg files of Red Hat's systems: initscripts' sysconfig.txt, and NetworkManager's plugin."""

from __future__ import annotations

import pytest

from tests.unit.network.guests import NETWORKMANAGER, SYSTEMD, Files, converted, link, program

DIRECTORY = "/etc/sysconfig/network-scripts"
OURS = f"{DIRECTORY}/ifcfg-eth0"
HEAD_ANY = "# DHCP on whatever network card this machine has (put in by converter).\n"
ANY_CARD = f"{HEAD_ANY}NAME=any-card\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\n"
FIRST_CARD = (
    "# DHCP on the first network card (put in by converter).\n"
    "DEVICE=eth0\nTYPE=Ethernet\nBOOTPROTO=dhcp\nONBOOT=yes\n"
)
STATIC = (
    'TYPE="Ethernet"\nBOOTPROTO="none"\nNAME="ens192"\nDEVICE="ens192"\nONBOOT="yes"\n'
    "HWADDR=00:50:56:9A:12:34\nIPADDR=10.0.0.5\nPREFIX=24\nGATEWAY=10.0.0.1\nDNS1=10.0.0.2\n"
)
EL8: Files = {**NETWORKMANAGER, f"{DIRECTORY}/ifcfg-ens192": STATIC}
SCRIPT: Files = {
    "/etc/rc.d/init.d/network": program(),
    "/etc/rc.d/rc3.d/S10network": link("../init.d/network"),
    "/etc/rc3.d": link("rc.d/rc3.d"),
    f"{DIRECTORY}/ifup-eth": program(),
    "/sbin/dhclient": program(),
}


def test_networkmanager_takes_a_file_without_a_device_for_any_card() -> None:
    done = converted(EL8)
    assert done.text(f"{DIRECTORY}/ifcfg-ens192") == ANY_CARD
    assert not done.has(OURS)
    assert done.findings == ()
    assert not done.has("/etc/systemd/network/99-default.link")
    assert not done.has("/etc/NetworkManager/conf.d/zz-converter-unmanaged.conf")


KEYFILE = "/etc/NetworkManager/system-connections/ens192.nmconnection"
PROFILE = (
    "[connection]\nid=ens192\ntype=ethernet\ninterface-name=ens192\n"
    "[ipv4]\naddress1=10.0.0.5/24,10.0.0.1\nmethod=manual\n"
)


@pytest.mark.parametrize(
    "more",
    [
        {"/etc/NetworkManager/NetworkManager.conf": "[main]\nplugins=keyfile\n"},
        {"/usr/lib64/NetworkManager/1.52.0/libnm-device-plugin-wifi.so": program()},
    ],
)
def test_files_that_networkmanager_does_not_read_are_left_to_nobody(more: Files) -> None:
    done = converted({**EL8, KEYFILE: PROFILE, **more})
    assert "10.0.0.5" not in done.text(KEYFILE)
    assert done.text(f"{DIRECTORY}/ifcfg-ens192") == STATIC


def test_open_vswitch() -> None:
    files = {
        "br-ex": "DEVICETYPE=ovs\nTYPE=OVSBridge\nIPADDR=10.0.0.5\nGATEWAY=10.0.0.1\n",
        "eth0": "DEVICE=eth0\nDEVICETYPE=ovs\nTYPE=OVSPort\nOVS_BRIDGE=br-ex\n",
        "int": "DEVICETYPE=ovs\nTYPE=OVSIntPort\nOVS_BRIDGE=br-ex\nIPADDR=10.5.0.5\n",
        "br-int": "DEVICE=br-int\nDEVICETYPE=ovs\nTYPE=OVSBridge\nIPADDR=10.9.0.1\n",
    }
    done = converted(
        {**SYSTEMD, **SCRIPT, **{f"{DIRECTORY}/ifcfg-{n}": t for n, t in files.items()}}
    )
    left = {name for name in done.guest.list(DIRECTORY) if name.startswith("ifcfg-")}
    assert left == {"ifcfg-eth0", "ifcfg-br-int"}
    assert done.text(OURS) == FIRST_CARD
    said = done.message("network-link-disabled")
    assert "br-ex (bridge of eth0, 10.0.0.5)" in said
    assert "int (vlan of br-ex, 10.5.0.5)" in said


@pytest.mark.parametrize("also", [{}, NETWORKMANAGER])
def test_the_network_script_needs_the_name_eth0(also: Files) -> None:
    done = converted({**SYSTEMD, **also, **SCRIPT, f"{DIRECTORY}/ifcfg-ens192": STATIC})
    assert done.text(OURS) == FIRST_CARD
    assert done.is_masked("/etc/systemd/network/99-default.link")
    assert done.errors == []


def test_el_7_names_cards_by_a_rule() -> None:
    rule = "/usr/lib/udev/rules.d/80-net-name-slot.rules"
    done = converted({**SCRIPT, rule: "x", f"{DIRECTORY}/ifcfg-ens192": STATIC})
    assert done.is_masked("/etc/udev/rules.d/80-net-name-slot.rules")


def test_el_6_names_cards_by_the_kernel() -> None:
    done = converted(
        {
            **SCRIPT,
            f"{DIRECTORY}/ifcfg-eth0": STATIC.replace("ens192", "eth0"),
            "/etc/udev/rules.d/70-persistent-net.rules": (
                'SUBSYSTEM=="net", ACTION=="add", ATTR{address}=="00:50:56:9a:12:34",'
                ' ATTR{type}=="1", KERNEL=="eth*", NAME="eth0"\n'
            ),
            "/lib/udev/rules.d/75-persistent-net-generator.rules": "x",
            "/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=web\nGATEWAY=10.0.0.1\n",
        }
    )
    assert done.text(OURS) == FIRST_CARD
    assert not done.has("/etc/udev/rules.d/70-persistent-net.rules")
    settings = done.text("/etc/sysconfig/network")
    assert settings.startswith("NETWORKING=yes\nHOSTNAME=web\n")
    assert "10.0.0.1" not in settings


def test_networking_is_turned_on() -> None:
    done = converted({**SCRIPT, OURS: STATIC, "/etc/sysconfig/network": "NETWORKING=no\n"})
    assert done.text("/etc/sysconfig/network") == "NETWORKING=yes\n"


def test_a_file_that_does_not_say_no_is_left_as_it_is() -> None:
    done = converted({**SCRIPT, OURS: STATIC, "/etc/sysconfig/network": "# Created by anaconda\n"})
    assert done.text("/etc/sysconfig/network") == "# Created by anaconda\n"
    assert converted({**SCRIPT, OURS: STATIC}).text("/etc/sysconfig/network") == "NETWORKING=yes\n"


def test_without_dhclient_the_package_is_named() -> None:
    files = {**SCRIPT, OURS: STATIC}
    del files["/sbin/dhclient"]
    done = converted(files)
    assert done.errors == ["dhcp-client-missing"]
    assert "dhclient" in done.findings[0].hint


def test_routes_rules_aliases_and_legacy_routes_go() -> None:
    files = {
        f"{DIRECTORY}/{name}": "10.1.0.0/16 via 10.0.0.254\n"
        for name in ("route-ens192", "route6-ens192", "rule-ens192")
    }
    done = converted(
        {
            **EL8,
            **files,
            f"{DIRECTORY}/ifcfg-ens192:1": "DEVICE=ens192:1\nIPADDR=10.0.0.6\n",
            f"{DIRECTORY}/ifcfg-ens192-range0": "IPADDR_START=10.0.0.7\nIPADDR_END=10.0.0.9\n",
            "/etc/sysconfig/static-routes": "any net 10.2.0.0/16 gw 10.0.0.254\n",
            f"{DIRECTORY}/ifcfg-lo": "DEVICE=lo\nIPADDR=127.0.0.1\n",
            f"{DIRECTORY}/ifcfg-ens192.bak": STATIC,
        }
    )
    left = {name for name in done.guest.list(DIRECTORY) if not name.startswith(".")}
    assert left == {"ifcfg-ens192", "ifcfg-lo", "ifcfg-ens192.bak"}
    assert not done.has("/etc/sysconfig/static-routes")


def test_bonds_bridges_teams_and_vlans_go_and_others_stay() -> None:
    files = {
        "ens1": "DEVICE=ens1\nMASTER=bond0\nSLAVE=yes\nONBOOT=yes\nBOOTPROTO=none\n",
        "ens2": "DEVICE=ens2\nMASTER='bond0'\nSLAVE=yes\nONBOOT=yes\n",
        "bond0": 'DEVICE=bond0\nBONDING_OPTS="mode=4 miimon=100"\nBRIDGE=br0\n',
        "br0": "DEVICE=br0\nTYPE=Bridge\nIPADDR=10.0.0.5\nGATEWAY=10.0.0.1\n",
        "bond0.7": "DEVICE=bond0.7\nVLAN=yes\nIPADDR=10.7.0.5\n",
        "vlan9": "DEVICE=vlan9\nPHYSDEV=bond0\nVLAN=yes\n",
        "br-lxc": "DEVICE=br-lxc\nTYPE=Bridge\nIPADDR=10.3.0.1\n",
        "home": "TYPE=Wireless\nESSID=home\nNAME=home\n",
        "tun0": "DEVICE=tun0\nIPADDR=10.8.0.1\n",
    }
    done = converted({**NETWORKMANAGER, **{f"{DIRECTORY}/ifcfg-{n}": t for n, t in files.items()}})
    left = {name for name in done.guest.list(DIRECTORY) if not name.startswith(".")}
    assert left == {"ifcfg-eth0", "ifcfg-br-lxc", "ifcfg-home", "ifcfg-tun0"}
    said = done.message("network-link-disabled")
    assert "bond0 (bond of ens1, ens2)" in said
    assert "br0 (bridge of bond0, 10.0.0.5)" in said
    assert "bond0.7 (vlan of bond0, 10.7.0.5)" in said


def test_a_newer_networkmanager_does_not_read_them() -> None:
    plugin = "/usr/lib64/NetworkManager/1.52.0-1.el10/libnm-device-plugin-team.so"
    done = converted({**EL8, plugin: program()})
    assert done.text(f"{DIRECTORY}/ifcfg-ens192") == STATIC
    done = converted({**EL8, plugin.replace("device-plugin-team", "settings-plugin-ifcfg-rh"): ""})
    assert done.text(f"{DIRECTORY}/ifcfg-ens192") == ANY_CARD


def test_a_keyfile_with_the_gateway_wins_over_ifcfg_files() -> None:
    profile = "/etc/NetworkManager/system-connections/ens192.nmconnection"
    done = converted(
        {
            **NETWORKMANAGER,
            f"{DIRECTORY}/ifcfg-eth0": "DEVICE=eth0\nONBOOT=yes\nBOOTPROTO=dhcp\n",
            profile: (
                "[connection]\nid=x\ntype=ethernet\n[ipv4]\nmethod=manual\n"
                "address1=10.0.0.5/24,10.0.0.1\n"
            ),
        }
    )
    assert "multi-connect=3" in done.text(profile)
    assert not done.has(OURS)


def test_an_ifcfg_file_with_the_gateway_wins_over_keyfiles() -> None:
    profile = "/etc/NetworkManager/system-connections/ens224.nmconnection"
    done = converted(
        {
            **EL8,
            profile: "[connection]\nid=x\ntype=ethernet\n[ipv4]\naddress1=10.9.0.5/24\n",
        }
    )
    assert done.text(f"{DIRECTORY}/ifcfg-ens192") == ANY_CARD
    assert not done.has(profile)
    assert not done.has("/etc/NetworkManager/conf.d/zz-converter-unmanaged.conf")
    assert "x (10.9.0.5/24), as networkmanager" in done.message("network-link-disabled")


def test_the_script_of_el_that_is_not_started_is_an_error() -> None:
    files = {**SCRIPT, OURS: STATIC, "/etc/rc.d/rc3.d/K90network": link("../init.d/network")}
    del files["/etc/rc.d/rc3.d/S10network"]
    assert converted(files).errors == ["network-service-disabled"]
