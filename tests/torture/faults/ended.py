"""Runs, or what they run, that are ended or stopped from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import TYPE_CHECKING

from tests.torture.faults.common import EDITING, STOPPED, THROUGH, flaky, settle, some_moment
from tests.torture.flaky import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.torture.faults.common import Allowed
    from tests.torture.guests import Guest
    from tests.torture.scene import Moment, Scene

QEMU, IMG = "qemu-system-x86_64", "qemu-img"
# What each read of a source takes more, in seconds, so that its copy lasts.
_DELAY = 0.03


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
    moment = some_moment(random, EDITING if name == QEMU else ("copy", *EDITING, "lay-over"))
    with _perhaps_slow(scene, moment, name) as guest:
        victim = scene.start(guest=guest)
        victim.reaches(moment, scene.reference)
        child = victim.awaited(name)
        if child is not None:
            _kill(child, signal.SIGKILL)
        through = settle(scene, victim, allowed if child else THROUGH)
    if not through:
        scene.rerun()
    return moment


def child_stopped(scene: Scene, random: Random, name: str) -> Moment:
    moment = some_moment(random, EDITING if name == QEMU else ("copy", *EDITING, "lay-over"))
    number = random.choice((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    with _perhaps_slow(scene, moment, name) as guest:
        victim = scene.start(guest=guest)
        victim.reaches(moment, scene.reference)
        child = victim.awaited(name)
        if child is not None:
            _kill(child, signal.SIGSTOP)
        victim.send(number)
        through = settle(scene, victim, STOPPED)
    if not through:
        scene.rerun()
    return moment


@contextlib.contextmanager
def _perhaps_slow(scene: Scene, moment: Moment, name: str) -> Iterator[Guest]:
    """Give the guest, on a slow disk where qemu-img would have copied it too soon."""
    if name != IMG or moment.phase == "lay-over":
        yield scene.guest
        return
    with flaky(scene, Fault(delay=_DELAY)) as guest:
        yield guest


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
