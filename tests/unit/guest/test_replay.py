"""A plan is applied to what it was made for, and to nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestError
from converter.guest.memory import MemoryGuest
from converter.guest.protocol import Code
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.model import FileKind, MakeDirectory, MakeLink, Plan, RemoveFile, WriteFile
from tests.unit.machines import link

if TYPE_CHECKING:
    from converter.model import Change


def guest() -> MemoryGuest:
    return MemoryGuest({"/etc/fstab": "old\n", "/etc/link": link("fstab"), "/etc/d/x": ""})


def apply(change: Change, below: MemoryGuest) -> None:
    replay(Plan((change,)), below, progress=lambda _fraction: None)


def write(path: str, before: str | None) -> WriteFile:
    return WriteFile("c", "r", path, b"new", 0o644, 0, 0, before)


@pytest.mark.parametrize(
    "change",
    [
        write("/etc/fstab", None),
        write("/etc/fstab", "00"),
        write("/etc/link", None),
        write("/etc/d", None),
        write("/etc/new", "00"),
        RemoveFile("c", "r", "/etc/fstab", "00", None),
        RemoveFile("c", "r", "/etc/link", "-> elsewhere", None),
        RemoveFile("c", "r", "/etc/gone", "00", None),
        MakeLink("c", "r", "/etc/link", "x", "elsewhere"),
        MakeLink("c", "r", "/etc/fstab", "x", None),
        MakeDirectory("c", "r", "/etc/d"),
        MakeDirectory("c", "r", "/etc/fstab"),
    ],
)
def test_what_is_not_as_planned_is_not_touched(change: Change) -> None:
    below = guest()
    nodes = dict(below._nodes)
    with pytest.raises(GuestError) as caught:
        apply(change, below)
    assert caught.value.code == "plan-outdated"
    assert caught.value.hint
    assert below._nodes == nodes


def test_an_original_never_overwrites_what_is_there() -> None:
    below = guest()
    change = RemoveFile("c", "r", "/etc/fstab", below.digest("/etc/fstab"), "/etc/link")
    with pytest.raises(GuestError) as caught:
        apply(change, below)
    assert caught.value.code == Code.FAILED
    assert below.read("/etc/fstab") == b"old\n"
    assert below.readlink("/etc/link") == "fstab"


def test_progress_ends_at_one() -> None:
    below = guest()
    recording = RecordingGuest(below)
    for number in range(3):
        recording.write(f"/etc/new{number}", b"x", code="c", reason="r")
    seen: list[float] = []
    replay(recording.plan, below, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_plan_is_not_applied_twice() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.write("/etc/fstab", b"new\n", code="c", reason="r")
    replay(recording.plan, below, progress=lambda _fraction: None)
    with pytest.raises(GuestError, match="changed since the plan"):
        replay(recording.plan, below, progress=lambda _fraction: None)
    found = below.lstat("/etc/.fstab.converter-orig")
    assert found is not None
    assert found.kind is FileKind.FILE
