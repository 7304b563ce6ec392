"""systemd-networkd: .network and .netdev files (systemd.network(5), systemd.netdev(5)).

The first .network file in lexical order that matches a card wins, over /etc and the vendor's
directories (/run is empty at boot); a file in /etc hides one of the same name. One file is made to
match every Ethernet card and to ask for DHCP, unless the vendor's does; the others that configured
cards go, with the bonds, bridges and VLANs that were made of them. Files for wireless cards and for
links that need no card stay. A vendor's file is masked only where it would come first and catch the
card.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import globs, ini
from converter.guest import paths
from converter.model import FileKind, LinkKind, NetworkLink, NetworkStack
from converter.network import changes, services
from converter.network.links import is_card_name, kind_of_name, make_stack, merge, on_cards

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

NAME: Final = "networkd"
DIRECTORY: Final = "/etc/systemd/network"
_VENDOR: Final = (
    "/usr/local/lib/systemd/network",
    "/usr/lib/systemd/network",
    "/lib/systemd/network",
)
_OURS: Final = "10-converter-dhcp.network"
_ANY_CARD: Final = """\
# DHCP on whatever network card this machine has (put in by converter).
[Match]
Name=en* eth*

[Network]
DHCP=yes
"""
_NETDEV_KINDS: Final = {
    "bond": LinkKind.BOND,
    "team": LinkKind.BOND,
    "bridge": LinkKind.BRIDGE,
    "vlan": LinkKind.VLAN,
}
# A card's file names what is made of it: systemd.network(5), [Network].
_MASTERS: Final = ("Bridge", "Bond", "VRF", "BatmanAdvanced")
_STACKED: Final = (
    "VLAN", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "Tunnel", "MACsec", "IPoIB", "Xfrm",
)  # fmt: skip
# Drivers, as ethtool -i names them, of links that no hardware is behind.
_VIRTUAL_DRIVERS: Final = frozenset({
    "tun", "veth", "bridge", "bonding", "dummy", "802.1Q", "macvlan", "ipvlan", "wireguard", "vrf",
})  # fmt: skip
_WIRELESS_KEYS: Final = ("SSID", "BSSID", "WLANInterfaceType")
_DYNAMIC: Final = frozenset({"yes", "true", "ipv4", "ipv6", "both", "v4", "v6", "on", "1"})


@dataclass(frozen=True, slots=True)
class _File:
    """A .network or .netdev file that counts, with its drop-ins in `unit`, by its link's name."""

    path: str
    unit: ini.Ini
    drop_ins: tuple[str, ...]
    link: NetworkLink

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what networkd configures; None when it is not started at boot."""
    if not services.is_started(guest, NAME):
        return None
    files = _read(guest)
    shown = [file for file in files if file.path.startswith(DIRECTORY) or file.link.addresses]
    return make_stack(
        NAME,
        (file.path for file in shown),
        merge(file.link for file in shown),
        managed=_vendor_asks(files),
    )


def _vendor_asks(files: Sequence[_File]) -> bool:
    """Tell whether the vendor's files already ask for DHCP on any card."""
    catching = (file for file in files if not _is_admins(file) and _catches_card(file.unit))
    first = next(catching, None)
    return first is not None and first.link.dhcp and not first.link.addresses


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan that one file asks for DHCP on any card and that no other configures one."""
    files = _read(guest)
    going = _going(files)
    if stack.managed and not any(_is_admins(file) for file in going):
        return
    ours = next(
        (file for file in going if _is_admins(file) and file.name.endswith(".network")), None
    )
    path = ours.path if ours else f"{DIRECTORY}/{_OURS}"
    changes.write(guest, path, _ANY_CARD)
    _remove_drop_ins(guest, ours)
    name = path.rpartition("/")[2]
    _release(guest, (file for file in going if file.path != path), before=name)


def let_go(guest: RecordingGuest, _stack: NetworkStack) -> None:
    """Plan that networkd configures no card."""
    _release(guest, _going(_read(guest)), before="")


def _release(guest: RecordingGuest, going: Iterable[_File], *, before: str) -> None:
    """Plan that files count no more; a vendor's only if it catches a card, and comes `before`."""
    for file in going:
        if _is_admins(file):
            changes.remove(guest, file.path)
            _remove_drop_ins(guest, file)
        elif _catches_card(file.unit) and (not before or file.name < before):
            reason = "would come first and configure the card in another way"
            changes.mask(guest, f"{DIRECTORY}/{file.name}", reason=reason)


def _remove_drop_ins(guest: RecordingGuest, file: _File | None) -> None:
    for path in file.drop_ins if file else ():
        if path.startswith(DIRECTORY):
            changes.remove(guest, path)
        elif file is not None:
            changes.mask(guest, f"{DIRECTORY}/{file.name}.d/{path.rpartition('/')[2]}")


def _is_admins(file: _File) -> bool:
    return file.path.startswith(DIRECTORY)


def _going(files: Sequence[_File]) -> list[_File]:
    """Give the files of cards and of what is made of them."""
    gone = {link.name for link in on_cards(merge(file.link for file in files))}
    return [file for file in files if file.link.name in gone]


# --- reading --------------------------------------------------------------------------------------


def _read(guest: ReadableGuest) -> list[_File]:
    """Read every file that counts, in the order in which networkd asks them."""
    units = [
        (path, *_with_drop_ins(guest, path))
        for path in _effective(guest, DIRECTORY, *_VENDOR)
        if path.endswith((".network", ".netdev"))
    ]
    netdevs = {
        unit.get("NetDev", "Name"): unit.get("NetDev", "Kind")
        for path, unit, _ in units
        if path.endswith(".netdev")
    }
    networks = [(path, unit) for path, unit, _ in units if path.endswith(".network")]
    lower = _lower(networks, netdevs)
    links = [_link(path, unit, netdevs) for path, unit, _ in units]
    found = [
        _File(path, unit, drop_ins, replace(link, lower=lower.get(link.name, ())))
        for (path, unit, drop_ins), link in zip(units, links, strict=True)
    ]
    return [file for file in found if file.link.name != "lo"]


