"""netplan, by netplan(5): all files count together; one file with DHCP takes their place."""

from __future__ import annotations

import pytest

from tests.unit.network.guests import (
    IFUPDOWN,
    NETWORKD,
    NETWORKMANAGER,
    Files,
    converted,
    link,
    program,
)

ETC = "/etc/netplan"
OURS = f"{ETC}/90-converter.yaml"
FILE = f"{ETC}/a.yaml"
HEAD = "# DHCP on whatever network card this machine has (put in by converter).\n"
NETPLAN: Files = {**NETWORKD, "/usr/lib/systemd/system-generators/netplan": program()}
STATIC = """\
network:
  version: 2
  ethernets:
    ens192:
      match: {macaddress: '00:50:56:9a:12:34'}
      set-name: ens192
      addresses: [10.0.0.5/24]
      routes:
        - to: default
          via: 10.0.0.1
      nameservers: {addresses: [10.0.0.2]}
"""
BY_NETWORKD = f"""\
{HEAD}network:
  version: 2
  renderer: networkd
  ethernets:
    any-card:
      renderer: networkd
      match:
        name: e*
      dhcp4: true
      dhcp6: true
"""


def guest(**files: str) -> Files:
    return {**NETPLAN, **{f"{ETC}/{name}": text for name, text in files.items()}}


def test_a_static_card_becomes_dhcp_on_any_card() -> None:
    done = converted(guest(**{"00-installer-config.yaml": STATIC}))
    path = f"{ETC}/00-installer-config.yaml"
    assert done.text(path) == BY_NETWORKD
    stat = done.guest.lstat(path)
    assert stat is not None
    assert stat.mode == 0o600
    assert done.guest.list(ETC) == (
        ".00-installer-config.yaml.converter-orig",
        "00-installer-config.yaml",
    )
    assert done.findings == ()


def test_all_files_count_together() -> None:
    done = converted(
        guest(
            **{
                "01-a.yaml": STATIC,
                "02-b.yaml": "network: {ethernets: {ens192: {addresses: ['2001:db8::5/64']}}}\n",
                "03-c.yaml": "network: {ethernets: {ens224: {addresses: [10.9.0.5/24]}}}\n",
                "04-not.yml": STATIC,
            }
        )
    )
    assert done.text(f"{ETC}/01-a.yaml") == BY_NETWORKD
    assert not done.has(f"{ETC}/02-b.yaml")
    assert done.has(f"{ETC}/04-not.yml")
    assert "ens224 (10.9.0.5/24), as netplan" in done.message("network-link-disabled")


def test_bonds_bridges_and_vlans_go_and_others_stay() -> None:
    text = """\
network:
  ethernets: {ens1: {}, ens2: {dhcp4: false}}
  bonds: {bond0: {interfaces: [ens1, ens2], addresses: [10.0.0.5/24]}}
  bridges:
    br0: {interfaces: [bond0], dhcp4: yes}
    lxc: {interfaces: [], addresses: [10.9.0.1/24]}
  vlans: {v7: {id: 7, link: bond0, addresses: [10.7.0.5/24]}}
  tunnels: {wg0: {mode: wireguard, addresses: [10.8.0.1/24], key: abc=}}
  wifis: {wlan0: {dhcp4: true, access-points: {"home: 1": {password: "yes"}}}}
"""
    done = converted(guest(**{"a.yaml": text}))
    assert done.text(FILE) == (
        f"{HEAD}network:\n  version: 2\n  renderer: networkd\n"
        "  bridges:\n    lxc:\n      interfaces: []\n      addresses:\n      - 10.9.0.1/24\n"
        "  wifis:\n    wlan0:\n      dhcp4: true\n      access-points:\n"
        "        'home: 1':\n          password: yes\n"
        "  tunnels:\n    wg0:\n      mode: wireguard\n      addresses:\n      - 10.8.0.1/24\n"
        "      key: abc=\n"
        "  ethernets:\n    any-card:\n      renderer: networkd\n      match:\n        name: e*\n"
        "      dhcp4: true\n      dhcp6: true\n"
    )
    said = done.message("network-link-disabled")
    assert "bond0 (bond of ens1, ens2, 10.0.0.5/24)" in said
    assert "br0 (bridge of bond0)" in said
    assert "v7" in said
    assert "wg0" not in said


def test_networkmanager_gets_the_card_where_it_had_it() -> None:
    text = STATIC.replace("  version: 2\n", "  version: 2\n  renderer: NetworkManager\n")
    done = converted({**guest(**{"a.yaml": text}), **NETWORKMANAGER})
    made = done.text(FILE)
    assert "  renderer: NetworkManager\n" in made
    # Its renderer takes no patterns in old versions; an empty match is every card.
    assert "      match: {}\n" in made
    assert done.errors == []
    assert not done.has("/etc/NetworkManager/conf.d/zz-converter-unmanaged.conf")


