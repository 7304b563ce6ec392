"""What is compared with what, and what is aimed at."""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from converter.data import load
from images.windows.guest import Firmware
from tests.bench import sources, subjects
from tests.bench.measure import Cost, middle
from tests.bench.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    "vmdk-flat": "vmdk",
    "vhd-dynamic": "vpc",
    "vhd-fixed": "vpc",
    "vhdx": "vhdx",
    "qcow2": "qcow2",
    "qcow2-zlib": "qcow2",
    "qcow2-zstd": "qcow2",
    "vdi": "vdi",
}
# qemu-img(1): -W may be faster, or slower.
_QEMU_IMG: Final = {"qemu-img": (), "qemu-img -W": ("-W",)}


def _wall(ours: str, *others: str) -> Callable[[Measured], float]:
    return lambda found: found[ours].wall / min(found[other].wall for other in others)


def _against_v2v(kind: str) -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.guest() if kind == "raw" else sources.container(kind)
        ours = subjects.convert(source)
        # What makes the appliances anew, where packages have changed, does not count.
        for subject in (ours, subjects.floor(sources.guest())):
            with tempfile.TemporaryDirectory() as directory:
                subject.run(Path(directory))
        return {OURS: ours, "virt-v2v": subjects.virt_v2v(source)}

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


def _floor(name: str, title: str, source: Callable[[], Path]) -> Series:
    def make() -> Mapping[str, Subject]:
        return {
            "convert": subjects.convert(source()),
            "inspect": subjects.inspect(source()),
            _FLOOR: subjects.floor(source()),
            "copy": subjects.copy(source()),
        }

    def over_floor(found: Measured) -> float:
        least = found[_FLOOR].wall
        # A copy that takes longer cannot be hidden.
        return (found["convert"].wall - max(0.0, found["copy"].wall - least)) / least

    return Series(
        name,
        title,
        make,
        (
            Target("conversion, less what nobody could hide of the copy", over_floor, 1.3),
            Target("inspect", _wall("inspect", _FLOOR), 1.3),
        ),
    )


def _copy(kind: str, name: str) -> Series:
    def make() -> Mapping[str, Subject]:
        source = sources.large_container(kind)
        theirs = {
            label: subjects.qemu_img(source, *options, "-f", name, "-O", "raw")
            for label, options in _QEMU_IMG.items()
        }
        return {OURS: subjects.copy(source), **theirs}

    aim = Target("time of the faster qemu-img's", _wall(OURS, *_QEMU_IMG), 1.0)
    return Series(f"copy-{kind}", f"Copy from {kind} to raw", make, (aim,))


def _export(name: str, title: str, source: Callable[[], Path]) -> Series:
    def make() -> Mapping[str, Subject]:
        # A stream is to be in the disk's order: no -W.
        options = ("-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized")
        return {
            OURS: subjects.export(source(), "vmdk"),
            "qemu-img": subjects.qemu_img(source(), *options),
        }

    aim = Target("time of qemu-img's", _wall(OURS, "qemu-img"), 1.0)
    return Series(name, title, make, (aim,))


def _export_raw() -> Series:
    safe = "qemu-img -t writeback"

    def make() -> Mapping[str, Subject]:
        source, options = sources.with_data(1), ("-f", "raw", "-O", "raw")
        return {
            OURS: subjects.export(source, "raw"),
            "qemu-img": subjects.qemu_img(source, *options),
            # As ours: it is on the disk when that ends.
            safe: subjects.qemu_img(source, "-t", "writeback", *options),
        }

    return Series(
        "export-raw",
        "Raw to raw, 1 GiB that do not compress",
        make,
        (
            Target("time of qemu-img's", _wall(OURS, "qemu-img"), 1.0),
            Target("time of qemu-img's that waits for the disk", _wall(OURS, safe), 1.0),
        ),
    )


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

    def once(directory: Path) -> Cost:
        places = [directory / str(item) for item in range(number)]
        start = time.perf_counter()
        with ThreadPoolExecutor(number) as pool:
            costs = list(pool.map(one.run, places))
        return Cost(
            time.perf_counter() - start,
            sum(cost.cpu for cost in costs),
            max(cost.peak for cost in costs),
            sum(cost.together for cost in costs),
            middle(costs).phases,
        )

    return Subject(one.source, once)


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
    kinds = ("raw", "vmdk-stream", "ova")

    def slowest(found: Measured) -> float:
        return max(cost.wall for cost in found.values())

    return Series(
        "refused",
        "`check` of a disk with LUKS, which is refused without an appliance",
        lambda: {kind: subjects.check_refused(sources.refused(kind)) for kind in kinds},
        (Target("seconds of the slowest", slowest, 1.0),),
    )


ALL: Final = (
    _refused(),
    _floor("floor", "What any use of libguestfs takes", sources.guest),
    _floor("floor-data", "The same with 8 GiB of data", partial(sources.with_data, 8)),
    _windows(),
    *(_copy(kind, name) for kind, name in _CONTAINERS.items()),
    _export("export-vmdk", "Debian 12, raw to stream-optimized VMDK", sources.guest),
    _export(
        "export-vmdk-data",
        "Raw to stream-optimized VMDK, 1 GiB that do not compress",
        partial(sources.with_data, 1),
    ),
    _export_raw(),
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
