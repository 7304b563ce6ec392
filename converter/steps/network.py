"""The network: DHCP on whatever card there is, with every stack the guest uses (LNX-2, LNX-3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.model import Finding, Severity
from converter.network import names
from converter.network.stack import STACKS
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Plan DHCP in every stack in use, and names that no old card is tied to."""
    names.release(context.guest)
    used = {stack.name: stack for stack in context.facts.os.networks}
    for stack in STACKS:
        if stack.name in used:
            stack.to_dhcp(context.guest, used[stack.name])
    if not used:
        context.guest.note(
            Finding(
                Severity.WARNING,
                "network-stack-unknown",
                "nothing was found that configures the network",
                "make sure that the machine asks for an address by DHCP on any card",
            )
        )


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("network", "DHCP on whatever card there is", _applies, run)
