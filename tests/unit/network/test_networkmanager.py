"""NetworkManager, by nm-settings-keyfile(5) and NetworkManager.conf(5)."""

from __future__ import annotations

import pytest

from converter.guest.memory import Node
from converter.model import FileKind
from tests.unit.network.guests import IFUPDOWN, NETWORKMANAGER, Files, converted, link, program

ETC = "/etc/NetworkManager/system-connections"
OURS = f"{ETC}/converter-any-card.nmconnection"
LET_GO = "/etc/NetworkManager/conf.d/zz-converter-unmanaged.conf"
STATIC = """\
[connection]
id=Wired connection 1
uuid=8d3bf36e-2e5a-4e0f-9a9b-1f6d1f0e6a01
type=ethernet
interface-name=ens192

[ethernet]
mac-address=00:50:56:9A:12:34

[ipv4]
address1=10.0.0.5/24,10.0.0.1
dns=10.0.0.2;
method=manual
"""
INTERFACES = "auto ens192\niface ens192 inet static\n address 10.0.0.5/24\n gateway 10.0.0.1\n"


def guest(**profiles: str) -> Files:
    return {**NETWORKMANAGER, **{f"{ETC}/{name}": text for name, text in profiles.items()}}


def profile(kind: str, name: str, more: str = "") -> str:
    return f"[connection]\nid=c-{name}\nuuid=u-{name}\ntype={kind}\ninterface-name={name}\n{more}"


def test_a_static_card_becomes_dhcp_on_any_card() -> None:
    done = converted(guest(**{"Wired connection 1.nmconnection": STATIC}))
    path = f"{ETC}/Wired connection 1.nmconnection"
    text = done.text(path)
    assert "interface-name" not in text
    assert "mac-address" not in text
    assert (
        "type=802-3-ethernet\nmulti-connect=3\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
        in text
    )
    stat = done.guest.lstat(path)
    assert stat is not None
    # Profiles that others may read are refused.
    assert (stat.mode, stat.uid, stat.gid) == (0o600, 0, 0)
    assert not done.has(OURS)
    assert done.findings == ()


def test_a_profile_that_is_not_roots_is_not_taken() -> None:
    files = {**NETWORKMANAGER, f"{ETC}/a": Node(FileKind.FILE, STATIC.encode(), 0o600, uid=1000)}
    done = converted(files)
    assert done.has(OURS)
    assert not done.has(f"{ETC}/a")


def test_the_old_form_of_addresses_and_files_without_a_suffix() -> None:
    old = (
        "[connection]\nid=System eth0\nuuid=1\ntype=802-3-ethernet\n\n[ipv4]\nmethod=manual\n"
        "addresses1=10.0.0.5;24;10.0.0.1;\n"
    )
    second = profile(
        "802-3-ethernet", "eth1", "[ipv4]\nmethod=manual\naddress1=10.9.0.5;24;0.0.0.0;\n"
    )
    done = converted(guest(**{"System eth0": old, "eth1": second}))
    assert "multi-connect=3" in done.text(f"{ETC}/System eth0")
    assert not done.has(f"{ETC}/eth1")
    assert "eth1 (10.9.0.5)" in done.message("network-link-disabled")


def test_without_profiles_its_own_default_does() -> None:
    done = converted(dict(NETWORKMANAGER))
    assert done.plan.changes == ()
    assert done.findings == ()


@pytest.mark.parametrize("value", ["*", "type:ethernet", "00:11:22:33:44:55,*"])
def test_where_there_is_no_default_a_profile_is_made(value: str) -> None:
    conf = {"/usr/lib/NetworkManager/conf.d/00-server.conf": f"[main]\nno-auto-default={value}\n"}
    assert converted({**NETWORKMANAGER, **conf}).has(OURS)


def test_a_default_that_one_old_card_was_taken_from_still_holds() -> None:
    conf = {
        "/etc/NetworkManager/NetworkManager.conf": "[main]\nno-auto-default=00:11:22:33:44:55,\n"
    }
    assert converted({**NETWORKMANAGER, **conf}).plan.changes == ()


def test_bonds_bridges_and_vlans_go_with_their_ports_and_others_stay() -> None:
    files = {
        "bond0": profile("bond", "bond0", "[ipv4]\nmethod=manual\naddress1=10.0.0.5/24,10.0.0.1\n"),
        "p1": profile("ethernet", "ens1", "master=bond0\nslave-type=bond\n"),
        "p2": profile("ethernet", "ens2", "controller=u-bond0\nport-type=bond\n"),
        "v7": profile("vlan", "bond0.7", "[vlan]\nid=7\nparent=bond0\n"),
        "br0": profile("bridge", "br0", "[ipv4]\nmethod=manual\naddress1=10.3.0.1/24\n"),
        "br1": profile("bridge", "br1"),
        "p3": profile("vlan", "x9", "master=br1\n[vlan]\nid=9\nparent=u-bond0\n"),
        "wifi": profile("wifi", "wlp3s0", "[wifi]\nssid=x\n"),
        "vpn": "[connection]\nid=office\nuuid=9\ntype=vpn\n",
        "wg": profile("wireguard", "wg0"),
        "veth": profile("ethernet", "veth0"),
    }
    done = converted(guest(**files))
    left = {name for name in done.guest.list(ETC) if not name.startswith(".")}
    assert left == {"br0", "wifi", "vpn", "wg", "veth", "converter-any-card.nmconnection"}
    said = done.message("network-link-disabled")
    assert "bond0 (bond of ens1, ens2, 10.0.0.5/24)" in said
    assert "bond0.7 (vlan of bond0)" in said
    assert "br1 (bridge of x9)" in said


