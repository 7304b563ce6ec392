"""ifcfg files of Red Hat's systems: /etc/sysconfig/network-scripts (initscripts' sysconfig.txt).

They are read by the `network` script of initscripts, by NetworkManager's plugin ifcfg-rh (up to
EL 9), or by both. NetworkManager takes a file without DEVICE and HWADDR for one that is for any
card; the card's own is written anew like that. The `network` script needs the card's name: where it
is started, the first card keeps the kernel's name (`names.keep_kernel_names`), and ifcfg-eth0 is
what remains.

What is in the way goes with the cards: routes and rules for them, the fixed default route in
/etc/sysconfig/network, the legacy static-routes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import shellvars
from converter.guest import paths
from converter.model import LinkKind, NetworkLink, NetworkStack
from converter.network import changes, names, networkmanager_config, services
from converter.network.links import base_of_name, kind_of_name, make_stack, merge, primary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.formats.shellvars import ShellVars
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

NAME: Final = "ifcfg"
DIRECTORY: Final = "/etc/sysconfig/network-scripts"
OURS: Final = f"{DIRECTORY}/ifcfg-eth0"
SETTINGS: Final = "/etc/sysconfig/network"
_STATIC_ROUTES: Final = ("/etc/sysconfig/static-routes", "/etc/sysconfig/static-routes-ipv6")
_ANY_CARD: Final = """\
# DHCP on whatever network card this machine has (put in by converter).
NAME=any-card
TYPE=Ethernet
BOOTPROTO=dhcp
ONBOOT=yes
"""
_FIRST_CARD: Final = """\
# DHCP on the first network card (put in by converter).
DEVICE=eth0
TYPE=Ethernet
BOOTPROTO=dhcp
ONBOOT=yes
"""
_KINDS: Final = {
    "bond": LinkKind.BOND,
    "team": LinkKind.BOND,
    "bridge": LinkKind.BRIDGE,
    "ovsbridge": LinkKind.BRIDGE,
    "ovsbond": LinkKind.BOND,
    "ovsintport": LinkKind.VLAN,
    "vlan": LinkKind.VLAN,
    "wireless": LinkKind.WIRELESS,
    "xdsl": LinkKind.TUNNEL,
    "modem": LinkKind.TUNNEL,
    "gre": LinkKind.TUNNEL,
    "ipip": LinkKind.TUNNEL,
    "sit": LinkKind.TUNNEL,
    "ipsec": LinkKind.TUNNEL,
}
_TRUE: Final = frozenset({"yes", "true", "t", "y", "1"})
_DYNAMIC: Final = frozenset({"dhcp", "bootp"})
_ADDRESS: Final = re.compile(r"IPADDR\d*|IPV6ADDR|IPV6ADDR_SECONDARIES")
_IGNORED: Final = ("~", ".bak", ".old", ".orig", ".rej", ".rpmnew", ".rpmorig", ".rpmsave")
_PLUGIN: Final = "ifcfg-rh"
_PLUGINS: Final = "/usr/lib*/NetworkManager"
_FIXED: Final = ("GATEWAY", "GATEWAYDEV", "IPV6_DEFAULTGW", "IPV6_DEFAULTDEV")


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what ifcfg files configure; None when nothing that is started reads them."""
    files = _files(guest)
    by_script = _script_is_started(guest)
    if not by_script and not (files and _networkmanager_reads(guest)):
        return None
    return make_stack(NAME, files, merge(_links(guest, files)))


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan one file with DHCP for whatever card there is; those of the source's cards go."""
    by_script = _script_is_started(guest)
    target = OURS if by_script else _target(guest, stack)
    _release(guest, stack, except_for=target)
    if by_script:
        services.require_client(guest, NAME)
        names.keep_kernel_names(guest)
    changes.write(guest, target, _FIRST_CARD if by_script else _ANY_CARD)
    _release_settings(guest)


def _target(guest: RecordingGuest, stack: NetworkStack) -> str:
    """Give the file that NetworkManager reads for any card: that of the card it was."""
    link = primary(stack)
    if link is None or link.kind is not LinkKind.ETHERNET:
        return OURS
    found = zip(stack.files, _links(guest, stack.files), strict=True)
    return next((path for path, its in found if its.name == link.name), OURS)


