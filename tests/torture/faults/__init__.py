"""What goes wrong in a conversion: each kind of fault, when it comes, and what must come of it.

Every fault leaves its scene as it was found, converts again there, and tells the moment at which it
came. A run that was through before it came is one that nobody disturbed.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tests.torture.faults import ended, output, room, source
from tests.torture.faults.common import THROUGH
from tests.torture.faults.ended import IMG, QEMU
from tests.torture.mounts import Ext4, Tmpfs

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.torture.faults.common import Allowed
    from tests.torture.scene import Scene


@dataclass(frozen=True)
class Kind:
    """A kind of fault, and how many of 200 are of it."""

    name: str
    share: int
    inflict: Callable[[Scene, Random], object]


_SIGNALS = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}
_DEAD: Allowed = {5: {"appliance-failed"}, 6: {"appliance-died"}, **THROUGH}
_KILLED: Allowed = {6: {"tool-failed"}, **THROUGH}


def _by(number: int, *, group: bool = False, again: bool = False) -> Callable[..., object]:
    return partial(ended.signalled, number=number, group=group, again=again)


KINDS: tuple[Kind, ...] = (
    Kind("SIGKILL", 18, _by(signal.SIGKILL)),
    Kind("SIGKILL to the group", 8, _by(signal.SIGKILL, group=True)),
    *(Kind(name, 8, _by(number)) for name, number in _SIGNALS.items()),
    Kind("SIGINT to the group", 6, _by(signal.SIGINT, group=True)),
    Kind("SIGTERM twice", 6, _by(signal.SIGTERM, again=True)),
    Kind("qemu killed", 10, partial(ended.child_killed, name=QEMU, allowed=_DEAD)),
    Kind("qemu-img killed", 8, partial(ended.child_killed, name=IMG, allowed=_KILLED)),
    Kind("qemu stands still", 6, partial(ended.child_stopped, name=QEMU)),
    Kind("qemu-img stands still", 6, partial(ended.child_stopped, name=IMG)),
    Kind("disk too small", 14, room.small),
    Kind("disk fills up (tmpfs)", 10, partial(room.filled, filesystem=Tmpfs)),
    Kind("disk fills up (ext4)", 6, partial(room.filled, filesystem=Ext4)),
    Kind("disk full for a while", 6, room.filled_for_a_while),
    Kind("TMPDIR full", 4, room.scratch_full),
    Kind("file size limit", 8, room.limited),
    Kind("log's disk full", 2, room.log_full),
    Kind("bad sector", 8, partial(source.unreadable, draw=source.bad)),
    Kind("source's disk gone", 6, partial(source.unreadable, draw=source.gone)),
    Kind("one read fails", 6, partial(source.unreadable, draw=source.once)),
    Kind("source cut off", 6, partial(source.unreadable, draw=source.cut)),
    Kind("short reads", 2, source.harmless),
    Kind("source changed", 10, source.changed),
    Kind("power cut", 10, output.power_cut),
    Kind("two at once", 4, output.two_at_once),
    Kind("output directory lost", 4, output.lost),
    Kind("output directory locked", 2, output.locked),
)


def drawn(count: int, random: Random) -> list[Kind]:
    """Give the kinds of `count` injections: each by its share, as far as that goes."""
    whole = sum(kind.share for kind in KINDS)
    deck = [kind for kind in KINDS for _ in range(kind.share)]
    if count >= whole:
        return [deck[number % whole] for number in range(count)]
    step = whole / count
    return [deck[int(number * step + random.random() * step)] for number in range(count)]
