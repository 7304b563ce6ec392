"""What all faults are made with: when they come, and how a run that met one may end."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tests.torture.flaky import Fault
from tests.torture.flaky import flaky as shown
from tests.torture.scene import PHASES, Moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from random import Random

    from tests.torture.guests import Guest
    from tests.torture.scene import Scene, Victim

    Allowed = Mapping[int, set[str]]

MIB = 1 << 20
THROUGH: Allowed = {0: set()}
STOPPED: Allowed = {130: {"interrupted"}, **THROUGH}
FULL: Allowed = {5: {"disk-full"}, **THROUGH}
# Where the appliance is running.
EDITING = ("appliance", "inspect", "apply", "verify")
WORKING = tuple(PHASES)[1:]


def some_moment(random: Random, phases: Sequence[str] = tuple(PHASES)) -> Moment:
    """Draw a moment: every phase as often, and each fourth at its very beginning."""
    phase = random.choice(phases)
    return Moment(phase, random.choice((0.0, *(random.random() for _ in range(3)))))


def settle(scene: Scene, victim: Victim, allowed: Allowed, *, killed: bool = False) -> bool:
    """Check how an injured run ended; tells whether it was through."""
    if scene.ended(victim, victim.wait(), allowed):
        scene.clean()
        return True
    scene.nothing_published(killed=killed)
    if not killed:
        scene.clean()
    return False


@contextlib.contextmanager
def flaky(scene: Scene, fault: Fault) -> Iterator[Guest]:
    at = scene.root / "flaky"
    with shown(scene.guest.paths[0].parent, at, fault):
        yield scene.guest.at(at)
