"""ifupdown: /etc/network/interfaces and the files it sources (interfaces(5)).

Any card gets DHCP by `allow-hotplug /e*`, a pattern over the names that exist, and a `mapping` that
gives every one of them the same stanza. (`auto /e*=…` would be shorter, but networking.service
then looks before udev has found the card; and hotplug cannot find a `/e*=…` name again.) ifupdown
before 0.8 knows no patterns; its guests name their first card eth0, and that is what they get.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import interfaces
from converter.guest import paths
from converter.model import Finding, NetworkStack, Severity

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

CONFIG: Final = "/etc/network/interfaces"
SCRIPT: Final = "/etc/network/converter-any-interface"
_PROGRAM: Final = ("/sbin/ifup", "/usr/sbin/ifup")
_STATIC: Final = frozenset({"static", "ppp", "wvdial", "tunnel", "v4tunnel", "6to4"})
_PATTERNS_SINCE: Final = (0, 8)

_SCRIPT_TEXT: Final = """\
#!/bin/sh
# For the mapping in /etc/network/interfaces: every card has the stanza "primary".
echo primary
"""
_ANY_CARD: Final = f"""\
# DHCP on whatever network card this machine has (put in by converter).
allow-hotplug /e*
mapping e*
    script {SCRIPT}
iface primary inet dhcp
"""
_FIRST_CARD: Final = """\
# DHCP on the first network card (put in by converter).
auto eth0
iface eth0 inet dhcp
"""


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what ifupdown configures; None when it is not installed or configures nothing."""
    if not any(paths.is_file(guest, path) for path in _PROGRAM):
        return None
    stanzas = [stanza for path in _files(guest) for stanza in _parse(guest, path).ifaces]
    if not stanzas and not paths.is_file(guest, CONFIG):
        return None
    cards = [stanza for stanza in stanzas if stanza.method != "loopback"]
    return NetworkStack(
        name="ifupdown",
        files=_files(guest),
        interfaces=tuple(dict.fromkeys(stanza.name for stanza in cards)),
        static=any(stanza.method in _STATIC for stanza in cards),
    )


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan DHCP on any card: every other stanza goes, comments and the loopback stay."""
    _require_client(guest)
    block = _ANY_CARD if _knows_patterns(guest) else _FIRST_CARD
    if block is _ANY_CARD:
        reason = "maps whatever card there is to the one DHCP stanza"
        code = "network-dhcp"
        guest.write(SCRIPT, _SCRIPT_TEXT.encode(), code=code, reason=reason, mode=0o755)
    for path in stack.files:
        _rewrite(guest, path, block if path == CONFIG else "")


def _rewrite(guest: RecordingGuest, path: str, block: str) -> None:
    text = paths.text(guest, path) or ""
    kept = text.replace(block, "") if block else text
    wanted = str(interfaces.parse(kept).without_cards())
    if block:
        wanted = f"{wanted.rstrip()}\n\n{block}" if wanted.strip() else block
    guest.write(
        path,
        wanted.encode("utf-8", "surrogateescape"),
        code="network-dhcp",
        reason="the addresses and card names of the source network do not exist on EC2:"
        " DHCP on whatever card there is",
    )


def _files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give the main file and what it sources, nested ones too, each once."""
    found: list[str] = []
    waiting = [CONFIG]
    while waiting and len(found) < 256:
        path = waiting.pop(0)
        if path in found or not paths.is_file(guest, path):
            continue
        found.append(path)
        for pattern in _parse(guest, path).sources:
            absolute = pattern if pattern.startswith("/") else f"/etc/network/{pattern}"
            waiting += paths.glob(guest, absolute)
    return tuple(found)


def _parse(guest: ReadableGuest, path: str) -> interfaces.Interfaces:
    return interfaces.parse(paths.text(guest, path) or "")


def _knows_patterns(guest: ReadableGuest) -> bool:
    status = paths.text(guest, "/var/lib/dpkg/status", limit=64 << 20) or ""
    found = re.search(r"^Package: ifupdown\n(?:.+\n)*?Version: (\d+)\.(\d+)", status, re.MULTILINE)
    return found is not None and (int(found[1]), int(found[2])) >= _PATTERNS_SINCE


def _require_client(guest: RecordingGuest) -> None:
    clients = load("linux")["dhcp_clients"]["paths"]
    if not any(paths.kind(guest, path) is not None for path in clients):
        guest.note(
            Finding(
                Severity.ERROR,
                "dhcp-client-missing",
                "ifupdown configures the network, but the guest has no DHCP client",
                "install isc-dhcp-client (or dhcpcd-base) in the machine and export it again",
            )
        )
