"""What is compared with what, and what is aimed at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.data import load
from images.windows.guest import Firmware
from tests.bench import sources, subjects
from tests.bench.measure import Cost

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.bench.subjects import Subject

    Measured = Mapping[str, Cost]


@dataclass(frozen=True)
class Target:
    """A number made of the medians, and the most that it should be."""

    text: str
    value: Callable[[Measured], float]
    most: float


@dataclass(frozen=True)
class Series:
    """Subjects that are measured alternately, and what is aimed at.

    Where a turn `takes_minutes`, the first one counts, too: what it finds cold is little of it.
    """

    name: str
    title: str
    make: Callable[[], Mapping[str, Subject]]
    targets: tuple[Target, ...] = ()
    takes_minutes: bool = False


OURS: Final = "converter"
_FLOOR: Final = "appliance and inspection"
# What is copied, and what qemu-img calls it.
_CONTAINERS: Final = {
    "raw": "raw",
    "vmdk-stream": "vmdk",
    "vmdk-sparse": "vmdk",
    "vmdk-split": "vmdk",
    "vhd-dynamic": "vpc",
    "vhdx": "vhdx",
    "qcow2": "qcow2",
    "vdi": "vdi",
}


def _wall(ours: str, other: str) -> Callable[[Measured], float]:
    return lambda found: found[ours].wall / found[other].wall


def _against_v2v(kind: str) -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.guest() if kind == "raw" else sources.container(kind)
        return {OURS: subjects.convert(source), "virt-v2v": subjects.virt_v2v(source)}

    return Series(
        f"v2v-{kind}",
        f"Debian 12 from {kind}, its initramfs without NVMe",
        make,
        (
            Target("time of virt-v2v's", _wall(OURS, "virt-v2v"), 1 / 15),
            Target(
                "processors' time of virt-v2v's",
                lambda found: found[OURS].cpu / found["virt-v2v"].cpu,
                1 / 15,
            ),
            Target("memory, MiB", lambda found: found[OURS].peak / (1 << 20), 200),
        ),
        takes_minutes=True,
    )


def _floor() -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.guest()
        return {
            "convert": subjects.convert(source),
            "inspect": subjects.inspect(source),
            _FLOOR: subjects.floor(source),
        }

    def over_floor(found: Measured) -> float:
        cost = found["convert"]
        return (cost.wall - cost.phases.get("copy-rest", 0.0)) / found[_FLOOR].wall

    return Series(
        "floor",
        "What any use of libguestfs takes",
        make,
        (
            Target("conversion, less what is left of the copy", over_floor, 1.3),
            Target("inspect", _wall("inspect", _FLOOR), 1.3),
        ),
    )


def _copy(kind: str, name: str) -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.with_data(1) if kind == "raw" else sources.large_container(kind)
        return {
            OURS: subjects.copy(source),
            "qemu-img": subjects.qemu_img(source, "-W", "-f", name, "-O", "raw"),
        }

    aim = Target("time of qemu-img's", _wall(OURS, "qemu-img"), 1.0)
    return Series(f"copy-{kind}", f"Copy from {kind} to raw", make, (aim,))


def _export() -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.guest()
        # A stream is to be in the disk's order: no -W.
        options = ("-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized")
        return {
            OURS: subjects.export(source, "vmdk"),
            "qemu-img": subjects.qemu_img(source, *options),
        }

    aim = Target("time of qemu-img's", _wall(OURS, "qemu-img"), 1.0)
    return Series("export-vmdk", "Raw to stream-optimized VMDK", make, (aim,))


def _scaling(
    name: str,
    title: str,
    steps: Mapping[str, Callable[[], Path]],
    targets: tuple[Target, ...] = (),
) -> Series:
    def make() -> Mapping[str, Subject]:
        return {step: subjects.convert(source()) for step, source in steps.items()}

    return Series(name, title, make, targets)


def _windows() -> Series:
    linux, with_table = "Debian 12", "Debian 13, gets an MBR"
    windows, moved = "Windows 2019", "Windows 2022, gets an MBR"

    def make() -> Mapping[str, Subject]:
        table = ("--partition-table", "mbr")
        return {
            linux: subjects.convert(sources.container("vhdx")),
            windows: subjects.convert(sources.windows("2019", Firmware.BIOS, "vhdx")),
            with_table: subjects.convert(sources.container("vhdx", "debian-13-gpt"), *table),
            moved: subjects.convert(sources.windows("2022", Firmware.UEFI, "vhdx")),
        }

    return Series(
        "windows",
        "Windows beside Linux, both from VHDX",
        make,
        (
            Target("in place, of Debian's", _wall(windows, linux), 1.0),
            Target("with another table, of Debian's", _wall(moved, with_table), 1.0),
        ),
    )


def _at_once(number: int) -> Subject:
    """Do so many conversions at once; the cost is that of all."""
    one = subjects.convert(sources.guest())

    def subject(directory: Path) -> Cost:
        places = [directory / str(item) for item in range(number)]
        with ThreadPoolExecutor(number) as pool:
            costs = list(pool.map(one, places))
        return Cost(
            max(cost.wall for cost in costs),
            sum(cost.cpu for cost in costs),
            max(cost.peak for cost in costs),
            sum(cost.together for cost in costs),
        )

    return subject


def _together() -> Series:
    counted = load("host")["memory"]["conversion_mib"] << 20

    def memory(number: int) -> Target:
        return Target(
            f"memory of {number}, of what `doctor` counts with",
            lambda found: found[str(number)].together / (number * counted),
            1.0,
        )

    return Series(
        "at-once",
        "Conversions at once",
        lambda: {str(number): _at_once(number) for number in (1, 2, 4)},
        (
            Target(
                "two at once, of twice the time of one",
                lambda found: found["2"].wall / (2 * found["1"].wall),
                1.0,
            ),
            memory(1),
            memory(4),
        ),
    )


def _refused() -> Series:
    return Series(
        "refused",
        "An image that is refused without an appliance",
        lambda: {"check": subjects.check_refused(sources.refused())},
        (Target("seconds", lambda found: found["check"].wall, 1.0),),
    )


ALL: Final = (
    _refused(),
    _floor(),
    _windows(),
    *(_copy(kind, name) for kind, name in _CONTAINERS.items()),
    _export(),
    _scaling(
        "size",
        "Virtual size, with the same data",
        {f"{gib} GiB": partial(sources.with_size, gib) for gib in (10, 100, 1024)},
        (Target("1 TiB, of the time of 10 GiB", _wall("1024 GiB", "10 GiB"), 1.2),),
    ),
    _scaling(
        "data",
        "Data, on a disk of 16 GiB",
        {f"{gib} GiB": partial(sources.with_data, gib) for gib in (1, 2, 4, 8)},
    ),
    _scaling(
        "files",
        "Files more in the guest",
        {
            "none": sources.guest,
            **{f"{number}": partial(sources.with_files, number) for number in (20_000, 100_000)},
        },
    ),
    _together(),
    # These take the longest: what comes before is told when they are not waited for.
    _against_v2v("raw"),
    _against_v2v("vmdk-stream"),
)
