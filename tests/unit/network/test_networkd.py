"""systemd-networkd, by systemd.network(5): the first file that matches a card wins."""

from __future__ import annotations

import pytest

from tests.unit.network.guests import NETWORKD, Files, converted, link, started

ETC = "/etc/systemd/network"
LIB = "/usr/lib/systemd/network"
STATIC = "[Match]\nName=ens192\n\n[Network]\nAddress=10.0.0.5/24\nGateway=10.0.0.1\nDNS=10.0.0.2\n"
OURS = (
    "# DHCP on whatever network card this machine has (put in by converter).\n"
    "[Match]\nName=en* eth*\n\n[Network]\nDHCP=yes\n"
)


def guest(**files: str | object) -> Files:
    made: Files = dict(NETWORKD)
    for name, content in files.items():
        made[f"{ETC}/{name}"] = content  # type: ignore[assignment]
    return made


def test_a_static_card_becomes_dhcp_on_any_card() -> None:
    done = converted(guest(**{"20-lan.network": STATIC}))
    assert done.text(f"{ETC}/20-lan.network") == OURS
    assert done.guest.list(ETC) == (".20-lan.network.converter-orig", "20-lan.network")
    assert done.findings == ()


@pytest.mark.parametrize(
    "match",
    [
        "Path=pci-0000:03:00.0",
        "Driver=vmxnet3",
        "Type=ether",
        "Type=!loopback !wlan",
        "Name=!lo",
        "Name=*",
        "PermanentMACAddress=00:50:56:00:00:01",
        "Host=web",
        "Virtualization=vmware",
        "Name=lan0",
        "Kind=!*\nType=ether",
        "",
    ],
)
def test_whatever_a_card_was_matched_by(match: str) -> None:
    text = f"[Match]\n{match}\n[Network]\nAddress=10.0.0.5/24\n"
    done = converted(guest(**{"05-x.network": text, "30-y.network": STATIC}))
    assert done.text(f"{ETC}/05-x.network") == OURS
    assert not done.has(f"{ETC}/30-y.network")


@pytest.mark.parametrize(
    "match",
    [
        "Name=wlan0",
        "Name=wlp2s0 wwan0",
        "Type=wlan",
        "SSID=home",
        "WLANInterfaceType=station",
        "Name=lo",
        "Type=loopback",
        "Name=docker0",
        "Name=veth*",
        "Kind=wireguard",
        "Driver=tun\nName=vt-*",
        "Name=host0\nVirtualization=container",
    ],
)
def test_what_is_no_card_is_left_alone(match: str) -> None:
    text = f"[Match]\n{match}\n[Network]\nAddress=10.0.0.5/24\n"
    done = converted(guest(**{"05-x.network": text, "30-y.network": STATIC}))
    assert done.text(f"{ETC}/05-x.network") == text
    assert done.text(f"{ETC}/30-y.network") == OURS


def test_drop_ins_count_and_go_with_their_file() -> None:
    files = guest(**{"20-lan.network": "[Match]\nName=ens192\n[Network]\nDHCP=yes\n"})
    done = converted(
        {
            **files,
            f"{ETC}/20-lan.network.d/10-fixed.conf": "[Network]\nDHCP=no\nAddress=10.0.0.5/24\n",
            f"{LIB}/20-lan.network.d/50-vendor.conf": "[Link]\nMTUBytes=9000\n",
            f"{ETC}/lo.network.d/10-x.conf": "[Network]\nAddress=10.1.1.1/32\n",
        }
    )
    assert done.text(f"{ETC}/20-lan.network") == OURS
    assert not done.has(f"{ETC}/20-lan.network.d/10-fixed.conf")
    assert done.is_masked(f"{ETC}/20-lan.network.d/50-vendor.conf")
    assert done.has(f"{ETC}/lo.network.d/10-x.conf")


