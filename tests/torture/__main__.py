"""Fault injection into real conversions by the command.

    python -m tests.torture [--count 200] [--seed S] [--only N…] [--workers 2] [--keep]

Needs root: it mounts filesystems that fill up, lose what was not synced, or cannot be read. Prints
what was done to how many runs, and fails when anything was not as it should be. The same seed draws
the same faults, on the same guests and at the same moments; what the machine makes of a moment is
its own.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import converter.cache
from tests.torture import faults, guests
from tests.torture.mounts import shared
from tests.torture.scene import PHASES, Reference, Scene

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Injection:
    """One fault to be injected: all there is to it follows from its number and the seed."""

    number: int
    seed: int
    kind: faults.Kind

    @property
    def random(self) -> Random:
        return Random(f"{self.seed}-{self.number}")  # noqa: S311 - no secret

    @property
    def guest(self) -> str:
        return guests.KINDS[self.number % len(guests.KINDS)]


@dataclass(frozen=True)
class Outcome:
    injection: Injection
    what: str
    problems: tuple[str, ...]
    seconds: float


def main() -> int:
    options = _options()
    if os.geteuid() != 0:
        print("needs root: it mounts filesystems", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    # Whoever started this may ignore these (nohup(1), a background job), and so would the victims.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    base = converter.cache.directory()
    assert base
    (base / "torture").mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="run-", dir=base / "torture")).resolve()
    print(f"seed {options.seed}, in {root}", flush=True)
    with ExitStack() as stack:
        (root / "cache").mkdir()
        stack.callback(shutil.rmtree, root, ignore_errors=options.keep)
        stack.enter_context(shared(root))
        outcomes = run(injections(options), root, workers=options.workers, keep=options.keep)
    print(table(outcomes))
    bad = [outcome for outcome in outcomes if outcome.problems]
    for outcome in bad:
        number = outcome.injection.number
        print(f"again: python -m tests.torture --seed {options.seed} --only {number}")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--count", type=int, default=200, help="how many faults")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", type=int, nargs="+", help="only these injections")
    parser.add_argument("--kind", help="only the kinds that have this in their name")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", action="store_true", help="keep the scene of a failure")
    return parser.parse_args()


def injections(options: argparse.Namespace) -> list[Injection]:
    """Draw what is to be done."""
    kinds = faults.drawn(options.count, Random(options.seed))  # noqa: S311 - no secret
    drawn = [Injection(number, options.seed, kind) for number, kind in enumerate(kinds)]
    Random(options.seed).shuffle(drawn)  # noqa: S311
    return [
        item
        for item in drawn
        if (not options.only or item.number in options.only)
        and (not options.kind or options.kind in item.kind.name)
    ]


def run(
    wanted: list[Injection], root: Path, *, workers: int = 2, keep: bool = False
) -> list[Outcome]:
    """Inject all faults, and tell of each as it is done."""
    outcomes = []
    with ThreadPoolExecutor(workers) as pool, _dropping(pool):
        # Containers make no difference, but for the number of disks in them.
        numbers = {guests.disks_of(item.guest): item.guest for item in wanted}
        references = dict(
            zip(
                numbers, pool.map(lambda kind: reference(kind, root), numbers.values()), strict=True
            )
        )
        jobs = [
            pool.submit(inject, item, references[guests.disks_of(item.guest)], root, keep=keep)
            for item in wanted
        ]
        for done, job in enumerate(as_completed(jobs), start=1):
            outcome = job.result()
            outcomes.append(outcome)
            item = outcome.injection
            verdict = "ok" if not outcome.problems else "FAILED"
            print(
                f"{done:3}/{len(jobs)} #{item.number} {item.kind.name} ({item.guest}):"
                f" {outcome.what}: {verdict}, {outcome.seconds:.0f} s",
                *(f"\n    {problem}" for problem in outcome.problems),
                flush=True,
            )
    return outcomes


@contextmanager
def _dropping(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Begin nothing more when the block is left by an error."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def reference(kind: str, root: Path) -> Reference:
    """Convert a guest undisturbed."""
    guest = guests.guest(kind)
    scene = Scene(root / f"reference-{kind}", guest, Reference({}, {}, 0))
    victim = scene.start()
    done = victim.wait().good()
    allocated = sum(disk["allocated_size"] for disk in done.document["disks"])
    seconds = dict.fromkeys((*PHASES, "end"), 0.0) | victim.seconds()
    scene.clean()
    assert not scene.problems, scene.problems
    files = scene.files()
    shutil.rmtree(scene.root)
    return Reference(files, seconds, allocated)


def inject(item: Injection, wanted: Reference, root: Path, *, keep: bool = False) -> Outcome:
    """Inject one fault, and see what comes of it."""
    begun = time.monotonic()
    scene = Scene(root / f"scene-{item.number}", guests.guest(item.guest), wanted)
    earlier = scene.guest.digest()
    what = "?"
    try:
        what = str(item.kind.inflict(scene, item.random))
    except Exception:  # noqa: BLE001 - the others go on
        scene.problems.append(traceback.format_exc())
    scene.demand(scene.guest.digest() == earlier, "the source is not what it was")
    scene.unmounted()
    if not (keep and scene.problems):
        shutil.rmtree(scene.root, ignore_errors=True)
    return Outcome(item, what, tuple(scene.problems), time.monotonic() - begun)


def table(outcomes: list[Outcome]) -> str:
    """Count what was done, by kind of fault."""
    counts = Counter(outcome.injection.kind.name for outcome in outcomes)
    failed = Counter(outcome.injection.kind.name for outcome in outcomes if outcome.problems)
    moments = {name: {o.what for o in outcomes if o.injection.kind.name == name} for name in counts}
    rows: list[tuple[object, ...]] = [("fault", "moments", "count", "passed", "failed")]
    for kind in faults.KINDS:
        if counts[name := kind.name]:
            bad = failed[name]
            rows.append((name, len(moments[name]), counts[name], counts[name] - bad, bad))
    total, bad = sum(counts.values()), sum(failed.values())
    rows.append(("all", sum(map(len, moments.values())), total, total - bad, bad))
    return "\n".join(f"{a:<26}{b:>8}{c:>8}{d:>8}{e:>8}" for a, b, c, d, e in rows)


if __name__ == "__main__":
    sys.exit(main())
