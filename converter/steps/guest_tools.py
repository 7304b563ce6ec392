"""Tools and agents of the old hypervisor: reported (LNX-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.model import Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Name each tool that has no use on EC2."""
    for tool in context.facts.os.guest_tools:
        context.guest.note(
            Finding(
                Severity.INFO,
                "guest-tools-present",
                f"{tool} is installed; it has no use on EC2 and was left as it is",
                "remove the package in the converted machine",
            )
        )


def _applies(facts: Facts) -> bool:
    return bool(facts.os.guest_tools)


STEP: Final = Step("guest-tools", "name the old hypervisor's tools", _applies, run)
