"""ifcfg files of SUSE's systems: ifcfg(5), routes(5), netconfig(8)."""

from __future__ import annotations

from tests.unit.network.guests import (
    NETWORKMANAGER,
    SYSTEMD,
    WANTS,
    Files,
    converted,
    link,
    program,
)

DIRECTORY = "/etc/sysconfig/network"
OURS = f"{DIRECTORY}/ifcfg-eth0"
FIRST_CARD = (
    "# DHCP on the first network card (put in by converter).\nBOOTPROTO='dhcp'\nSTARTMODE='auto'\n"
)
STATIC = "BOOTPROTO='static'\nIPADDR='10.0.0.5/24'\nSTARTMODE='auto'\nLLADDR='00:50:56:9a:12:34'\n"
UNIT = "/usr/lib/systemd/system/wicked.service"
WICKED: Files = {
    **SYSTEMD,
    "/usr/sbin/wicked": program(),
    UNIT: "[Unit]\n",
    f"{WANTS}/wicked.service": link(UNIT),
    "/etc/systemd/system/network.service": link(UNIT),
    f"{DIRECTORY}/ifcfg-lo": "IPADDR=127.0.0.1/8\n",
}


def test_wicked_gets_one_card_with_a_name_that_is_known() -> None:
    done = converted(
        {
            **WICKED,
            OURS: STATIC,
            f"{DIRECTORY}/ifcfg-eth1": STATIC.replace("10.0.0.5", "10.9.0.5"),
            f"{DIRECTORY}/routes": "default 10.0.0.1 - -\n",
            f"{DIRECTORY}/ifroute-eth1": "10.1.0.0/16 10.9.0.254 - -\n",
            f"{DIRECTORY}/ifcfg.template": "STARTMODE=off\n",
        }
    )
    assert done.text(OURS) == FIRST_CARD
    left = {name for name in done.guest.list(DIRECTORY) if not name.startswith(".")}
    assert left == {"ifcfg-eth0", "ifcfg-lo", "ifcfg.template"}
    assert done.is_masked("/etc/systemd/network/99-default.link")
    assert done.errors == []
    assert "eth1 (10.9.0.5/24), as wicked" in done.message("network-link-disabled")


def test_name_servers_come_from_dhcp() -> None:
    config = (
        'NETCONFIG_DNS_POLICY="STATIC"\nNETCONFIG_DNS_STATIC_SEARCHLIST="example.com"\n'
        'NETCONFIG_DNS_STATIC_SERVERS="10.0.0.2 10.0.0.3"\nMANDATORY_DEVICES="eth0"\n'
    )
    done = converted({**WICKED, OURS: STATIC, f"{DIRECTORY}/config": config})
    text = done.text(f"{DIRECTORY}/config")
    assert "10.0.0." not in text
    assert "example.com" in text
    assert 'STATIC"\n' not in text.replace("STATIC_SEARCHLIST", "")


def test_bonds_bridges_and_vlans_go_and_others_stay() -> None:
    files = {
        "eth0": "BOOTPROTO=none\nSTARTMODE=hotplug\n",
        "eth1": "BOOTPROTO=none\nSTARTMODE=hotplug\n",
        "bond0": "BONDING_MASTER=yes\nBONDING_SLAVE0=eth0\nBONDING_SLAVE_1='eth1'\n",
        "br0": "BRIDGE='yes'\nBRIDGE_PORTS='bond0'\nIPADDR=10.0.0.5/24\n",
        "vlan7": "ETHERDEVICE=bond0\nIPADDR_0=10.7.0.5/24\nSTARTMODE=auto\n",
        "lxcbr0": "BRIDGE=yes\nBRIDGE_PORTS=''\nIPADDR=10.3.0.1/24\n",
        "wlan0": "WIRELESS_ESSID=x\n",
        "tun0": "TUNNEL=tun\nIPADDR=10.8.0.1\n",
    }
    done = converted({**WICKED, **{f"{DIRECTORY}/ifcfg-{n}": t for n, t in files.items()}})
    left = {name for name in done.guest.list(DIRECTORY) if not name.startswith(".")}
    assert left == {"ifcfg-eth0", "ifcfg-lo", "ifcfg-lxcbr0", "ifcfg-wlan0", "ifcfg-tun0"}
    said = done.message("network-link-disabled")
    assert "bond0 (bond of eth0, eth1)" in said
    assert "br0 (bridge of bond0, 10.0.0.5/24)" in said
    assert "vlan7 (vlan of bond0, 10.7.0.5/24)" in said


def test_sle_11_is_started_by_its_script_and_needs_a_client() -> None:
    files: Files = {
        "/etc/init.d/network": program(),
        "/etc/init.d/rc3.d/S05network": link("../network"),
        "/sbin/ifup": program(),
        "/sbin/dhcpcd": program(),
        OURS: STATIC,
        "/etc/udev/rules.d/70-persistent-net.rules": (
            'SUBSYSTEM=="net", ATTR{address}=="00:50:56:9a:12:34", NAME="eth0"\n'
        ),
    }
    done = converted(files)
    assert done.text(OURS) == FIRST_CARD
    assert done.errors == []
    assert not done.has("/etc/udev/rules.d/70-persistent-net.rules")
    del files["/sbin/dhcpcd"]
    assert converted(files).errors == ["dhcp-client-missing"]


def test_networkmanager_takes_the_alias_when_it_is_used() -> None:
    alias = link("/usr/lib/systemd/system/NetworkManager.service")
    files = {**WICKED, **NETWORKMANAGER, OURS: STATIC, "/etc/systemd/system/network.service": alias}
    del files[f"{WANTS}/wicked.service"]
    done = converted(files)
    assert done.text(OURS) == STATIC
    assert done.plan.changes == ()