@pytest.mark.parametrize(
    ("conf", "manages"),
    [
        ("[keyfile]\nunmanaged-devices=*\n", False),
        ("[keyfile]\nunmanaged-devices=type:ethernet\n", False),
        ("[keyfile]\nunmanaged-devices=interface-name:eth*;interface-name:en*\n", False),
        ("[keyfile]\nunmanaged-devices=*,except:type:wifi\n", False),
        ("[device-x]\nmatch-device=type:ethernet\nmanaged=0\n", False),
        ("[keyfile]\nunmanaged-devices=*,except:type:ethernet\n", True),
        ("[keyfile]\nunmanaged-devices=mac:00:50:56:9a:12:34;interface-name:docker*\n", True),
        ("[keyfile]\nunmanaged-devices=interface-name:ens224\n", True),
        ("[device-x]\nmatch-device=interface-name:ens224\nmanaged=0\n", True),
        ("[device-x]\nmatch-device=type:ethernet\nmanaged=1\n", True),
        ("[ifupdown]\nmanaged=false\n[main]\nplugins=ifupdown,keyfile\n", True),
    ],
)
def test_cards_can_be_left_alone(conf: str, *, manages: bool) -> None:
    files = {**guest(a=STATIC), "/etc/NetworkManager/NetworkManager.conf": conf}
    done = converted(files)
    assert (done.text(f"{ETC}/a") != STATIC) is manages
    assert (done.errors == []) is manages


def test_a_later_file_counts_and_one_in_etc_hides_the_vendors() -> None:
    everything = "[keyfile]\nunmanaged-devices=*\n"
    none = "[keyfile]\nunmanaged-devices=none\n"
    vendor, etc = "/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"
    for files in (
        {f"{vendor}/10-x.conf": everything, f"{etc}/10-x.conf": ""},
        {f"{vendor}/10-x.conf": everything, f"{etc}/05-y.conf": none},
        {"/etc/NetworkManager/NetworkManager.conf": everything, f"{etc}/05-y.conf": none},
    ):
        assert converted({**guest(a=STATIC), **files}).errors == []


def test_ifupdown_gets_the_card_it_had_alone() -> None:
    conf = "[main]\nplugins=ifupdown,keyfile\n[ifupdown]\nmanaged=false\n"
    done = converted(
        {
            **IFUPDOWN,
            **NETWORKMANAGER,
            "/etc/network/interfaces": INTERFACES,
            "/etc/NetworkManager/NetworkManager.conf": conf
            + "[keyfile]\nunmanaged-devices=mac:00:11:22:33:44:55\n",
        }
    )
    assert "allow-hotplug /e*" in done.text("/etc/network/interfaces")
    # The stanza is not called like the card any more: NetworkManager would take the card as well.
    assert done.text(LET_GO).endswith(
        "unmanaged-devices=mac:00:11:22:33:44:55;type:ethernet;interface-name:e*\n"
    )


def test_networkmanager_keeps_the_card_that_ifupdown_does_not_name() -> None:
    lo = "auto lo\niface lo inet loopback\n"
    done = converted({**IFUPDOWN, **guest(a=STATIC), "/etc/network/interfaces": lo})
    assert "multi-connect=3" in done.text(f"{ETC}/a")
    assert not done.has(LET_GO)
    assert done.text("/etc/network/interfaces") == lo


@pytest.mark.parametrize("state", ["masked", "not-enabled"])
def test_a_service_that_is_not_started_is_an_error_that_names_it(state: str) -> None:
    files = guest(a=STATIC)
    if state == "masked":
        files["/etc/systemd/system/NetworkManager.service"] = link("/dev/null")
    else:
        del files["/etc/systemd/system/multi-user.target.wants/NetworkManager.service"]
    done = converted(files)
    assert done.errors == ["network-service-disabled"]
    assert "NetworkManager.service" in done.message("network-service-disabled")


def test_the_rc_links_of_el_6_start_it() -> None:
    files: Files = {
        "/usr/sbin/NetworkManager": program(),
        "/etc/rc.d/init.d/NetworkManager": program(),
        "/etc/rc.d/rc3.d/S23NetworkManager": link("../init.d/NetworkManager"),
        f"{ETC}/eth0": STATIC,
    }
    assert "multi-connect=3" in converted(files).text(f"{ETC}/eth0")
