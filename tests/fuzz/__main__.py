"""Runs every target, or those that are named: `python -m tests.fuzz [TARGET…]`.

The inputs of one seed are the same in every run with PYTHONHASHSEED=0. Numbers for each second are
of the processor's time, with Atheris counting; `understood` are the inputs that were not refused.

FUZZ_INPUTS: how many inputs each gets of libFuzzer; FUZZ_SEED: what they are made from;
FUZZ_WORKERS: how many targets run at once. Ends with 1 where anything was found; the inputs are in
`findings`, each with a text that says what it did.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import sys
import tempfile
from contextlib import redirect_stderr
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import atheris

if TYPE_CHECKING:
    from collections.abc import Iterator

# What finds and keeps a guest's files goes the same ways for every input, most of the time.
_UNCOUNTED: Final = [
    f"converter.guest.{name}"
    for name in ("diffs", "hives", "labels", "memory", "paths", "recording", "replay")
]
# Atheris tells of every module.
with (
    redirect_stderr(io.StringIO()),
    atheris.instrument_imports(include=["converter"], exclude=_UNCOUNTED),
):
    from tests.fuzz.targets import TARGETS
    from tests.fuzz.worker import fuzz

HERE: Final = Path(__file__).parent
FINDINGS: Final = HERE / "findings"
# Seconds of a processor: how long they take depends on what else the machine does.
_LONGEST: Final = 3600
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_FORK: Final = multiprocessing.get_context("fork")
_COVERAGE: Final = re.compile(rb"\bcov: (\d+)")
_ROW: Final = "{:<22} {:>9} {:>10} {:>9} {:>8} {:>9} {:>9} {:>8}"


@dataclass(frozen=True)
class Outcome:
    name: str
    result: dict[str, Any]
    coverage: int

    @property
    def row(self) -> str:
        result = self.result
        return _ROW.format(
            self.name,
            result["inputs"],
            result["understood"],
            f"{result['rate']:.0f}",
            self.coverage,
            f"{result['slowest']:.2f}",
            f"{result['memory'] / (1 << 20):.0f}",
            len(result["findings"]),
        )


def _died(directory: Path, status: int | None) -> dict[str, Any]:
    """Tell of a process that did not come to its end: by a signal, or because it took too long."""
    current, said = directory / "current", (directory / "output").read_bytes()
    data = current.read_bytes() if current.exists() else b""
    what = f"the process ended with {status}\n{said[-4000:].decode('utf-8', 'replace')}"
    finding = {"place": f"ended {status}", "what": what, "data": data.hex()}
    return {
        "inputs": 0, "understood": 0, "rate": 0, "slowest": 0, "memory": 0, "findings": [finding]
    }  # fmt: skip


class _Run:
    """A target that is being run, in a process that is a copy of this one."""

    def __init__(self, name: str, *, inputs: int, seed: int) -> None:
        self.name = name
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        self._scratch = tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-", dir=memory)
        self._directory = Path(self._scratch.name)
        (self._directory / "output").touch()
        self.process = _FORK.Process(
            target=fuzz, args=(TARGETS[name], inputs, seed, self._directory), daemon=True
        )
        self.process.start()

    def is_over(self) -> bool:
        """Tell whether it ended; one that takes too long is ended."""
        if self.process.is_alive() and self._seconds() > _LONGEST:
            self.process.kill()
            self.process.join()
        return not self.process.is_alive()

    def _seconds(self) -> float:
        """Give the processor's time that it has taken (proc(5), stat: utime and stime)."""
        try:
            text = Path(f"/proc/{self.process.pid}/stat").read_text("ascii", "replace")
        except FileNotFoundError:
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def outcome(self) -> Outcome:
        """Give what came of it, what it found kept."""
        path = self._directory / "result.json"
        if path.exists():
            result = json.loads(path.read_bytes())
        else:
            result = _died(self._directory, self.process.exitcode)
        for found in result["findings"]:
            _keep(self.name, found)
        seen = _COVERAGE.findall((self._directory / "output").read_bytes())
        self._scratch.cleanup()
        return Outcome(self.name, result, int(seen[-1]) if seen else 0)


def _outcomes(names: list[str], *, workers: int, inputs: int, seed: int) -> Iterator[Outcome]:
    """Run targets, some at once, and give what came of each as soon as it is over."""
    left, running = names[::-1], list[_Run]()
    while left or running:
        while left and len(running) < workers:
            running.append(_Run(left.pop(), inputs=inputs, seed=seed))
        wait([run.process.sentinel for run in running], timeout=60)
        for run in [run for run in running if run.is_over()]:
            running.remove(run)
            yield run.outcome()


def _keep(name: str, found: dict[str, str]) -> None:
    data = bytes.fromhex(found["data"])
    place = FINDINGS / name / hashlib.sha256(data).hexdigest()[:16]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    place.with_suffix(".txt").write_text(f"{found['place']}\n{found['what']}\n", "utf-8")
    print(f"{name}: {found['place']}: {place}", flush=True)


def main() -> int:
    """Run the targets and show a table."""
    inputs = int(os.environ.get("FUZZ_INPUTS", "100000"))
    seed = int(os.environ.get("FUZZ_SEED", "1"))
    workers = int(os.environ.get("FUZZ_WORKERS", "2"))
    names = sys.argv[1:] or list(TARGETS)
    print(f"{len(names)} targets, {inputs} inputs each, seed {seed}")
    head = (
        "target",
        "inputs",
        "understood",
        "inputs/s",
        "edges",
        "slowest/s",
        "memory/MB",
        "found",
    )
    print(_ROW.format(*head), flush=True)
    outcomes = []
    for outcome in _outcomes(names, workers=workers, inputs=inputs, seed=seed):
        print(outcome.row, flush=True)
        outcomes.append(outcome)
    found = sum(len(outcome.result["findings"]) for outcome in outcomes)
    print(f"{sum(outcome.result['inputs'] for outcome in outcomes)} inputs, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
