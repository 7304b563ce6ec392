"""What is measured: the converter, and what does the same or a part of it."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from converter.accelerator import choose
from tests.bench.measure import Cost, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    # Does it once, with a directory of its own to write to.
    Subject = Callable[[Path], Cost]

_PYTHON = (sys.executable, "-m")


def _converter(*arguments: str | Path, status: int = 0) -> tuple[Cost, bytes]:
    return run([*_PYTHON, "converter", *map(str, arguments)], status=status)


def convert(source: Path, *options: str) -> Subject:
    """Convert a guest by the command, its manifest telling of the phases."""

    def subject(directory: Path) -> Cost:
        cost, printed = _converter(
            "convert", source, "-o", directory, "--name", "guest", "--json", *options
        )
        return replace(cost, phases=json.loads(printed)["timings"])

    return subject


def inspect(source: Path) -> Subject:
    """Read what a guest is."""
    return lambda _directory: _converter("inspect", source, "--json")[0]


def check_refused(source: Path) -> Subject:
    """Check an image that is refused."""
    return lambda _directory: _converter("check", source, "--json", status=3)[0]


def copy(source: Path) -> Subject:
    """Copy a disk to a raw image as a conversion does beside everything else."""

    def subject(directory: Path) -> Cost:
        argv = [*_PYTHON, "tests.bench.copying", str(source), str(directory / "guest.raw")]
        return run(argv)[0]

    return subject


def floor(source: Path) -> Subject:
    """Start libguestfs' appliance and let it inspect the guest: less nobody can do with it."""

    def subject(directory: Path) -> Cost:
        argv = [*_PYTHON, "tests.bench.floor", str(source), str(directory)]
        cost, printed = run(argv)
        return replace(cost, phases=json.loads(printed))

    return subject


def virt_v2v(source: Path) -> Subject:
    """Convert a guest by virt-v2v(1), with the accelerator that the converter would use."""
    settings = choose().libguestfs_settings

    def subject(directory: Path) -> Cost:
        argv = ["virt-v2v", "-i", "disk", str(source), "-o", "local", "-of", "raw"]
        return run([*argv, "-os", str(directory), "-on", "guest"], environment=settings)[0]

    return subject


def export(source: Path, kind: str) -> Subject:
    """Write a raw image in another format by the command."""
    arguments = ("export", source, "--format", kind, "-o")
    return lambda directory: _converter(*arguments, directory / "guest")[0]


def qemu_img(source: Path, *options: str) -> Subject:
    """Copy a disk by qemu-img(1), told the formats."""

    def subject(directory: Path) -> Cost:
        argv = ["qemu-img", "convert", *options, str(source), str(directory / "guest")]
        return run(argv)[0]

    return subject
