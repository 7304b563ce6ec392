"""What every network stack offers: how it is found, and how it comes to DHCP or lets the card go.

Several may be in use at once, but only one may configure the card: the one that the default route
of the source went over (`choose`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.network import ifcfg, ifupdown, netplan, networkd, networkmanager, suse
from converter.network.links import primary, weight

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest
    from converter.model import NetworkStack

    Change = Callable[[RecordingGuest, NetworkStack], None]


@dataclass(frozen=True, slots=True)
class Stack:
    """A network stack: `find` gives what is configured with it, None when it is not in use.

    `to_dhcp` plans DHCP for whatever card there is, `let_go` that it configures none.
    """

    name: str
    find: Callable[[ReadableGuest], NetworkStack | None]
    to_dhcp: Change
    let_go: Change


# Of stacks that have an equal claim to the card, the first gets it: those that tell others what to
# do, then those that bring a DHCP client.
STACKS: Final = (
    Stack("netplan", netplan.find, netplan.to_dhcp, netplan.let_go),
    Stack("ifcfg", ifcfg.find, ifcfg.to_dhcp, ifcfg.let_go),
    Stack("wicked", suse.find_wicked, suse.to_dhcp, suse.let_go),
    Stack("ifcfg-suse", suse.find_script, suse.to_dhcp, suse.let_go),
    Stack("networkmanager", networkmanager.find, networkmanager.to_dhcp, networkmanager.let_go),
    Stack("networkd", networkd.find, networkd.to_dhcp, networkd.let_go),
    Stack("ifupdown", ifupdown.find, ifupdown.to_dhcp, ifupdown.let_go),
)


def choose(found: Sequence[NetworkStack]) -> NetworkStack | None:
    """Give the stack that configured the card of the default route; the first of equals."""
    return max(found, key=_claim, default=None)


def _claim(stack: NetworkStack) -> tuple[bool, bool, bool, bool]:
    link = primary(stack)
    if link is None:
        return (False, False, False, stack.managed)
    return (*weight(link), stack.managed)


def configures_cards(guest: ReadableGuest, chosen: NetworkStack) -> frozenset[str]:
    """Give the stacks that have to do with the card when `chosen` configures it.

    netplan hands it to another, and NetworkManager may be who reads ifcfg files.
    """
    if chosen.name == "netplan":
        by = "networkd" if netplan.renderer(guest, chosen) == "networkd" else "networkmanager"
        return frozenset({chosen.name, by})
    if chosen.name == "ifcfg":
        return frozenset({chosen.name, "networkmanager"})
    return frozenset({chosen.name})
