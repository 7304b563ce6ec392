"""ifupdown, by interfaces(5): one card with DHCP whatever it is called, and no other."""

from __future__ import annotations

import pytest

from tests.unit.network.guests import (
    IFUPDOWN,
    NETWORKD,
    NETWORKMANAGER,
    SYSTEMD,
    Files,
    converted,
    link,
    program,
    started,
)

MAIN = "/etc/network/interfaces"
LO = "auto lo\niface lo inet loopback\n"
STATIC = "auto ens192\niface ens192 inet static\n\taddress 10.20.30.40/24\n\tgateway 10.20.30.1\n"
ANY_CARD = (
    "# DHCP on whatever network card this machine has (put in by converter).\n"
    "allow-hotplug /e*\nmapping e*\n    script /etc/network/.converter-any-interface.sh\n"
    "iface primary inet dhcp\n"
)
FIRST_CARD = (
    "# DHCP on the first network card (put in by converter).\nauto eth0\niface eth0 inet dhcp\n"
)
OLD = {"/var/lib/dpkg/status": "Package: ifupdown\nStatus: x\nVersion: 0.8.19\n"}


def guest(text: str | bytes, **others: str) -> Files:
    return {**IFUPDOWN, MAIN: text, **others}


def test_a_static_card_becomes_dhcp_on_any_card() -> None:
    done = converted(guest(f"# head\n{LO}\n# the card\n{STATIC}"))
    assert done.text(MAIN) == f"# head\n{LO}\n# the card\n\n{ANY_CARD}"
    script = done.guest.lstat("/etc/network/.converter-any-interface.sh")
    assert script is not None
    assert script.mode == 0o755
    assert done.findings == ()
    assert "10.20.30.40" in done.text("/etc/network/.interfaces.converter-orig")


OPEN_VSWITCH = """\
allow-ovs br0
iface br0 inet static
    address 10.0.0.5/24
    gateway 10.0.0.1
    ovs_type OVSBridge
    ovs_ports {port} vlan50

allow-br0 {port}
iface {port} inet manual
    ovs_bridge br0
    ovs_type OVSPort

allow-br0 vlan50
iface vlan50 inet static
    ovs_type OVSIntPort
    ovs_bridge br0
    address 10.50.0.5/24

allow-ovs docker
iface docker inet static
    address 172.17.0.1/16
    ovs_type OVSBridge
"""


def test_open_vswitch() -> None:
    done = converted(guest(LO + OPEN_VSWITCH.format(port="ens18")))
    text = done.text(MAIN)
    assert "10.0.0." not in text
    assert "10.50.0." not in text
    assert "ens18" not in text
    assert "172.17.0.1" in text
    said = done.message("network-link-disabled")
    assert "br0 (bridge of ens18, vlan50, 10.0.0.5/24)" in said
    assert "vlan50 (vlan of br0, 10.50.0.5/24)" in said


@pytest.mark.parametrize("version", ["0.7.53.1", "0.8.10ubuntu1.4", "0.8.19", "0.6.10"])
def test_where_no_patterns_are_known_the_first_card_is_eth0(version: str) -> None:
    # Patterns came with 0.8.20 (its NEWS); Debian 9 and Ubuntu 16.04 have predictable names.
    status = f"Package: ifupdown\nArchitecture: amd64\nVersion: {version}\n\nPackage: x\n"
    done = converted(guest(LO + STATIC, **{"/var/lib/dpkg/status": status}))
    assert done.text(MAIN) == f"{LO}\n{FIRST_CARD}"
    assert done.is_masked("/etc/systemd/network/99-default.link")
    assert 'KERNEL=="en*", NAME="eth0"' in done.text(
        "/etc/udev/rules.d/70-converter-kernel-names.rules"
    )


@pytest.mark.parametrize("version", ["0.8.20", "0.8.35+b1", "0.8.44", "0.9", "1:0.8.41"])
def test_newer_ones_know_patterns(version: str) -> None:
    status = f"Package: aa\nVersion: 1\n\nPackage: ifupdown\nVersion: {version}\n"
    done = converted(guest(STATIC, **{"/var/lib/dpkg/status": status}))
    assert ANY_CARD in done.text(MAIN)
    assert not done.has("/etc/systemd/network/99-default.link")


