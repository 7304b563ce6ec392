"""Output directories that lose their power, their place or their permissions, or are shared."""

from __future__ import annotations

import contextlib
import shutil
import signal
from typing import TYPE_CHECKING

from tests.torture.faults.common import EDITING, MIB, THROUGH, some_moment
from tests.torture.mounts import Ext4, set_immutable
from tests.torture.scene import NAME

if TYPE_CHECKING:
    from random import Random

    from tests.torture.faults.common import Allowed
    from tests.torture.scene import Moment, Scene


_EARLY = ("apply", "verify", "lay-over", "checksum")


def power_cut(scene: Scene, random: Random) -> Moment:
    """Take the power from the disk that is written to: what was published must be whole."""
    moment = some_moment(random, (*_EARLY, *["publish"] * 6, "end"))
    with Ext4(scene.root / "disk", 256 * MIB) as disk:
        scene.output = disk.path / "out"
        victim = scene.start()
        if moment.phase == "publish":
            victim.publishes(scene.output, random.randrange(2 + scene.guest.disks))
        elif moment.phase == "end":
            victim.wait()
        else:
            victim.reaches(moment, scene.reference)
        disk.power_cut()
        done = victim.wait()
        scene.demand(not victim.left_over(within=20), "processes are left")
        scene.demand(done.code in (0, 5, 6), f"exit {done.code}: {done.stderr[-600:]}")
        disk.returns()
        if f"{NAME}.manifest.json" in scene.visible():
            scene.whole()
        else:
            scene.demand(done.code != 0, "done, and all of it is lost")
            scene.rerun()
        shutil.rmtree(scene.output, ignore_errors=True)
    return moment


def two_at_once(scene: Scene, random: Random) -> Moment:
    """Have a second run make the same: it is refused, whatever becomes of the first."""
    moment = some_moment(random, ("copy", *EDITING, "lay-over"))
    first = scene.start()
    reached = first.reaches(moment, scene.reference)
    second = scene.start()
    done = second.wait()
    if reached and done.code != 0:
        codes: Allowed = {2: {"output-busy", "output-exists"}}
        scene.ended(second, done, codes)
        scene.demand(first.process.poll() is None or scene.visible(), "the first has suffered")
    number = random.choice((0, signal.SIGKILL, signal.SIGTERM))
    if number:
        first.send(number)
    ended = first.wait()
    if ended.code == 0 or done.code == 0:
        scene.whole()
        scene.clean()
    else:
        scene.nothing_published(killed=number == signal.SIGKILL)
        scene.rerun()
    return moment


def lost(scene: Scene, random: Random) -> str:
    """Remove the output directory, or move it away, while it is written to."""
    moment = some_moment(random, ("copy", *EDITING, "lay-over", "checksum"))
    removed = random.random() < 0.5
    victim = scene.start()
    victim.reaches(moment, scene.reference)
    away = scene.root / "away"
    if removed:
        while scene.output.exists():
            shutil.rmtree(scene.output, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            scene.output.rename(away)
    done = victim.wait()
    if done.code != 0:
        scene.ended(victim, done, {6: {"output-lost"}})
        scene.nothing_published()
    shutil.rmtree(away, ignore_errors=True)
    shutil.rmtree(scene.output, ignore_errors=True)
    scene.rerun()
    return f"{'removed' if removed else 'moved'} at {moment}"


def locked(scene: Scene, random: Random) -> Moment:
    """Let nobody write into the output directory any more, for a while."""
    moment = some_moment(random, ("copy", *EDITING, "lay-over", "checksum"))
    scene.output.mkdir()
    victim = scene.start()
    victim.reaches(moment, scene.reference)
    set_immutable(scene.output, immutable=True)
    is_published = scene.visible()
    allowed: Allowed = {6: {"publish-failed"}}
    done = victim.wait()
    set_immutable(scene.output, immutable=False)
    if not scene.ended(victim, done, {**allowed, **THROUGH} if is_published else allowed):
        scene.nothing_published()
        scene.rerun()
    return moment
