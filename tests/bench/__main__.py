"""Measures and compares: `python -m tests.bench [SERIES…] [--rounds 5] [--list]`.

The subjects of a series are measured in turns, in one order and then in the other, after one turn
that does not count. Prints and writes to `out/bench` the medians as a table (`bench.md`), all
numbers (`bench.json`) and a chart for each series.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.bench import chart
from tests.bench.measure import middle
from tests.bench.series import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tests.bench.measure import Cost
    from tests.bench.series import Series

_OUT: Final = Path("out/bench")
_MIB: Final = 1 << 20


def main() -> int:
    options = _options()
    if options.list:
        print(*(f"{series.name:<16} {series.title}" for series in ALL), sep="\n")
        return 0
    wanted = [item for item in ALL if not options.series or item.name in options.series]
    _OUT.mkdir(parents=True, exist_ok=True)
    text, numbers = _introduction(options.rounds), {}
    print(text, flush=True)
    for series in wanted:
        found = measured(series, options.rounds)
        numbers[series.name] = {name: [asdict(cost) for cost in costs] for name, costs in found}
        medians = {name: middle(costs) for name, costs in found}
        section = "\n".join(table(series, medians))
        print(section, flush=True)
        text += section
        (_OUT / f"{series.name}.svg").write_text(chart.draw(series.title, medians), "utf-8")
        # What was measured counts, even when the rest is not.
        (_OUT / "bench.md").write_text(text, "utf-8")
        (_OUT / "bench.json").write_text(json.dumps(numbers, indent=1), "utf-8")
    return 0


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


def measured(series: Series, rounds: int) -> list[tuple[str, list[Cost]]]:
    """Measure the subjects of a series in turns."""
    made = series.make()
    costs: dict[str, list[Cost]] = {name: [] for name in made}
    first = 1 if series.takes_minutes else 0
    for turn in range(first, rounds + 1):
        for name in list(made)[:: 1 if turn % 2 else -1]:
            with _place() as directory:
                cost = made[name](directory)
            print(f"{series.name} {turn} {name}: {cost.wall:.2f} s", file=sys.stderr, flush=True)
            if turn:
                costs[name].append(cost)
    return list(costs.items())


def table(series: Series, costs: Mapping[str, Cost]) -> Iterator[str]:
    """Give the section of a series, in Markdown."""
    yield f"\n## {series.title} (`{series.name}`)\n"
    yield "| | s | processors' s | MiB | MiB of all |"
    yield "|---|---:|---:|---:|---:|"
    for name, cost in costs.items():
        memory = f"{cost.peak / _MIB:.0f} | {cost.together / _MIB:.0f}"
        yield f"| {name} | {cost.wall:.2f} | {cost.cpu:.2f} | {memory} |"
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


def _introduction(rounds: int) -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
            if line.startswith("model name")
        ),
        "unknown",
    )
    return f"{os.cpu_count()} processors ({model}); medians of {rounds}.\n"


@contextmanager
def _place() -> Iterator[Path]:
    """Give a directory for one measurement, on a disk with nothing left to be written."""
    os.sync()
    with tempfile.TemporaryDirectory(dir=_OUT) as directory:
        yield Path(directory).resolve()


if __name__ == "__main__":
    sys.exit(main())
