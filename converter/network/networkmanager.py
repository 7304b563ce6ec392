"""NetworkManager: its connection profiles in keyfiles (nm-settings-keyfile(5)).

A profile that names no card and no address is for every card; with `multi-connect` (NetworkManager
1.14, passed over by older ones) for several at once. Without any profile a card gets DHCP unless
`no-auto-default` says otherwise: then nothing is changed. Profiles in ifcfg files are those of
`ifcfg`, those in netplan's files of `netplan`.

NetworkManager brings its own DHCP client. Limits: profiles in the vendor's directory are left.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from converter.formats import ini
from converter.guest import paths
from converter.model import LinkKind, NetworkLink, NetworkStack
from converter.network import changes, netplan, services
from converter.network import networkmanager_config as config
from converter.network.links import kind_of_name, make_stack, merge, on_cards, primary

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

NAME: Final = "networkmanager"
DIRECTORY: Final = "/etc/NetworkManager/system-connections"
PROFILE: Final = f"{DIRECTORY}/converter-any-card.nmconnection"
# Always the same, so that a second conversion finds nothing to do.
_UUID: Final = uuid.uuid5(uuid.NAMESPACE_URL, "converter:any-card")
_ANY_CARD: Final = f"""\
# DHCP on whatever network card this machine has (put in by converter).
[connection]
id=any-card
uuid={_UUID}
type=802-3-ethernet
multi-connect=3

[ipv4]
method=auto

[ipv6]
method=auto
"""
_KINDS: Final = {
    "ethernet": LinkKind.ETHERNET,
    "802-3-ethernet": LinkKind.ETHERNET,
    "infiniband": LinkKind.ETHERNET,
    "pppoe": LinkKind.TUNNEL,
    "bond": LinkKind.BOND,
    "team": LinkKind.BOND,
    "bridge": LinkKind.BRIDGE,
    "ovs-bridge": LinkKind.BRIDGE,
    "vlan": LinkKind.VLAN,
    "ip-tunnel": LinkKind.TUNNEL,
    "wifi": LinkKind.WIRELESS,
    "802-11-wireless": LinkKind.WIRELESS,
    "gsm": LinkKind.WIRELESS,
    "cdma": LinkKind.WIRELESS,
    "bluetooth": LinkKind.WIRELESS,
}
_FALSE: Final = frozenset({"false", "no", "0", "off"})
_NO_GATEWAY: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - not bound to


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what NetworkManager configures; None when it is not started, or leaves cards alone."""
    if not services.is_started(guest, NAME) or not _manages(guest):
        return None
    profiles = _profiles(guest)
    links = merge(link for _, link in profiles)
    return make_stack(
        NAME, (path for path, _ in profiles), links, managed=config.has_auto_default(guest)
    )


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan one profile for every card, in the place of its own; those of other cards go."""
    going = _going(guest)
    if going or not stack.managed:
        target = _target(guest, stack)
        changes.write(guest, target, _ANY_CARD, mode=0o600)
        _release(guest, except_for=target)


def let_go(guest: RecordingGuest, _stack: NetworkStack) -> None:
    """Plan that NetworkManager configures no card."""
    _release(guest)
    config.let_go(guest)


def release_profiles(guest: RecordingGuest, _stack: NetworkStack) -> None:
    """Plan that no profile of its own is for a card: something else tells it what to do."""
    _release(guest)


def _release(guest: RecordingGuest, *, except_for: str = "") -> None:
    """Plan that no profile is for a card of the source."""
    for path in _going(guest):
        if path != except_for:
            changes.remove(guest, path)


def _going(guest: ReadableGuest) -> list[str]:
    """Give the profiles of cards and of what is made of them."""
    profiles = _profiles(guest)
    gone = {link.name for link in on_cards(merge(link for _, link in profiles))}
    return [path for path, link in profiles if link.name in gone]


def _target(guest: ReadableGuest, stack: NetworkStack) -> str:
    """Give where the profile is written: that of the card, if NetworkManager took it as it is."""
    link = primary(stack)
    if link is None or link.kind is not LinkKind.ETHERNET:
        return PROFILE
    own = (path for path, found in _profiles(guest) if found.name == link.name)
    return next((path for path in own if _is_roots(guest, path)), PROFILE)


def _is_roots(guest: ReadableGuest, path: str) -> bool:
    stat = guest.lstat(paths.resolve(guest, path))
    return stat is not None and stat.uid == 0


def _manages(guest: ReadableGuest) -> bool:
    by_netplan = netplan.global_renderer(guest) == netplan.NETWORK_MANAGER
    hidden = {config.NETPLANS} if by_netplan else set()
    return config.manages_cards(guest, hidden=hidden)


def _profiles(guest: ReadableGuest) -> list[tuple[str, NetworkLink]]:
    """Read every profile; hidden files are none (NetworkManager passes them over too)."""
    found = [
        (path, ini.parse(paths.text(guest, path) or ""))
        for path in paths.glob(guest, f"{DIRECTORY}/*")
        if paths.is_file(guest, path) and not path.endswith("~")
    ]
    names = {
        unit.get("connection", key): _name(unit)
        for _, unit in found
        for key in ("uuid", "id", "interface-name")
        if unit.get("connection", key)
    }
    members: dict[str, list[str]] = {}
    for _, unit in found:
        master = unit.get("connection", "controller") or unit.get("connection", "master")
        if master:
            members.setdefault(names.get(master, master), []).append(_name(unit))
    return [(path, _link(unit, members, names)) for path, unit in found]


def _name(unit: ini.Ini) -> str:
    for key in ("interface-name", "id", "uuid"):
        value = unit.get("connection", key)
        if value:
            return value
    return ""


def _link(unit: ini.Ini, members: dict[str, list[str]], names: dict[str, str]) -> NetworkLink:
    name = _name(unit)
    kind = _KINDS.get(unit.get("connection", "type"), LinkKind.OTHER)
    if kind is LinkKind.ETHERNET and kind_of_name(unit.get("connection", "interface-name")) in {
        LinkKind.WIRELESS,
        LinkKind.OTHER,
    }:
        kind = LinkKind.OTHER
    parents = [unit.get(section, "parent") for section in ("vlan", "macvlan", "vxlan")]
    macs = [unit.get(section, "mac-address") for section in ("ethernet", "802-3-ethernet")]
    return NetworkLink(
        name=name,
        kind=kind,
        addresses=_addresses(unit),
        dhcp=unit.get("ipv4", "method") == "auto",
        mac=max(macs),
        lower=(*(names.get(p, p) for p in parents if p), *members.get(name, ())),
        gateway=_has_gateway(unit),
        automatic=unit.get("connection", "autoconnect").lower() not in _FALSE,
    )


def _addresses(unit: ini.Ini) -> tuple[str, ...]:
    return tuple(parts[0] for parts in _address_parts(unit))


def _has_gateway(unit: ini.Ini) -> bool:
    """Tell whether a profile sets the default route: beside an address, or by itself."""
    if unit.get("ipv4", "gateway") or unit.get("ipv6", "gateway"):
        return True
    return any(len(parts) > 1 and parts[-1] not in _NO_GATEWAY for parts in _address_parts(unit))


def _address_parts(unit: ini.Ini) -> list[list[str]]:
    """Give each `addressN=ADDRESS/PREFIX[,GATEWAY]`, as old ones `ADDRESS;PREFIX;GATEWAY;` too."""
    values = (
        value
        for section in ("ipv4", "ipv6")
        for _, key, value in unit.sections(section)
        if key.startswith("address")
    )
    split = ([part for part in value.replace(";", ",").split(",") if part] for value in values)
    return [parts for parts in split if parts]