def test_profiles_of_networkmanager_do_not_come_before_netplans() -> None:
    profile = "/etc/NetworkManager/system-connections/Wired"
    text = STATIC.replace("  version: 2\n", "  version: 2\n  renderer: NetworkManager\n")
    done = converted(
        {
            **guest(**{"a.yaml": text}),
            **NETWORKMANAGER,
            profile: "[connection]\nid=Wired\ntype=ethernet\n[ipv4]\naddress1=10.0.0.6/24\n",
        }
    )
    assert "match: {}" in done.text(FILE)
    assert not done.has(profile)


def test_a_desktop_leaves_all_to_networkmanager() -> None:
    profile = "/etc/NetworkManager/system-connections/Wired.nmconnection"
    everything = "network:\n  version: 2\n  renderer: NetworkManager\n"
    ubuntus = "[keyfile]\nunmanaged-devices=*,except:type:wifi,except:type:gsm,except:type:cdma\n"
    done = converted(
        {
            **guest(**{"01-network-manager-all.yaml": everything}),
            **NETWORKMANAGER,
            "/usr/lib/NetworkManager/conf.d/10-globally-managed-devices.conf": ubuntus,
            profile: (
                "[connection]\nid=Wired\ntype=ethernet\n[ipv4]\nmethod=manual\n"
                "address1=10.0.0.5/24,10.0.0.1\n"
            ),
        }
    )
    assert done.text(f"{ETC}/01-network-manager-all.yaml") == everything
    assert not done.has(OURS)
    assert "multi-connect=3" in done.text(profile)


def test_a_renderer_that_is_not_started_is_an_error() -> None:
    text = STATIC.replace("  version: 2\n", "  renderer: NetworkManager\n")
    assert converted(guest(**{"a.yaml": text})).errors == ["network-service-disabled"]
    files = {
        **guest(**{"a.yaml": STATIC}),
        "/etc/systemd/system/systemd-networkd.service": link("/dev/null"),
    }
    assert converted(files).errors == ["network-service-disabled"]


def test_netplan_starts_networkd_itself() -> None:
    files = guest(**{"a.yaml": STATIC})
    del files["/etc/systemd/system/multi-user.target.wants/systemd-networkd.service"]
    done = converted(files)
    assert done.errors == []
    assert done.text(FILE) == BY_NETWORKD


def test_files_of_networkd_do_not_come_before_netplans() -> None:
    unit = "/etc/systemd/network/05-lan.network"
    done = converted(
        {
            **guest(**{"a.yaml": STATIC}),
            unit: "[Match]\nName=en*\n[Network]\nDHCP=no\n",
        }
    )
    assert not done.has(unit)


def test_a_vendors_file_is_hidden_by_one_of_its_name() -> None:
    done = converted({**NETPLAN, "/lib/netplan/50-vendor.yaml": STATIC})
    assert done.text(f"{ETC}/50-vendor.yaml") == "network: {version: 2}\n"
    assert done.text(OURS) == BY_NETWORKD
    assert done.has("/lib/netplan/50-vendor.yaml")


def test_a_file_that_is_no_yaml_goes_and_is_named() -> None:
    done = converted(guest(**{"a.yaml": STATIC, "b.yaml": "network: [\n"}))
    assert done.text(FILE) == BY_NETWORKD
    assert not done.has(f"{ETC}/b.yaml")
    assert f"{ETC}/b.yaml" in done.message("netplan-file-unreadable")


@pytest.mark.parametrize(
    "text",
    [
        "network:\n",
        "network: 7\n",
        "network: {ethernets: [a]}\n",
        "network: {ethernets: {ens1: }}\n",
        "[]\n",
        "network: {bonds: {bond0: {interfaces: {a: b}}}}\n",
        "network: {vlans: {v: {link: v}}}\n",
        "network: {bridges: {a: {interfaces: [b]}, b: {interfaces: [a]}}}\n",
    ],
)
def test_odd_shapes_do_no_harm(text: str) -> None:
    done = converted(guest(**{"a.yaml": text}))
    assert "match:" in done.text(OURS if done.has(OURS) else FILE)


def test_without_the_program_its_files_mean_nothing() -> None:
    done = converted({**NETWORKD, f"{ETC}/a.yaml": STATIC})
    assert done.text(f"{ETC}/a.yaml") == STATIC
    assert done.has("/etc/systemd/network/10-converter-dhcp.network")


def test_netplan_lets_the_card_go_where_ifupdown_has_it() -> None:
    interfaces = "auto ens192\niface ens192 inet static\n address 10.0.0.5/24\n gateway 10.0.0.1\n"
    text = "network:\n  ethernets: {a: {addresses: [10.9.0.5/24]}}\n  wifis: {w: {dhcp4: yes}}\n"
    files = {**IFUPDOWN, **guest(**{"a.yaml": text}), "/etc/network/interfaces": interfaces}
    done = converted(files)
    assert done.text(FILE) == (
        f"{HEAD}network:\n  version: 2\n  renderer: networkd\n  wifis:\n    w:\n      dhcp4: yes\n"
    )
    assert "allow-hotplug /e*" in done.text("/etc/network/interfaces")
