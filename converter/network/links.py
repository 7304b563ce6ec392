"""What network links are, and which of them need a card of the source.

A link is a card, or is made of others (bonds, bridges, VLANs), or needs no card at all (a VPN, the
bridge of containers). What needs one goes: on EC2 there is another card, and the switch behind it
passes neither bonds nor VLANs nor bridged guests.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import globs
from converter.model import LinkKind, NetworkLink, NetworkStack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_VLAN_OF: Final = re.compile(r"(.+)\.\d{1,4}")
_ALIAS_OF: Final = re.compile(r"([^:]+):.*")
_ALWAYS_ON_CARDS: Final = frozenset({LinkKind.ETHERNET, LinkKind.BOND, LinkKind.TUNNEL})


def kind_of_name(name: str) -> LinkKind:
    """Tell what a link called `name` (which may be a pattern) is, as far as its name tells."""
    if _VLAN_OF.fullmatch(name):
        return LinkKind.VLAN
    kinds: dict[str, list[str]] = load("linux")["network"]["kinds"]
    for kind, patterns in kinds.items():
        if any(globs.matches(name, pattern) for pattern in patterns):
            return LinkKind(kind)
    return LinkKind.ETHERNET


def base_of_name(name: str) -> str:
    """Give the link that a VLAN `eth0.5` or an alias `eth0:1` is on, by its name; "" if none."""
    match = _ALIAS_OF.fullmatch(name) or _VLAN_OF.fullmatch(name)
    return match[1] if match else ""


def is_card_name(patterns: Iterable[str]) -> bool:
    """Tell whether any of the shell patterns can match the name of a card on EC2."""
    names: list[str] = load("linux")["network"]["card_names"]
    return any(globs.matches(name, pattern) for pattern in patterns for name in names)


def on_cards(links: Sequence[NetworkLink]) -> tuple[NetworkLink, ...]:
    """Give those of `links` that are cards or need one, directly or through others."""
    known = {link.name for link in links}
    above: dict[str, list[str]] = {}
    for link in links:
        for name in link.lower:
            above.setdefault(name, []).append(link.name)
    waiting = [link.name for link in links if link.kind in _ALWAYS_ON_CARDS]
    # What nothing is known about is a card that is configured elsewhere.
    waiting += [name for name in above if name not in known]
    gone: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in gone:
            gone.add(name)
            waiting += above.get(name, ())
    return tuple(link for link in links if link.name in gone)


def merge(links: Iterable[NetworkLink]) -> tuple[NetworkLink, ...]:
    """Make one link of all that have the same name: a link may be configured in several places."""
    found: dict[str, NetworkLink] = {}
    for link in links:
        there = found.get(link.name)
        found[link.name] = link if there is None else _merged(there, link)
    return tuple(found.values())


def _merged(one: NetworkLink, other: NetworkLink) -> NetworkLink:
    return NetworkLink(
        name=one.name,
        kind=one.kind if one.kind is not LinkKind.ETHERNET else other.kind,
        addresses=(*one.addresses, *other.addresses),
        dhcp=one.dhcp or other.dhcp,
        mac=one.mac or other.mac,
        lower=tuple(dict.fromkeys((*one.lower, *other.lower))),
        gateway=one.gateway or other.gateway,
        automatic=one.automatic or other.automatic,
    )


def make_stack(
    name: str, files: Iterable[str], links: Iterable[NetworkLink], *, managed: bool = False
) -> NetworkStack:
    """Make the record of a stack from what it configures."""
    kept = tuple(links)
    return NetworkStack(
        name=name,
        files=tuple(files),
        interfaces=tuple(dict.fromkeys(link.name for link in kept if link.name)),
        static=any(link.addresses for link in kept),
        links=kept,
        managed=managed,
    )


def primary(stack: NetworkStack) -> NetworkLink | None:
    """Give the link of `stack` that the default route goes over: by a gateway, else by DHCP."""
    return max(on_cards(stack.links), key=weight, default=None)


def weight(link: NetworkLink) -> tuple[bool, bool, bool]:
    """Order links by how likely the default route goes over them; the first of equals counts."""
    return (
        link.automatic and (link.gateway or link.dhcp or bool(link.addresses)),
        link.gateway,
        link.dhcp,
    )
