"""Runs, or what they run, that are ended or stopped from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from tests.torture.faults.common import EDITING, STOPPED, THROUGH, settle, some_moment

if TYPE_CHECKING:
    from random import Random

    from tests.torture.faults.common import Allowed
    from tests.torture.scene import Moment, Scene, Victim

QEMU, IMG = "qemu-system-x86_64", "qemu-img"
# When one is there, or comes: qemu-img looks at every source, and makes the overlays.
_THERE = {QEMU: EDITING, IMG: ("source",)}


def signalled(scene: Scene, random: Random, number: int, *, group: bool, again: bool) -> Moment:
    moment = some_moment(random)
    victim = scene.start()
    reached = victim.reaches(moment, scene.reference)
    if number == signal.SIGINT:
        victim.is_begun()  # until then it is Python's own, which complains of it
    victim.send(number, group=group)
    if again:
        time.sleep(random.random() / 4)
        victim.send(number, group=group)
    allowed = dict(STOPPED)
    if number == signal.SIGKILL:
        allowed = {-number: set(), **THROUGH}
    elif moment.phase == "load" and reached:
        # Python is not yet loaded, or the command line is not: nothing was begun.
        allowed |= {130: {"interrupted", "(none)"}, -number: set()}
    if not settle(scene, victim, allowed, killed=number == signal.SIGKILL):
        scene.rerun()
    return moment


def child_killed(scene: Scene, random: Random, name: str, allowed: Allowed) -> Moment:
    moment, victim, child = _child(scene, random, name)
    if child is not None:
        _kill(child, signal.SIGKILL)
    if not settle(scene, victim, allowed if child else THROUGH):
        scene.rerun()
    return moment


def child_stopped(scene: Scene, random: Random, name: str) -> Moment:
    moment, victim, child = _child(scene, random, name)
    if child is not None:
        _kill(child, signal.SIGSTOP)
    victim.send(random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP)))
    if not settle(scene, victim, STOPPED):
        scene.rerun()
    return moment


def _child(scene: Scene, random: Random, name: str) -> tuple[Moment, Victim, int | None]:
    """Start a run, and give the program of that name that it runs at a moment, or then."""
    moment = some_moment(random, _THERE[name])
    victim = scene.start()
    victim.reaches(moment, scene.reference)
    return moment, victim, victim.awaited(name)


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
