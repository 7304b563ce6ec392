"""What would hold the boot up: units that wait for cards of the source, which never come.

systemd-networkd-wait-online told of a card by its name (systemd-networkd-wait-online.service(8)),
or left alone with no card to wait for; and units that need the device unit of a card, for which
systemd waits 90 seconds (systemd.device(5)). The latter did something with that one card: they are
not started any more, and named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.guest import paths
from converter.guest.services import UNITS, unit_directories
from converter.model import Finding, LinkKind, Severity
from converter.network.links import is_card_name, kind_of_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

_CODE: Final = "network-wait"
_REASON: Final = "a card of the source would be waited for, which never comes"
WAIT_ONLINE: Final = "systemd-networkd-wait-online"
# `-i NAME`, `--interface=NAME`, `--interface NAME`.
_WAITS_FOR_NAME: Final = re.compile(
    r"^[ \t]*ExecStart=.*(?:[ \t]-i[ \t=]*|[ \t]--interface[ \t=])", re.MULTILINE
)
_NEEDS_CARD: Final = re.compile(
    r"^[ \t]*(?:Requires|Requisite|BindsTo|Wants)[ \t]*=.*"
    r"sys-subsystem-net-devices-([^\s]{1,80})\.device",
    re.MULTILINE,
)
_MOST_UNITS: Final = 4096


def release_wait_online(guest: RecordingGuest, *, networkd_has_cards: bool) -> None:
    """Plan that networkd's wait for the network names no card, or does not happen without one."""
    unit = f"{WAIT_ONLINE}.service"
    for path in (f"{UNITS}/{unit}", *paths.glob(guest, f"{UNITS}/{unit}.d/*.conf")):
        if _WAITS_FOR_NAME.search(paths.text(guest, path) or ""):
            guest.remove(path, code=_CODE, reason=_REASON)
    for link in [*_starts(guest)]:
        name = link.rpartition("/")[2]
        if name.startswith(f"{WAIT_ONLINE}@"):
            guest.remove(link, code=_CODE, reason=_REASON)
        elif name == unit and not networkd_has_cards:
            reason = "networkd configures no card any more: it would wait until its time is up"
            guest.remove(link, code=_CODE, reason=reason)


def release_units(guest: RecordingGuest) -> None:
    """Plan that no unit is started that needs a card of the source; name those that were."""
    units = _Units(guest)
    for link in [*_starts(guest)]:
        unit = link.rpartition("/")[2]
        card = None if unit.startswith(WAIT_ONLINE) else _card_needed(units, unit)
        if card is None:
            continue
        guest.remove(link, code=_CODE, reason=_REASON)
        guest.note(
            Finding(
                Severity.WARNING,
                "network-unit-disabled",
                f"{unit} needs the network card {card}, which is not there on EC2;"
                " it is not started any more",
                "enable it again for the card of the instance, if it is still wanted",
            )
        )


def _starts(guest: ReadableGuest) -> Iterator[str]:
    """Give the links by which the administrator had units started."""
    seen = 0
    for directory in paths.names(guest, UNITS):
        if not directory.endswith((".wants", ".requires")):
            continue
        for name in paths.names(guest, f"{UNITS}/{directory}"):
            seen += 1
            if seen > _MOST_UNITS:
                return
            # What is started by a device that is not there is not waited for.
            if not directory.startswith("sys-subsystem-net-devices-"):
                yield f"{UNITS}/{directory}/{name}"


def _card_needed(units: _Units, unit: str) -> str | None:
    """Give the card without which `unit` is not started, if it is one of the source's."""
    base, _, kind = unit.rpartition(".")
    template, at, instance = base.partition("@")
    for name in {unit, f"{template}@.{kind}" if at else unit}:
        for found in _NEEDS_CARD.findall(units.text(name)):
            card = str(found).replace("%i", instance).replace("%I", instance).replace("\\x2d", "-")
            if kind_of_name(card) is LinkKind.ETHERNET and not is_card_name([card]):
                return card
    return None


class _Units:
    """The text of units; the directories are listed once."""

    def __init__(self, guest: ReadableGuest) -> None:
        self._guest = guest
        self._names = {
            path: frozenset(paths.names(guest, path)) for path in unit_directories(guest)
        }

    def text(self, unit: str) -> str:
        """Give `unit` and its drop-ins, one after the other; "" if there is none."""
        found = next((f"{path}/{unit}" for path, has in self._names.items() if unit in has), None)
        drop_ins = [
            place
            for path, has in self._names.items()
            if f"{unit}.d" in has
            for place in paths.glob(self._guest, f"{path}/{unit}.d/*.conf")
        ]
        places = [*filter(None, [found]), *drop_ins]
        return "\n".join(paths.text(self._guest, place) or "" for place in places)