def _effective(guest: ReadableGuest, *directories: str) -> list[str]:
    """Give the files in `directories` that count, by name: an earlier directory hides a later."""
    found: dict[str, str] = {}
    for directory in directories:
        for name in paths.names(guest, directory):
            found.setdefault(name, f"{directory}/{name}")
    return [path for _, path in sorted(found.items()) if _counts(guest, path)]


def _counts(guest: ReadableGuest, path: str) -> bool:
    """Tell whether there is anything in a file; one linked to /dev/null is masked."""
    if not paths.is_file(guest, path):
        return False
    stat = guest.lstat(paths.resolve(guest, path))
    return stat is not None and stat.kind is FileKind.FILE and stat.size > 0


def _with_drop_ins(guest: ReadableGuest, path: str) -> tuple[ini.Ini, tuple[str, ...]]:
    name = path.rpartition("/")[2]
    unit = ini.parse(paths.text(guest, path) or "")
    directories = (f"{directory}/{name}.d" for directory in (DIRECTORY, *_VENDOR))
    drop_ins = [found for found in _effective(guest, *directories) if found.endswith(".conf")]
    for found in drop_ins:
        unit = unit.with_drop_in(ini.parse(paths.text(guest, found) or ""))
    return unit, tuple(drop_ins)


def _lower(
    networks: Iterable[tuple[str, ini.Ini]], netdevs: dict[str, str]
) -> dict[str, tuple[str, ...]]:
    """Give what each link is made of: the cards' files name it, not its own."""
    lower: dict[str, tuple[str, ...]] = {}
    for path, unit in networks:
        below = _link_name(path, unit, netdevs)
        for key in (*_MASTERS, *_STACKED):
            for name in unit.words("Network", key):
                lower[name] = (*lower.get(name, ()), below)
    return lower


def _link(path: str, unit: ini.Ini, netdevs: dict[str, str]) -> NetworkLink:
    if path.endswith(".netdev"):
        name = unit.get("NetDev", "Name")
        kind = _NETDEV_KINDS.get(unit.get("NetDev", "Kind").lower(), LinkKind.OTHER)
        return NetworkLink(name, kind, mac=unit.get("NetDev", "MACAddress"), automatic=False)
    dhcp = unit.get("Network", "DHCP").lower() in _DYNAMIC
    return NetworkLink(
        name=_link_name(path, unit, netdevs),
        kind=_kind(unit, netdevs),
        addresses=(*unit.get_all("Network", "Address"), *unit.get_all("Address", "Address")),
        dhcp=dhcp,
        mac=next(iter(unit.words("Match", "MACAddress")), ""),
        gateway=bool(unit.get("Network", "Gateway") or unit.get("Route", "Gateway")),
    )


def _link_name(path: str, unit: ini.Ini, netdevs: dict[str, str]) -> str:
    """Give the name a file matches by, or what else it matches by, or the file's own."""
    for key in ("Name", "MACAddress", "PermanentMACAddress", "Path", "Driver", "Type"):
        words = unit.words("Match", key)
        if words:
            known = [word for word in words if word in netdevs]
            return known[0] if known else " ".join(words)
    return path.rpartition("/")[2]


def _kind(unit: ini.Ini, netdevs: dict[str, str]) -> LinkKind:
    """Tell what links a .network file is for; a card, unless it says otherwise."""
    if any(unit.get("Match", key) for key in _WIRELESS_KEYS):
        return LinkKind.WIRELESS
    types = _positive(unit.words("Match", "Type"))
    if types and "ether" not in types:
        return LinkKind.WIRELESS if types <= {"wlan", "wwan"} else LinkKind.OTHER
    kinds = _positive(unit.words("Match", "Kind"))
    drivers = _positive(unit.words("Match", "Driver"))
    if kinds or (drivers and drivers <= _VIRTUAL_DRIVERS):
        return next(
            (_NETDEV_KINDS[kind] for kind in kinds if kind in _NETDEV_KINDS), LinkKind.OTHER
        )
    return _kind_of_names(_positive(unit.words("Match", "Name")), netdevs)


def _kind_of_names(names: Iterable[str], netdevs: dict[str, str]) -> LinkKind:
    found = {
        _NETDEV_KINDS.get(netdevs[name].lower(), LinkKind.OTHER)
        if name in netdevs
        else kind_of_name(name)
        for name in names
    }
    return found.pop() if len(found) == 1 else LinkKind.ETHERNET


def _positive(words: Iterable[str]) -> set[str]:
    """Give the words of a match that is not negated (`!` before the first negates them all)."""
    found = list(words)
    return set() if found and found[0].startswith("!") else set(found)


def _catches_card(unit: ini.Ini) -> bool:
    """Tell whether a file can match a card on EC2."""
    pinned = ("MACAddress", "PermanentMACAddress", "Path", "Host", "SSID", "BSSID")
    if any(unit.get("Match", key) for key in pinned):
        return False
    virtualization = _positive(unit.words("Match", "Virtualization"))
    if virtualization & {"container", "vmware", "oracle", "microsoft"}:
        return False
    drivers = _positive(unit.words("Match", "Driver"))
    known: list[str] = load("linux")["network"]["card_drivers"]
    if drivers and not any(globs.matches(name, d) for d in drivers for name in known):
        return False
    types = _positive(unit.words("Match", "Type"))
    names = _positive(unit.words("Match", "Name"))
    return (not types or "ether" in types) and (not names or is_card_name(names))