def test_bonds_bridges_and_vlans_go_with_their_members() -> None:
    files = guest(
        **{
            "10-bond0.netdev": "[NetDev]\nName=bond0\nKind=bond\n[Bond]\nMode=802.3ad\n",
            "10-br0.netdev": "[NetDev]\nName=br0\nKind=bridge\n",
            "10-v7.netdev": "[NetDev]\nName=v7\nKind=vlan\n[VLAN]\nId=7\n",
            "10-wg0.netdev": "[NetDev]\nName=wg0\nKind=wireguard\n",
            "10-lxc.netdev": "[NetDev]\nName=lxc\nKind=bridge\n",
            "20-members.network": "[Match]\nName=ens192 ens224\n[Network]\nBond=bond0\n",
            "30-bond0.network": "[Match]\nName=bond0\n[Network]\nBridge=br0\nVLAN=v7\n",
            "40-br0.network": "[Match]\nName=br0\n[Network]\nAddress=10.0.0.5/24\n",
            "50-v7.network": "[Match]\nName=v7\n[Network]\nAddress=10.7.0.5/24\n",
            "60-wg0.network": "[Match]\nName=wg0\n[Network]\nAddress=10.8.0.5/24\n",
            "70-lxc.network": "[Match]\nName=lxc\n[Network]\nAddress=10.9.0.1/24\n",
        }
    )
    done = converted(files)
    left = {name for name in done.guest.list(ETC) if not name.startswith(".")}
    assert left == {
        "10-wg0.netdev", "10-lxc.netdev", "60-wg0.network", "70-lxc.network", "20-members.network",
    }  # fmt: skip
    assert done.text(f"{ETC}/20-members.network") == OURS
    said = done.message("network-link-disabled")
    assert "bond0 (bond of ens192 ens224)" in said
    assert "br0 (bridge of bond0, 10.0.0.5/24)" in said
    assert "v7 (vlan of bond0, 10.7.0.5/24)" in said
    assert "wg0" not in said


def test_masked_and_empty_files_count_for_nothing() -> None:
    done = converted(
        {
            **guest(
                **{"10-a.network": link("/dev/null"), "20-b.network": "", "30-c.network": STATIC}
            ),
            f"{LIB}/10-a.network": STATIC,
        }
    )
    assert done.text(f"{ETC}/30-c.network") == OURS
    assert done.is_masked(f"{ETC}/10-a.network")


def test_a_vendors_file_that_would_come_first_is_masked() -> None:
    vendors = "[Match]\nName=en*\n[Network]\nDHCP=ipv4\n"
    done = converted(
        {
            **guest(**{"50-x.network": STATIC}),
            f"{LIB}/10-any.network": vendors,
            f"{LIB}/80-ec2.network": "[Match]\nDriver=ena\n[Network]\nDHCP=yes\n",
            f"{LIB}/05-wifi.network": "[Match]\nType=wlan\n[Network]\nDHCP=yes\n",
        }
    )
    assert done.text(f"{ETC}/50-x.network") == OURS
    assert done.is_masked(f"{ETC}/10-any.network")
    assert not done.has(f"{ETC}/80-ec2.network")
    assert not done.has(f"{ETC}/05-wifi.network")


def test_without_any_file_one_is_made() -> None:
    assert converted(dict(NETWORKD)).text(f"{ETC}/10-converter-dhcp.network") == OURS


def test_a_file_that_is_a_link_is_followed() -> None:
    files = guest(**{"10-x.network": link("/srv/lan.network")})
    done = converted({**files, "/srv/lan.network": STATIC})
    assert done.text(f"{ETC}/10-x.network") == OURS


def test_an_address_in_a_section_of_its_own_is_static() -> None:
    text = "[Match]\nName=ens192\n[Address]\nAddress=10.0.0.5/24\n[Route]\nGateway=10.0.0.1\n"
    done = converted(guest(**{"a.network": text, "b.network": text.replace("192", "224")}))
    assert "ens224 (10.0.0.5/24)" in done.message("network-link-disabled")


