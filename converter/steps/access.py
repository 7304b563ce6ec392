"""What may keep the owner out of the converted machine: reported, never changed (LNX-8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.inspection.access import inspect_access
from converter.steps.step import Step

if TYPE_CHECKING:
    from converter.model import Facts
    from converter.steps.step import Context


def run(context: Context) -> None:
    """Note what was found."""
    for finding in inspect_access(context.guest):
        context.guest.note(finding)


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("access", "tell who can log in", _applies, run)
