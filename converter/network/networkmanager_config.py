"""NetworkManager.conf and its drop-ins (NetworkManager.conf(5)): which cards it leaves alone.

A later file wins: the vendor's drop-ins, NetworkManager.conf, the administrator's drop-ins; one in
/etc hides one of the vendor's with the same name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import globs, ini
from converter.guest import paths
from converter.network.links import is_card_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

MAIN: Final = "/etc/NetworkManager/NetworkManager.conf"
DROP_INS: Final = "/etc/NetworkManager/conf.d"
_VENDOR: Final = ("/usr/lib/NetworkManager/conf.d", "/lib/NetworkManager/conf.d")
# Sorted last, so that nothing gives the cards back.
LET_GO: Final = f"{DROP_INS}/zz-converter-unmanaged.conf"
_UNMANAGED: Final = """\
# Something else configures the network card (put in by converter).
[keyfile]
unmanaged-devices={}
"""
# By type for new versions, by name for those that do not know types.
_CARDS: Final = ("type:ethernet", "interface-name:e*")
_CODE: Final = "network-dhcp"
_FALSE: Final = frozenset({"0", "no", "false", "off"})
# Netplan replaces this file of Ubuntu's at boot, when it leaves all cards to NetworkManager.
NETPLANS: Final = "10-globally-managed-devices.conf"


def manages_cards(guest: ReadableGuest, *, hidden: Container[str] = ()) -> bool:
    """Tell whether the configuration leaves the cards of EC2 to NetworkManager.

    `hidden` are names of files that do not count.
    """
    for unit in _units(guest, hidden):
        for section, key, value in unit.assignments:
            off = section.startswith("device") and key == "managed" and value.lower() in _FALSE
            if off and _matches(_specs(unit.get(section, "match-device"))):
                return False
    return not _matches(_unmanaged(guest, hidden))


def _unmanaged(guest: ReadableGuest, hidden: Container[str]) -> list[str]:
    found: list[str] = []
    for unit in _units(guest, hidden):
        for _, key, value in unit.sections("keyfile"):
            if key == "unmanaged-devices":
                found = _specs(value)
            elif key == "unmanaged-devices+":
                found += _specs(value)
    return found


def has_auto_default(guest: ReadableGuest) -> bool:
    """Tell whether a card that nothing is configured for gets DHCP."""
    values = [unit.get("main", "no-auto-default") for unit in _units(guest, ())]
    last = next((value for value in reversed(values) if value), "")
    return not _matches(_specs(last))


def may_load(guest: ReadableGuest, plugin: str) -> bool:
    """Tell whether the configuration lets NetworkManager load a plugin for profiles."""
    values = [unit.get("main", "plugins") for unit in _units(guest, ())]
    last = next((value for value in reversed(values) if value), "")
    return not last or plugin in _specs(last)


def writes_resolver(guest: ReadableGuest) -> bool:
    """Tell whether /etc/resolv.conf is written, or systemd-resolved told."""
    units = tuple(_units(guest, ()))
    dns = [value for unit in units if (value := unit.get("main", "dns"))]
    managers = [value for unit in units if (value := unit.get("main", "rc-manager"))]
    return dns[-1:] != ["none"] and managers[-1:] != ["unmanaged"]


def let_go(guest: RecordingGuest) -> None:
    """Plan that NetworkManager leaves every wired card alone, besides what it leaves already."""
    specs = [*_unmanaged(guest, {LET_GO.rpartition("/")[2]}), *_CARDS]
    text = _UNMANAGED.format(";".join(dict.fromkeys(specs)))
    reason = "another stack configures the card: only one may"
    guest.write(LET_GO, paths.encode(text), code=_CODE, reason=reason)


def _units(guest: ReadableGuest, hidden: Container[str]) -> Iterator[ini.Ini]:
    etc = {path.rpartition("/")[2] for path in paths.glob(guest, f"{DROP_INS}/*.conf")}
    vendor = {
        path.rpartition("/")[2]: path
        for directory in reversed(_VENDOR)
        for path in paths.glob(guest, f"{directory}/*.conf")
    }
    order = [
        path for name, path in sorted(vendor.items()) if name not in etc and name not in hidden
    ]
    order += [MAIN, *(f"{DROP_INS}/{name}" for name in sorted(etc) if name not in hidden)]
    for path in order:
        text = paths.text(guest, path)
        if text is not None:
            yield ini.parse(text)


def _specs(value: str) -> list[str]:
    return [spec for spec in re.split(r"[;,\s]+", value) if spec]


def _matches(specs: list[str]) -> bool:
    """Tell whether a list of device specifications holds for an Ethernet card of EC2."""
    excepted = [spec.removeprefix("except:") for spec in specs if spec.startswith("except:")]
    if any(_holds(spec) for spec in excepted):
        return False
    return any(_holds(spec) for spec in specs if not spec.startswith("except:"))


def _holds(spec: str) -> bool:
    key, _, value = spec.partition(":")
    match key:
        case "*":
            return True
        case "type":
            return value == "ethernet"
        case "interface-name":
            return is_card_name([value.lstrip("=~")])
        case "driver":
            drivers: list[str] = load("linux")["network"]["card_drivers"]
            return any(globs.matches(driver, value) for driver in drivers)
    return False
