"""What `make fuzz` found once, and a look at whether its targets still work."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from converter.source.crc32c import crc32c
from tests.fuzz import mutation, repairs
from tests.fuzz.target import known
from tests.fuzz.targets import TARGETS

if TYPE_CHECKING:
    from pathlib import Path

_INPUTS = 10


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_were_found_and_some_more(name: str, tmp_path: Path) -> None:
    target = TARGETS[name]
    random = Random(name)  # noqa: S311 - the same in every run
    for data in (*known(name), *(mutation.mutated(target, random) for _ in range(_INPUTS))):
        target.run(data, tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_understands_what_it_begins_with(name: str, tmp_path: Path) -> None:
    assert sum(TARGETS[name].run(data, tmp_path) for data in TARGETS[name].seeds) > 0


@pytest.mark.parametrize("length", [0, 1, 4, 5, 100, 4096])
def test_the_quick_sum_is_the_converters(length: int) -> None:
    data = bytes(range(1, 1 + length % 200)) + bytes(length)
    assert repairs.quick_crc32c(data) == crc32c(data)
