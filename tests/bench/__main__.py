"""Measures and compares: `python -m tests.bench [SERIES…] [--rounds 5] [--list]`.

The subjects of a series are measured in turns, each beginning with another, after one turn that
does not count. Prints the medians of each as a table, and writes to `out/bench` for each that
table, all numbers (JSON) and a chart; `bench.md` has the tables of all that were ever measured.
Ends with 1 where a series could not be measured.
"""

from __future__ import annotations

import argparse
import json
import mmap
import os
import shutil
import sys
import tempfile
import traceback
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import chart
from tests.bench.measure import middle
from tests.bench.series import ALL
from tests.bench.subjects import warm

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.bench.measure import Cost
    from tests.bench.series import Series

_OUT: Final = Path("out/bench")
_MIB: Final = 1 << 20
# Bytes of memory that are taken beforehand, at most: more than the largest of the copies writes.
_TAKEN: Final = 4 << 30


def main() -> int:
    options = _options()
    if options.list:
        print(*(f"{series.name:<16} {series.title}" for series in ALL), sep="\n")
        return 0
    wanted = [item for item in ALL if not options.series or item.name in options.series]
    _OUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for series in wanted:
        try:
            _write(series, measured(series, options.rounds), options.rounds)
        except Exception:  # noqa: BLE001 - whatever it is, the others can be measured
            traceback.print_exc()
            print(f"\n{series.name} was not measured", flush=True)
            failed += 1
    return 1 if failed else 0


def _write(series: Series, found: Mapping[str, Sequence[Cost]], rounds: int) -> None:
    """Print and keep what came of a series."""
    medians = {name: middle(costs) for name, costs in found.items()}
    section = "\n".join(table(series, medians, _circumstances(rounds)))
    print(section, flush=True)
    numbers = {name: [asdict(cost) for cost in costs] for name, costs in found.items()}
    place = _OUT / series.name
    place.with_suffix(".md").write_text(section, "utf-8")
    place.with_suffix(".json").write_text(json.dumps(numbers, indent=1), "utf-8")
    place.with_suffix(".svg").write_text(chart.draw(series.title, medians), "utf-8")
    sections = [_OUT / f"{item.name}.md" for item in ALL]
    text = "".join(path.read_text("utf-8") for path in sections if path.exists())
    (_OUT / "bench.md").write_text(text, "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("series", nargs="*", help="only these")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--list", action="store_true", help="list the series")
    options = parser.parse_args()
    unknown = set(options.series) - {series.name for series in ALL}
    if unknown:
        parser.error(f"no such series: {', '.join(sorted(unknown))}")
    return options


def measured(series: Series, rounds: int) -> dict[str, list[Cost]]:
    """Measure the subjects of a series in turns."""
    made = series.make()
    costs: dict[str, list[Cost]] = {name: [] for name in made}
    first = 1 if series.takes_minutes else 0
    with tempfile.TemporaryDirectory(dir=_OUT) as scratch:
        place = Path(scratch).resolve() / "place"
        for turn in range(first, rounds + 1):
            for name in _from(list(made), turn):
                subject = made[name]
                warm(subject.source)
                _clear(place)
                _take_memory()
                cost = replace(subject.run(place), stored=_stored(place))
                told = f"{series.name} {turn} {name}: {cost.wall:.2f} s"
                print(told, file=sys.stderr, flush=True)
                if turn:
                    costs[name].append(cost)
    return costs


def _from(names: Sequence[str], turn: int) -> Iterator[str]:
    """Give all names, in each turn beginning with another: nobody is always in the middle."""
    for number in range(len(names)):
        yield names[(turn + number) % len(names)]


def _clear(place: Path) -> None:
    """Make it an empty directory, on a disk with nothing left to be written.

    What was made last is removed only now, so that its memory is there for what is made next.
    """
    if place.exists():
        shutil.rmtree(place)
    os.sync()
    place.mkdir()


def _take_memory() -> None:
    """Take memory and give it back, so that everybody finds some that the host has not taken.

    A host that is told what is free takes it back (virtio-balloon's free page reporting), and
    whoever gets it next waits for the host: several times as long as a copy takes.
    """
    size = min(_TAKEN, os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 4)
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        with suppress(OSError):  # a kernel without huge pages, which only make it quicker
            memory.madvise(mmap.MADV_HUGEPAGE)
        for place in range(0, size, mmap.PAGESIZE):
            memory[place] = 1


def _stored(directory: Path) -> int:
    """Give the bytes that all files in `directory` take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def table(series: Series, costs: Mapping[str, Cost], circumstances: str) -> Iterator[str]:
    """Give the section of a series, in Markdown."""
    yield f"\n## {series.title} (`{series.name}`)\n"
    yield f"{circumstances}\n"
    yield "| | s | processors' s | MiB | MiB of all | MiB written |"
    yield "|---|---:|---:|---:|---:|---:|"
    for name, cost in costs.items():
        sizes = (f"{size / _MIB:.0f}" for size in (cost.peak, cost.together, cost.stored))
        yield f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {' | '.join(sizes)} |"
    yield from _targets(series, costs)
    rows = chart.lines(costs)
    if rows:
        yield ""
        yield from rows
    yield ""


def _targets(series: Series, costs: Mapping[str, Cost]) -> Sequence[str]:
    if not series.targets:
        return ()
    rows = ["", "| | is | should be at most | |", "|---|---:|---:|---|"]
    for target in series.targets:
        value = target.value(costs)
        verdict = "yes" if value <= target.most else "**no**"
        rows.append(f"| {target.text} | {value:.3f} | {target.most:.3f} | {verdict} |")
    return rows


def _circumstances(rounds: int) -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    today = datetime.now(UTC).date()
    return f"{today}; {os.cpu_count()} processors ({model}); medians of {rounds}."


if __name__ == "__main__":
    sys.exit(main())
