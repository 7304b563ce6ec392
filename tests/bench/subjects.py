"""What is measured: the converter, and what does the same or a part of it."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from converter.accelerator import choose
from tests.bench.measure import Cost, run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

_PYTHON: Final = (sys.executable, "-m")
# What virt-v2v says at the beginning of each phase.
_V2V_PHASE: Final = re.compile(rb"^\[ *(\d+\.\d)\] (.+)$", re.MULTILINE)
_PIECE: Final = 1 << 20


@dataclass(frozen=True)
class Subject:
    """What is measured: what it reads, and what does it once, with a directory to write to."""

    source: Path
    run: Callable[[Path], Cost]


def warm(source: Path) -> None:
    """Read a source and what is beside it, so that all find it in memory.

    virt-v2v reads so that nothing of it stays there (nbdkit-file-plugin(1), cache=none).
    """
    buffer = bytearray(_PIECE)
    for path in source.parent.iterdir():
        with path.open("rb", buffering=0) as file:
            size, at = path.stat().st_size, 0
            while at < size:
                try:
                    at = file.seek(at, os.SEEK_DATA)
                except OSError:  # only a hole is left
                    break
                end = file.seek(at, os.SEEK_HOLE)
                file.seek(at)
                while at < end:
                    at += file.readinto(buffer) or end


def _converter(
    command: str, source: Path, *arguments: str | Path, status: int = 0
) -> tuple[Cost, bytes]:
    words = [command, str(source), *map(str, arguments)]
    return run([*_PYTHON, "converter", *words], status=status)


def convert(source: Path, *options: str) -> Subject:
    """Convert a guest by the command, its manifest telling of the phases."""

    def once(directory: Path) -> Cost:
        cost, printed = _converter(
            "convert", source, "-o", directory, "--name", "guest", "--json", *options
        )
        return replace(cost, phases=json.loads(printed)["timings"])

    return Subject(source, once)


def inspect(source: Path) -> Subject:
    """Read what a guest is."""
    return Subject(source, lambda _directory: _converter("inspect", source, "--json")[0])


def check_refused(source: Path) -> Subject:
    """Check an image that is refused."""
    return Subject(source, lambda _directory: _converter("check", source, "--json", status=3)[0])


def copy(source: Path) -> Subject:
    """Copy a disk to a raw image as a conversion does beside everything else."""

    def once(directory: Path) -> Cost:
        argv = [*_PYTHON, "tests.bench.copying", str(source), str(directory / "guest.raw")]
        return run(argv)[0]

    return Subject(source, once)


def floor(source: Path) -> Subject:
    """Start libguestfs' appliance and let it inspect the guest: less nobody can do with it."""

    def once(directory: Path) -> Cost:
        argv = [*_PYTHON, "tests.bench.floor", str(source), str(directory)]
        cost, printed = run(argv)
        return replace(cost, phases=json.loads(printed))

    return Subject(source, once)


def virt_v2v(source: Path) -> Subject:
    """Convert a guest by virt-v2v(1), with the accelerator that the converter would use."""
    settings = choose().libguestfs_settings

    def once(directory: Path) -> Cost:
        argv = ["virt-v2v", "-i", "disk", str(source), "-o", "local", "-of", "raw"]
        argv += ["-os", str(directory), "-on", "guest"]
        cost, printed = run(argv, environment=settings)
        return replace(cost, phases=_phases_of_v2v(printed, cost.wall))

    return Subject(source, once)


def _phases_of_v2v(printed: bytes, wall: float) -> Mapping[str, float]:
    """Give its phases, in seconds, under what it calls them."""
    said = [(float(at), text.decode(errors="replace")) for at, text in _V2V_PHASE.findall(printed)]
    phases: dict[str, float] = {}
    for (start, text), (end, _) in pairwise([*said, (wall, "")]):
        phases[text] = phases.get(text, 0.0) + end - start
    return phases


def export(source: Path, kind: str) -> Subject:
    """Write a raw image in another format by the command."""

    def once(directory: Path) -> Cost:
        options = ("--format", kind, "-o", directory / "guest")
        return _converter("export", source, *options)[0]

    return Subject(source, once)


def qemu_img(source: Path, *options: str) -> Subject:
    """Copy a disk by qemu-img(1), told the formats."""

    def once(directory: Path) -> Cost:
        argv = ["qemu-img", "convert", *options, str(source), str(directory / "guest")]
        return run(argv)[0]

    return Subject(source, once)
