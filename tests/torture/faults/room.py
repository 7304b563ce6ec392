"""No room: on the disk that is written to, in TMPDIR, for the log, or in a file."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tests.torture.faults.common import EDITING, FULL, MIB, THROUGH, WORKING, settle, some_moment
from tests.torture.mounts import Ext4, Tmpfs, fill
from tests.torture.scene import Moment

if TYPE_CHECKING:
    from random import Random

    from tests.torture.scene import Scene


def small(scene: Scene, random: Random) -> str:
    """Convert onto a disk that is too small, by anything."""
    room = int((scene.reference.allocated + 12 * MIB) * random.uniform(0.0, 1.1))
    with Tmpfs(scene.root / "disk", room) as disk:
        scene.output = disk.path / "out"
        if not settle(scene, scene.start(), FULL):
            disk.grow(1 << 30)
            scene.rerun()
        shutil.rmtree(scene.output)
    return f"{room >> 10} KiB"


def filled(scene: Scene, random: Random, filesystem: type[Ext4 | Tmpfs]) -> Moment:
    """Convert onto a disk that somebody else fills up meanwhile."""
    moment = some_moment(random, WORKING)
    left = random.choice((0, 4096, 65536, MIB, 6 * MIB))
    with filesystem(scene.root / "disk", 256 * MIB) as disk:
        scene.output = disk.path / "out"
        victim = scene.start()
        victim.reaches(moment, scene.reference)
        filler = fill(disk.path, left)
        through = settle(scene, victim, FULL)
        filler.unlink()
        if not through:
            scene.rerun()
        shutil.rmtree(scene.output)
    return moment


def filled_for_a_while(scene: Scene, random: Random) -> Moment:
    """Fill the disk up while the guest is changed, and make room again before anybody looks."""
    moment = some_moment(random, ("appliance", "inspect", *["apply"] * 4))
    with Tmpfs(scene.root / "disk", 256 * MIB) as disk:
        scene.output = disk.path / "out"
        victim = scene.start()
        victim.reaches(moment, scene.reference)
        filler = fill(disk.path, 0)
        end = Moment("verify", random.random() / 2)
        victim.reaches(end, scene.reference)
        filler.unlink()
        if not settle(scene, victim, FULL):
            scene.rerun()
        shutil.rmtree(scene.output)
    return moment


def scratch_full(scene: Scene, random: Random) -> Moment:
    moment = some_moment(random)
    with Tmpfs(scene.root / "scratch", MIB) as disk:
        victim = scene.start()
        victim.reaches(moment, scene.reference)
        filler = fill(disk.path, random.choice((0, 4096)))
        allowed = {5: {"disk-full", "scratch-unusable", "appliance-failed"}, **THROUGH}
        through = scene.ended(victim, victim.wait(), allowed)
        filler.unlink()
        if not through:
            scene.nothing_published()
            scene.rerun()
        scene.clean()
    return moment


def limited(scene: Scene, random: Random) -> str:
    """Convert where no file may have more than so many bytes (setrlimit(2), RLIMIT_FSIZE)."""
    limit = int(2 ** random.uniform(12, 29))
    victim = scene.start(limits=("prlimit", f"--fsize={limit}"))
    if not settle(scene, victim, FULL):
        scene.rerun()
    return f"{limit >> 10} KiB"


def log_full(scene: Scene, random: Random) -> Moment:
    moment = some_moment(random, EDITING)
    with Tmpfs(scene.root / "logs", MIB // random.choice((1, 4, 16))) as disk:
        victim = scene.start("--log", disk.path / "log")
        reached = victim.reaches(moment, scene.reference)
        fill(disk.path, 0)
        done = victim.wait()
        scene.ended(victim, done, THROUGH)
        told = "is not whole" in done.stderr
        scene.demand(told or not reached, "nobody is told that the log is not whole")
        scene.clean()
    return moment