def test_ifupdown2_knows_no_patterns() -> None:
    done = converted(guest(LO + STATIC, **{"/usr/share/ifupdown2/__main__.py": ""}))
    assert FIRST_CARD in done.text(MAIN)


def test_where_the_kernel_names_cards_nothing_is_masked() -> None:
    files = guest(STATIC, **OLD)
    del files["/usr/lib/systemd/network/99-default.link"]
    done = converted(files)
    assert not done.has("/etc/systemd/network/99-default.link")
    assert not done.has("/etc/udev/rules.d/70-converter-kernel-names.rules")


def test_the_loopback_keeps_its_addresses_and_commands() -> None:
    lo = (
        "auto lo lo:0\niface lo inet loopback\n\tpre-up iptables-restore < /etc/fw\n"
        "iface lo:0 inet static\n\taddress 10.1.1.1\n\tnetmask 255.255.255.255\n"
    )
    done = converted(guest(lo + STATIC))
    assert done.text(MAIN) == f"{lo}\n{ANY_CARD}"


def test_ipv6_goes_too() -> None:
    done = converted(guest(STATIC + "iface ens192 inet6 static\n\taddress 2001:db8::5/64\n"))
    assert "2001:db8" not in done.text(MAIN)
    assert done.findings == ()


def test_bonds_bridges_vlans_and_aliases_go_and_are_named() -> None:
    text = (
        "auto lo bond0 br0 br0.7\niface lo inet loopback\n"
        "iface eth0 inet manual\n\tbond-master bond0\n"
        "iface eth1 inet manual\n\tbond-master bond0\n"
        "iface bond0 inet manual\n\tbond-slaves none\n\tbond_mode 4\n"
        "iface br0 inet static\n\tbridge_ports bond0\n\taddress 10.0.0.5/24\n\tgateway 10.0.0.1\n"
        "iface br0.7 inet static\n\taddress 10.7.0.5/24\n"
        "iface br0:1 inet static\n\taddress 10.0.0.6/24\n"
        "iface vlan9 inet static\n\tvlan-raw-device bond0\n\taddress 10.9.0.5/24\n"
    )
    done = converted(guest(text))
    assert done.text(MAIN) == f"auto lo\niface lo inet loopback\n\n{ANY_CARD}"
    said = done.message("network-link-disabled")
    for part in ("bond0 (bond of eth0, eth1)", "br0 (bridge of bond0, 10.0.0.5/24)", "br0.7",
                 "br0:1", "vlan9 (vlan of bond0"):  # fmt: skip
        assert part in said


def test_a_second_card_is_named() -> None:
    done = converted(guest(STATIC + "auto ens224\niface ens224 inet static\n\taddress 10.9.9.9\n"))
    assert "ens224 (10.9.9.9)" in done.message("network-link-disabled")
    assert "ens192" not in done.message("network-link-disabled")


def test_what_needs_no_card_stays() -> None:
    text = (
        "auto lxcbr0 tun0 wlan0\n"
        "iface lxcbr0 inet static\n\tbridge_ports none\n\taddress 10.0.3.1/24\n"
        "iface tun0 inet static\n\taddress 10.8.0.1/24\n"
        "iface wlan0 inet dhcp\n\twpa-ssid x\n"
    )
    done = converted(guest(text + STATIC))
    assert done.text(MAIN).startswith(text)
    assert done.findings == ()


def test_a_template_of_something_that_stays_is_kept() -> None:
    text = (
        "iface common inet static\n\tmtu 1400\n"
        "iface dummy0 inet static inherits common\n\taddress 10.8.0.1/24\nauto dummy0\n"
    )
    done = converted(guest(text + STATIC))
    assert done.text(MAIN).startswith(text)


def test_mappings_renamings_and_lists_of_cards_go() -> None:
    text = (
        "rename mac/00:50:56:00:00:01=lan0\nauto lan0=home /eth*=lan\nno-scripts lan0\n"
        "mapping lan0\n\tscript /usr/local/bin/where\n\tmap a b\niface home inet dhcp\n"
        "iface lan inet dhcp\n"
    )
    done = converted(guest(LO + text))
    assert done.text(MAIN) == f"{LO}\n{ANY_CARD}"


