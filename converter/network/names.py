"""Rules that tie a card's name to its MAC address or its place: none of them fits another card.

udev's persistent-net rules (the generator of systemd before 209) and .link files (systemd.link(5)).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import ini
from converter.guest import paths

if TYPE_CHECKING:
    from converter.guest.recording import RecordingGuest

_RULES: Final = "/etc/udev/rules.d/*.rules"
_LINKS: Final = "/etc/systemd/network/*.link"
# Keys of [Match] that name one card; anything else (Type=, Driver=) says what kind of card.
_PINNING: Final = ("MACAddress", "PermanentMACAddress", "Path", "OriginalName")
# A rule for a network card that gives it a name: SUBSYSTEM=="net" … NAME="eth0".
_NAMING_RULE: Final = re.compile(r'SUBSYSTEM==?"net".*\bNAME:?="[^"]+"')
_MACHINE_PART: Final = re.compile(r"ATTRS?\{address\}==|KERNELS==|DEVPATH==|ENV\{ID_PATH\}==")


def release(guest: RecordingGuest) -> None:
    """Plan that no rule names a card by its address or place any more."""
    for path in paths.glob(guest, _RULES):
        _release_rules(guest, path)
    for path in paths.glob(guest, _LINKS):
        unit = ini.parse(paths.text(guest, path) or "")
        if any(unit.get_all("Match", key) for key in _PINNING) and unit.get_all("Link", "Name"):
            guest.remove(
                path,
                code="network-name-pin",
                reason="names a card that is not there on EC2 by its address or place",
            )


def _release_rules(guest: RecordingGuest, path: str) -> None:
    text = paths.text(guest, path) or ""
    lines = text.splitlines(keepends=True)
    kept = [line for line in lines if not _pins(line)]
    reason = "names a card that is not there on EC2 by its address or place"
    if kept == lines:
        return
    if all(not line.strip() or line.lstrip().startswith("#") for line in kept):
        guest.remove(path, code="network-name-pin", reason=reason)
    else:
        data = "".join(kept).encode("utf-8", "surrogateescape")
        guest.write(path, data, code="network-name-pin", reason=reason)


def _pins(line: str) -> bool:
    return (
        not line.lstrip().startswith("#")
        and _NAMING_RULE.search(line) is not None
        and _MACHINE_PART.search(line) is not None
    )