def test_wait_online_waits_for_no_card_by_name() -> None:
    unit = "systemd-networkd-wait-online"
    wants = "/etc/systemd/system/network-online.target.wants"
    system = "/etc/systemd/system"
    execute = "[Service]\nExecStart=\nExecStart=/lib/systemd/systemd-networkd-wait-online {}\n"
    done = converted(
        {
            **guest(**{"a.network": STATIC}),
            f"{wants}/{unit}.service": link(f"/lib/systemd/system/{unit}.service"),
            f"{wants}/{unit}@ens192.service": link(f"/lib/systemd/system/{unit}@.service"),
            f"{system}/{unit}.service.d/a.conf": execute.format("-i ens192"),
            f"{system}/{unit}.service.d/b.conf": execute.format(
                "--any --interface=ens192:routable"
            ),
            f"{system}/{unit}.service.d/c.conf": execute.format("--any --ignore=docker0"),
        }
    )
    assert done.has(f"{wants}/{unit}.service")
    assert not done.has(f"{wants}/{unit}@ens192.service")
    assert not done.has(f"{system}/{unit}.service.d/a.conf")
    assert not done.has(f"{system}/{unit}.service.d/b.conf")
    assert done.has(f"{system}/{unit}.service.d/c.conf")


@pytest.mark.parametrize("state", ["masked", "not-enabled"])
def test_networkd_that_is_not_started_is_an_error_that_names_it(state: str) -> None:
    files = guest(**{"a.network": STATIC})
    if state == "masked":
        files["/etc/systemd/system/systemd-networkd.service"] = link("/dev/null")
    else:
        del files["/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"]
    done = converted(files)
    assert done.errors == ["network-service-disabled"]
    assert "systemd-networkd.service" in done.message("network-service-disabled")


def test_units_that_need_a_card_of_the_source_are_not_started() -> None:
    device = "sys-subsystem-net-devices-{}.device"
    needs = f"[Unit]\nBindsTo={device}\nAfter={device}\n"
    done = converted(
        {
            **guest(**{"a.network": STATIC}),
            **started("tune@ens192.service"),
            **started("plain.service"),
            **started("mine.service"),
            **started("kernel-name.service"),
            **started("wifi@wlan0.service"),
            "/usr/lib/systemd/system/tune@.service": needs.format("%i", "%i"),
            "/usr/lib/systemd/system/wifi@.service": needs.format("%i", "%i"),
            "/usr/lib/systemd/system/mine.service": "[Unit]\nDescription=x\n",
            "/etc/systemd/system/mine.service.d/x.conf": needs.format("ens224", "ens224"),
            "/usr/lib/systemd/system/kernel-name.service": needs.format("eth0", "eth0"),
            "/usr/lib/systemd/system/plain.service": f"[Unit]\nAfter={device.format('ens192')}\n",
        }
    )
    wants = set(done.guest.list("/etc/systemd/system/multi-user.target.wants"))
    assert wants == {
        "kernel-name.service", "plain.service", "systemd-networkd.service", "wifi@wlan0.service",
    }  # fmt: skip
    assert "tune@ens192.service needs the network card ens192" in done.message(
        "network-unit-disabled"
    )
    assert "ens224" in done.message("network-unit-disabled")


@pytest.mark.parametrize(
    "match", ["Driver=ena ixgbevf vif", "Name=en*", "Type=ether", "Name=e*\nType=!wlan"]
)
def test_a_vendor_that_asks_for_dhcp_itself_is_left_to_do_it(match: str) -> None:
    vendors = f"[Match]\n{match}\n[Network]\nDHCP=yes\n"
    done = converted({**NETWORKD, f"{LIB}/80-ec2.network": vendors})
    assert done.plan.changes == ()


@pytest.mark.parametrize(
    "text",
    [
        "[Match]\nDriver=vmxnet3\n[Network]\nDHCP=yes\n",
        "[Match]\nName=en*\n[Network]\nDHCP=no\n",
        "[Match]\nName=en*\n[Network]\nDHCP=yes\nAddress=10.0.0.5/24\n",
        "[Match]\nType=wlan\n[Network]\nDHCP=yes\n",
    ],
)
def test_a_vendor_that_does_not_is_not_relied_on(text: str) -> None:
    done = converted({**NETWORKD, f"{LIB}/80-x.network": text})
    assert done.text(f"{ETC}/10-converter-dhcp.network") == OURS
