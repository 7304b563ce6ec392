"""Which network stacks a guest uses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converter.network.stack import STACKS

if TYPE_CHECKING:
    from converter.guest.protocol import ReadableGuest
    from converter.model import NetworkStack


def inspect_network(guest: ReadableGuest) -> tuple[NetworkStack, ...]:
    """Give every stack that is in use, with its files and interfaces."""
    found = (stack.find(guest) for stack in STACKS)
    return tuple(stack for stack in found if stack is not None)