def let_go(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan that no ifcfg file configures a card."""
    _release(guest, stack)
    _release_settings(guest)


def _release(guest: RecordingGuest, stack: NetworkStack, *, except_for: str = "") -> None:
    """Plan that the files of cards go, with their routes and rules."""
    links = dict(zip(stack.files, _links(guest, stack.files), strict=True))
    beside = ("route-", "route6-", "rule-", "rule6-")
    changes.remove_ifcfg(guest, links, beside=beside, except_for=except_for)
    for path in _STATIC_ROUTES:
        changes.remove(guest, path)


def _release_settings(guest: RecordingGuest) -> None:
    """Plan that networking is on and no default route is fixed for all cards."""
    if paths.is_directory(guest, SETTINGS):
        return  # SUSE's
    text = paths.text(guest, SETTINGS)
    wanted = shellvars.parse(text or "")
    # The script does nothing without the file, or where it says no.
    off = text is None or (wanted.get("NETWORKING") or "").lower() == "no"
    if off and _script_is_started(guest):
        wanted = wanted.with_value("NETWORKING", "yes")
    for name in _FIXED:
        if wanted.get(name):
            wanted = wanted.with_value(name, "")
    if str(wanted) != (text or ""):
        reason = "the gateway of the source network does not exist on EC2"
        guest.write(SETTINGS, paths.encode(str(wanted)), code=changes.CODE, reason=reason)


# --- reading --------------------------------------------------------------------------------------


def _script_is_started(guest: ReadableGuest) -> bool:
    has_directory = paths.is_directory(guest, DIRECTORY)
    return has_directory and services.is_started(guest, NAME)


def _networkmanager_reads(guest: ReadableGuest) -> bool:
    """Tell whether NetworkManager is started and, as far as its plugins show, reads ifcfg files."""
    started = services.is_started(guest, "networkmanager")
    if not started or not networkmanager_config.manages_cards(guest):
        return False
    if not networkmanager_config.may_load(guest, _PLUGIN):
        return False
    patterns = (f"{_PLUGINS}/libnm-*", f"{_PLUGINS}/*/libnm-*")
    plugins = [path for pattern in patterns for path in paths.glob(guest, pattern)]
    return not plugins or any(_PLUGIN in path for path in plugins)


def _files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give every file that is read, the loopback's left out."""
    found = paths.glob(guest, f"{DIRECTORY}/ifcfg-*")
    return tuple(
        path
        for path in found
        if not path.endswith(_IGNORED) and not path.endswith("/ifcfg-lo")
        if paths.is_file(guest, path)
    )


def _links(guest: ReadableGuest, files: Iterable[str]) -> list[NetworkLink]:
    """Give the link of each file."""
    parsed = [(path, shellvars.parse(paths.text(guest, path) or "")) for path in files]
    members: dict[str, list[str]] = {}
    for path, file in parsed:
        keys = ["MASTER", "TEAM_MASTER", "BRIDGE", *(() if _is_above(file) else ["OVS_BRIDGE"])]
        for master in filter(None, map(file.get, keys)):
            members.setdefault(master, []).append(_device(path, file))
    return [_link(path, file, members) for path, file in parsed]


def _device(path: str, file: ShellVars) -> str:
    return file.get("DEVICE") or path.rpartition("/ifcfg-")[2]


def _link(path: str, file: ShellVars, members: dict[str, list[str]]) -> NetworkLink:
    name = _device(path, file)
    return NetworkLink(
        name=name,
        kind=_kind(name, file),
        addresses=tuple(_addresses(file)),
        dhcp=(file.get("BOOTPROTO") or "").lower() in _DYNAMIC,
        mac=file.get("HWADDR") or file.get("MACADDR") or "",
        lower=tuple(filter(None, [*_below(name, file), *members.get(name, ())])),
        gateway=bool(file.get("GATEWAY")),
        automatic=(file.get("ONBOOT") or "yes").lower() in _TRUE,
    )


def _below(name: str, file: ShellVars) -> Iterator[str | None]:
    yield file.get("PHYSDEV")
    yield base_of_name(name)
    yield from (file.get("BOND_IFACES") or "").split()
    if _is_above(file):
        yield file.get("OVS_BRIDGE")


def _is_above(file: ShellVars) -> bool:
    """Tell whether this is a link on a bridge of Open vSwitch's, not one that it is made of."""
    return (file.get("TYPE") or "").lower() == "ovsintport"


def _kind(name: str, file: ShellVars) -> LinkKind:
    kind = _KINDS.get((file.get("TYPE") or file.get("DEVICETYPE") or "").lower())
    if kind is not None:
        return kind
    if (file.get("VLAN") or "").lower() in _TRUE or base_of_name(name):
        return LinkKind.VLAN
    if file.get("BONDING_OPTS") is not None or file.get("BONDING_MASTER"):
        return LinkKind.BOND
    if file.get("ESSID"):
        return LinkKind.WIRELESS
    return kind_of_name(name)


def _addresses(file: ShellVars) -> Iterator[str]:
    for item in file.assignments:
        if _ADDRESS.fullmatch(item.name):
            yield from item.value.split()
