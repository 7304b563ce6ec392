"""Whatever a guest's files hold: planning ends, is done once, and explains every change.

`converted` asks for the latter two of every guest.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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

NAMES = st.sampled_from(["ens192", "eth0", "bond0", "br0", "ens1.7", "lo", "tun0", "wlan0", "e*"])
NOISE = st.sampled_from(
    ["", "\n", "# c\n", "\\\n", "\udcff\n", "[", "=", "a: [\n", "network: 1\n", "x"]
)


def _lines(*pieces: str) -> st.SearchStrategy[str]:
    """Make texts of lines of a format, with names put in, and noise between."""
    line = st.builds(str.replace, st.sampled_from(pieces), st.just("NAME"), NAMES)
    return st.lists(st.one_of(line, line, NOISE), max_size=8).map("".join)


INTERFACES = _lines(
    "auto NAME\n", "allow-hotplug NAME\n", "iface NAME inet static\n", "\taddress 10.0.0.5/24\n",
    "\tgateway 10.0.0.1\n", "iface NAME inet dhcp\n", "\tbridge_ports NAME\n", "\tup x\n",
    "\tbond-master NAME\n", "source interfaces.d/*\n", "source-directory .\n", "mapping NAME\n",
)  # fmt: skip
NETWORK = _lines(
    "[Match]\n", "[Network]\n", "Name=NAME\n", "Type=ether\n", "Address=10.0.0.5/24\n",
    "Gateway=1\n", "Bridge=NAME\n", "VLAN=NAME\n", "DHCP=yes\n", "[NetDev]\n", "Kind=bridge\n",
    "Driver=ena\n", "[Link]\n", "MACAddress=1\n",
)  # fmt: skip
PROFILE = _lines(
    "[connection]\n", "id=NAME\n", "type=ethernet\n", "type=bond\n", "interface-name=NAME\n",
    "master=NAME\n", "[ipv4]\n", "method=auto\n", "address1=10.0.0.5/24,10.0.0.1\n", "[vlan]\n",
    "parent=NAME\n", "[keyfile]\n", "unmanaged-devices=interface-name:NAME\n", "[main]\n",
    "no-auto-default=*\n",
)  # fmt: skip
YAML = _lines(
    "network:\n", "  ethernets:\n", "  bridges:\n", "    NAME:\n", "      dhcp4: true\n",
    "      addresses: [10.0.0.5/24]\n", "      interfaces: [NAME]\n",
    "  renderer: NetworkManager\n", "  renderer: networkd\n",
)  # fmt: skip
IFCFG = _lines(
    "DEVICE=NAME\n", "IPADDR=10.0.0.5\n", "BOOTPROTO=dhcp\n", "MASTER=NAME\n", "TYPE=Bridge\n",
    "BRIDGE=NAME\n", "GATEWAY=10.0.0.1\n", "ONBOOT=no\n", "BRIDGE_PORTS='NAME'\n",
    "ETHERDEVICE=NAME\n", "EXCLUDE_INTERFACES=NAME\n",
)  # fmt: skip
RULES = _lines(
    'SUBSYSTEM=="net", NAME="NAME"\n', 'SUBSYSTEM=="net", ATTR{address}=="1", NAME="x"\n'
)
PLACES = {
    "/etc/network/interfaces": INTERFACES,
    "/etc/network/interfaces.d/a": INTERFACES,
    "/etc/default/networking": IFCFG,
    "/etc/systemd/network/10-a.network": NETWORK,
    "/etc/systemd/network/20-b.netdev": NETWORK,
    "/etc/systemd/network/30-c.link": NETWORK,
    "/usr/lib/systemd/network/05-d.network": NETWORK,
    "/etc/NetworkManager/system-connections/a": PROFILE,
    "/etc/NetworkManager/system-connections/b.nmconnection": PROFILE,
    "/etc/NetworkManager/conf.d/a.conf": PROFILE,
    "/etc/netplan/a.yaml": YAML,
    "/usr/lib/netplan/b.yaml": YAML,
    "/etc/cloud/cloud.cfg.d/a.cfg": YAML,
    "/etc/sysconfig/network-scripts/ifcfg-ens192": IFCFG,
    "/etc/sysconfig/network-scripts/ifcfg-b": IFCFG,
    "/etc/udev/rules.d/70-a.rules": RULES,
    "/etc/sysconfig/network/ifcfg-eth0": IFCFG,
    "/etc/sysconfig/network/ifcfg-c": IFCFG,
    "/etc/resolv.conf": _lines("nameserver 10.0.0.2\n"),
}
STACKS: list[Files] = [
    SYSTEMD,
    IFUPDOWN,
    NETWORKD,
    NETWORKMANAGER,
    {"/usr/lib/systemd/system-generators/netplan": program()},
    {"/etc/rc3.d/S10network": link("../init.d/network"), "/etc/init.d/network": program()},
    {**started("wicked.service"), "/usr/sbin/wicked": program()},
    started("systemd-resolved.service"),
]


@st.composite
def guests(draw: st.DrawFn) -> Files:
    files: Files = {}
    for stack in draw(st.lists(st.sampled_from(STACKS), max_size=4)):
        files.update(stack)
    for path in draw(st.lists(st.sampled_from(sorted(PLACES)), max_size=6, unique=True)):
        files[path] = draw(PLACES[path]).encode("utf-8", "surrogateescape")
    return files


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(guests())
def test_planning_ends_and_is_done_once(files: Files) -> None:
    converted(files)
