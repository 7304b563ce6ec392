"""systemd-networkd: .network files (systemd.network(5)).

The first file in lexical order that matches a card wins, over /etc, /run and /usr/lib. One file is
made to match every Ethernet card and to ask for DHCP; the others that configured cards go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import ini
from converter.guest import paths
from converter.model import NetworkStack

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

DIRECTORY: Final = "/etc/systemd/network"
_UNIT: Final = "systemd-networkd.service"
_ENABLED_BY: Final = (
    f"/etc/systemd/system/multi-user.target.wants/{_UNIT}",
    f"/etc/systemd/system/network.target.wants/{_UNIT}",
    "/etc/systemd/system/dbus-org.freedesktop.network1.service",
)
_REASON: Final = (
    "the addresses and card names of the source network do not exist on EC2:"
    " DHCP on whatever card there is"
)
_ANY_CARD: Final = """\
# DHCP on whatever network card this machine has (put in by converter).
[Match]
Name=en* eth*

[Network]
DHCP=yes
"""


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what networkd configures; None when it is not enabled."""
    if not any(guest.lstat(path) is not None for path in _ENABLED_BY):
        return None
    files = _card_files(guest)
    units = [_parse(guest, path) for path in files]
    names = [name for unit in units for name in _words(unit, "Match", "Name")]
    static = any(unit.get_all("Network", "Address") or unit.sections("Address") for unit in units)
    return NetworkStack("networkd", files, tuple(dict.fromkeys(names)), static)


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan that one file asks for DHCP on any card and that no other configures one."""
    first = stack.files[0] if stack.files else f"{DIRECTORY}/10-converter-dhcp.network"
    guest.write(first, _ANY_CARD.encode(), code="network-dhcp", reason=_REASON)
    for path in stack.files[1:]:
        guest.remove(path, code="network-dhcp", reason=_REASON)


def _card_files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give the administrator's .network files, but for those of links made by software."""
    found = paths.glob(guest, f"{DIRECTORY}/*.network")
    return tuple(path for path in found if not _is_virtual(_parse(guest, path)))


def _is_virtual(unit: ini.Ini) -> bool:
    kinds = {*_words(unit, "Match", "Type"), *_words(unit, "Match", "Kind")}
    virtual = {"loopback", "bridge", "veth", "dummy", "wireguard", "vlan", "tun", "tap"}
    return bool(kinds & virtual) or _words(unit, "Match", "Name") == ["lo"]


def _words(unit: ini.Ini, section: str, key: str) -> list[str]:
    return [word for value in unit.get_all(section, key) for word in value.split()]


def _parse(guest: ReadableGuest, path: str) -> ini.Ini:
    return ini.parse(paths.text(guest, path) or "")