def test_sourced_files_are_rewritten_wherever_they_are() -> None:
    others = {
        "/etc/network/interfaces.d/ens192.cfg": STATIC,
        "/etc/network/interfaces.d/.hidden": STATIC,
        "/etc/network/interfaces.d/deeper": "source more/x?\n",
        "/etc/network/interfaces.d/more/x1": STATIC.replace("ens192", "ens224"),
        "/etc/network/dir/good": STATIC.replace("ens192", "ens256"),
        "/etc/network/dir/not.good": STATIC.replace("ens192", "ens161"),
        "/srv/loop": f"source {MAIN} /srv/loop\n",
        "/srv/link": "",
    }
    files = guest(
        f"{LO}source /etc/network/interfaces.d/*\nsource-directory dir\n"
        f"source /srv/loop /srv/none /{'x' * 300} /{'y/' * 3000} /a\0b\n",
        **others,
    )
    done = converted({**files, "/etc/network/interfaces.d/same": link("ens192.cfg")})
    assert done.text("/etc/network/interfaces.d/ens192.cfg") == ""
    # A relative path begins at the file it is in, as of 0.7.44.
    assert done.text("/etc/network/interfaces.d/more/x1") == ""
    assert done.text("/etc/network/dir/good") == ""
    assert "10.20.30.40" in done.text("/etc/network/dir/not.good")
    assert "10.20.30.40" in done.text("/etc/network/interfaces.d/.hidden")
    assert ANY_CARD in done.text(MAIN)


@pytest.mark.parametrize("source", ["source-directory .", "source *", "source /etc/n*/*"])
def test_our_script_is_not_read_as_stanzas(source: str) -> None:
    done = converted(guest(f"{STATIC}{source}\n"))
    assert done.text("/etc/network/.converter-any-interface.sh").startswith("#!/bin/sh\n")


def test_links_that_lead_in_a_circle_are_passed_over() -> None:
    files = guest(f"source /etc/network/interfaces.d/*\n{STATIC}")
    done = converted(
        {
            **files,
            "/etc/network/interfaces.d/a": link("b"),
            "/etc/network/interfaces.d/b": link("a"),
        }
    )
    assert ANY_CARD in done.text(MAIN)


def test_bytes_that_are_no_utf8_survive() -> None:
    done = converted(guest(b"# caf\xe9\n" + STATIC.encode()))
    assert done.guest.read(MAIN).startswith(b"# caf\xe9\n")


def test_commands_that_ran_with_a_card_are_named() -> None:
    hooks = "\tpre-up iptables-restore \\\n\t  < /etc/iptables.rules\n\tpost-up /srv/notify\n"
    done = converted(guest(LO + STATIC + hooks))
    said = done.message("network-hook-dropped")
    assert "iptables-restore < /etc/iptables.rules; /srv/notify" in said


@pytest.mark.parametrize("client", ["dhclient", "dhcpcd", "udhcpc", "pump", "dhclient3"])
def test_any_client_will_do(client: str) -> None:
    files = guest(STATIC)
    del files["/sbin/dhclient"]
    assert converted({**files, f"/usr/sbin/{client}": program()}).errors == []


def test_without_a_client_the_package_is_named() -> None:
    files = guest(STATIC)
    del files["/sbin/dhclient"]
    done = converted(files)
    assert done.errors == ["dhcp-client-missing"]
    assert "isc-dhcp-client" in done.findings[0].hint


@pytest.mark.parametrize(
    "disabled", [link("/bin/true"), link("/nowhere"), "not executable", link("dhclient")]
)
def test_a_client_that_cannot_be_run_is_none(disabled: object) -> None:
    files = {**guest(STATIC), "/bin/true": program(), "/sbin/dhclient": disabled}
    assert converted(files).errors == ["dhcp-client-missing"]  # type: ignore[arg-type]


def test_ifupdown_that_is_not_started_configures_nothing() -> None:
    files = {**guest(LO + STATIC), **NETWORKD}
    del files["/etc/systemd/system/multi-user.target.wants/networking.service"]
    done = converted(files)
    assert done.text(MAIN) == LO + STATIC
    assert "DHCP=yes" in done.text("/etc/systemd/network/10-converter-dhcp.network")


