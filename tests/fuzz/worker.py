"""One target, in a process of its own.

The inputs are libFuzzer's, which keeps those that go a way through the converter that none went
(Atheris counts them); before them come the seeds, what was found before, and large inputs.
"""

from __future__ import annotations

import json
import os
import sys
import time
import types
from random import Random
from typing import TYPE_CHECKING, Final

import atheris

from tests.fuzz import mutation
from tests.fuzz.target import known
from tests.fuzz.watch import Watch, most_memory

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.target import Target

# Of a hundred inputs, those that have their checksums put right.
_REPAIRED: Final = 60
_ENLARGED: Final = 12
# One input of so many goes the whole way.
_WHOLE: Final = 4
_STACK: Final = 1 << 15
"""Words of the frame under all others.

CPython 3.11 has frames in chunks of 16 KiB. A loop whose calls happen to begin at the end of one
maps and unmaps the next for each of them, and is ten times slower for it. A large frame has a large
chunk, with room for what is called.
"""


def fuzz(target: Target, inputs: int, seed: int, directory: Path) -> None:
    roomy = types.FunctionType(_fuzz.__code__.replace(co_stacksize=_STACK), globals())
    roomy(target, inputs, seed, directory)


def _fuzz(target: Target, inputs: int, seed: int, directory: Path) -> None:
    """Run a target and end the process.

    In `directory` there is the input that is being run (`current`), what libFuzzer says (`output`),
    and in the end what there is to say (`result.json`).
    """
    output = os.open(directory / "output", os.O_WRONLY | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    files, corpus = directory / "files", directory / "corpus"
    files.mkdir()
    corpus.mkdir()
    first = [*target.seeds, *known(target.name)]
    for number, data in enumerate(first):
        (corpus / f"{number:04}").write_bytes(data)
    watch = Watch(target, files)
    watch.begin(first)
    current = os.open(directory / "current", os.O_RDWR | os.O_CREAT, 0o600)

    def run(data: bytes, *, whole: bool = True) -> None:
        os.ftruncate(current, 0)
        os.pwrite(current, data, 0)
        watch.run(data, whole=whole)

    random = Random(seed)  # noqa: S311 - nothing is kept secret by it
    for data in mutation.stretched(target, random):
        run(data)
    for data in mutation.enlarged(target, random, _ENLARGED if target.is_large else 0):
        run(data)
    start, end = time.process_time(), watch.inputs + inputs

    def run_and_end(data: bytes) -> None:
        run(data, whole=watch.inputs % _WHOLE == 0)
        if watch.inputs >= end:
            _tell(watch, directory / "result.json", inputs / (time.process_time() - start))
            os._exit(0)

    def mutate(data: bytes, size: int, number: int) -> bytes:
        changed: bytes = atheris.Mutate(data, size)
        if target.repair is not None and number % 100 < _REPAIRED:
            return target.repair(changed)[:size]
        return changed

    limit = max(4096, 2 * max(map(len, first)))
    options = [f"-seed={seed}", f"-max_len={limit}", "-timeout=0", "-rss_limit_mb=0"]
    arguments = [sys.argv[0], *options, f"-artifact_prefix={directory}/", str(corpus)]
    atheris.Setup(arguments, run_and_end, custom_mutator=mutate)
    atheris.Fuzz()


def _tell(watch: Watch, path: Path, rate: float) -> None:
    result = {
        "inputs": watch.inputs,
        "understood": watch.understood,
        "rate": rate,
        "slowest": watch.slowest,
        "memory": most_memory() - watch.base,
        "findings": [
            {"place": found.place, "what": found.what, "data": found.data.hex()}
            for found in watch.findings.values()
        ],
    }
    path.write_text(json.dumps(result), "ascii")
