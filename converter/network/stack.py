"""What every network stack offers: how it is found, and how it comes to DHCP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.network import ifupdown, networkd

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest
    from converter.model import NetworkStack


@dataclass(frozen=True, slots=True)
class Stack:
    """A network stack: `find` gives what is configured with it, `to_dhcp` plans the change."""

    name: str
    find: Callable[[ReadableGuest], NetworkStack | None]
    to_dhcp: Callable[[RecordingGuest, NetworkStack], None]


STACKS: Final = (
    Stack("ifupdown", ifupdown.find, ifupdown.to_dhcp),
    Stack("networkd", networkd.find, networkd.to_dhcp),
)