def test_a_masked_service_is_an_error_that_names_it() -> None:
    files = {**guest(LO + STATIC), "/etc/systemd/system/networking.service": link("/dev/null")}
    done = converted(files)
    assert done.errors == ["network-service-disabled"]
    assert "networking.service" in done.message("network-service-disabled")


def test_hotplugged_cards_need_no_service() -> None:
    files = guest(LO + STATIC.replace("auto", "allow-hotplug"))
    del files["/etc/systemd/system/multi-user.target.wants/networking.service"]
    done = converted({**files, "/lib/udev/rules.d/80-ifupdown.rules": "x"})
    assert ANY_CARD in done.text(MAIN)


@pytest.mark.parametrize(
    "start",
    [
        {"/etc/rcS.d/S10networking": link("../init.d/networking")},
        {"/etc/init/networking.conf": "start on runlevel [2345]\n"},
    ],
)
def test_older_inits_start_it_too(start: Files) -> None:
    files: Files = {
        MAIN: LO + STATIC.replace("ens192", "eth0"),
        "/sbin/ifup": program(),
        "/sbin/dhclient": program(),
        "/etc/init.d/networking": program(),
        **OLD,
        **start,
    }
    assert converted(files).text(MAIN) == f"{LO}\n{FIRST_CARD}"


def test_a_guest_without_cards_gets_one() -> None:
    assert converted(guest(LO)).text(MAIN) == f"{LO}\n{ANY_CARD}"
    assert converted(dict(IFUPDOWN)).text(MAIN) == ANY_CARD


def test_nothing_waits_for_a_card_of_the_source() -> None:
    defaults = (
        "#WAIT_ONLINE_METHOD=ifup\nEXCLUDE_INTERFACES=eth*\nWAIT_ONLINE_IFACE=ens192\n"
        "WAIT_ONLINE_METHOD=ping\nWAIT_ONLINE_ADDRESS=10.20.30.1\nVERBOSE=no\n"
    )
    done = converted(guest(STATIC, **{"/etc/default/networking": defaults}))
    text = done.text("/etc/default/networking")
    assert "ens192" not in text
    assert "eth*" not in text
    assert "WAIT_ONLINE_METHOD=ifup\n" in text
    assert "VERBOSE=no\n" in text


def test_switched_off_in_its_defaults_it_configures_nothing() -> None:
    files = {
        **guest(STATIC, **{"/etc/default/networking": "CONFIGURE_INTERFACES=no\n"}),
        **NETWORKD,
    }
    assert converted(files).text(MAIN) == STATIC


def test_a_card_of_networkd_wins_over_none_of_ifupdown() -> None:
    files = {
        **guest(LO),
        **NETWORKD,
        "/etc/systemd/network/a.network": "[Match]\nName=en*\n[Network]\nDHCP=yes\n",
    }
    done = converted(files)
    assert done.text(MAIN) == LO


def test_networkd_lets_the_card_go_where_ifupdown_has_the_gateway() -> None:
    wait = "systemd-networkd-wait-online.service"
    files = {
        **guest(LO + STATIC),
        **NETWORKD,
        **started(wait),
        "/etc/systemd/network/a.network": "[Match]\nName=ens224\n[Network]\nAddress=10.9.0.1/24\n",
    }
    done = converted(files)
    assert ANY_CARD in done.text(MAIN)
    assert not done.has("/etc/systemd/network/a.network")
    # With no card of its own networkd would be waited for until the time is up.
    assert not done.has(f"/etc/systemd/system/multi-user.target.wants/{wait}")
    assert "ens224 (10.9.0.1/24), as networkd" in done.message("network-link-disabled")


def test_a_guest_without_systemd_or_cards_has_no_stack() -> None:
    done = converted({k: v for k, v in SYSTEMD.items() if "99-default" not in k})
    assert done.codes == {"network-stack-unknown"}


def test_no_file_is_made_where_another_stack_has_the_card() -> None:
    assert not converted({**IFUPDOWN, **NETWORKMANAGER}).has(MAIN)
