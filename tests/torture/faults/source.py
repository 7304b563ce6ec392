"""Sources that cannot be read, or are not what they were."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import time
from typing import TYPE_CHECKING

from tests.torture.faults.common import EDITING, THROUGH, flaky, settle, some_moment
from tests.torture.flaky import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from random import Random

    from tests.torture.faults.common import Allowed
    from tests.torture.scene import Scene


def unreadable(scene: Scene, random: Random, draw: Callable[[Random, Path], Fault]) -> Fault:
    """Convert from a disk, or a share, that gives up now and then, or altogether."""
    fault = draw(random, random.choice(scene.guest.paths))
    allowed = {
        4: {"source-damaged", "truncated"},
        6: {"source-read-failed", "source-changed"},
        **THROUGH,
    }
    with flaky(scene, fault) as guest:
        through = settle(scene, scene.start(guest=guest), allowed)
    if not through:
        scene.rerun()
    return fault


def _count(random: Random) -> int:
    """Draw a number of reads, of any order of magnitude."""
    return int(2 ** random.uniform(0, 9))


def bad(random: Random, path: Path) -> Fault:
    """Damage a byte that is no hole's."""
    with path.open("rb") as file, contextlib.suppress(OSError):  # after it there is no more
        return Fault(bad=file.seek(random.randrange(path.stat().st_size), os.SEEK_DATA))
    return Fault(bad=0)


def gone(random: Random, _path: Path) -> Fault:
    return Fault(first=_count(random), last=1 << 62)


def once(random: Random, _path: Path) -> Fault:
    number = _count(random)
    return Fault(first=number, last=number)


def cut(random: Random, path: Path) -> Fault:
    return Fault(cut_after=_count(random), cut_to=random.randrange(path.stat().st_size))


def harmless(scene: Scene, _random: Random) -> Fault:
    fault = Fault(short=True)
    with flaky(scene, fault) as guest:
        settle(scene, scene.start(guest=guest), THROUGH)
    return fault


def _append(path: Path, random: Random) -> None:
    with path.open("ab") as file:
        file.write(bytes(random.randrange(1, 9999)))


def _truncate(path: Path, random: Random) -> None:
    os.truncate(path, random.randrange(path.stat().st_size))


def _overwrite(path: Path, random: Random) -> None:
    with path.open("r+b") as file:
        file.seek(random.randrange(path.stat().st_size - 512))
        file.write(random.randbytes(512))


def _overwrite_unseen(path: Path, random: Random) -> None:
    """Overwrite, and put the time back: ctime tells."""
    found = path.stat()
    _overwrite(path, random)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _replace(path: Path, random: Random) -> None:
    other = path.with_name("other")
    shutil.copy2(path, other)
    other.replace(path)


def _remove(path: Path, random: Random) -> None:
    path.unlink()


# Seconds, at most, between a look and what is said after it.
_LAST_LOOK = 0.5
_CHANGES = (_append, _truncate, _overwrite, _overwrite_unseen, _replace, _remove)


def changed(scene: Scene, random: Random) -> str:
    """Convert what somebody else changes meanwhile."""
    change = random.choice(_CHANGES)
    moment = some_moment(random, ("copy", *EDITING))
    guest = scene.copy_guest()
    victim = scene.start(guest=guest)
    victim.reaches(moment, scene.reference)
    change(random.choice(guest.paths), random)
    at = time.monotonic()
    victim.wait()
    # The last look at the source is just before the changes are laid over its copy.
    is_seen = victim.begun.get("lay-over", math.inf) - at > _LAST_LOOK
    allowed: Allowed = {6: {"source-changed"}}
    if not settle(scene, victim, allowed if is_seen else {**allowed, **THROUGH}):
        scene.rerun()
    return f"{change.__name__.strip('_')} at {moment}"
