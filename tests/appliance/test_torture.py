"""One fault of some kinds that `make torture` injects, so that it works when it is wanted."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from tests.torture.__main__ import Injection, inject, reference
from tests.torture.faults import KINDS
from tests.torture.mounts import shared

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.torture.scene import Reference

pytestmark = [
    pytest.mark.appliance,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.xdist_group("torture"),
]

NAMES = (
    "SIGKILL", "qemu killed", "disk fills up (tmpfs)", "bad sector", "source changed", "power cut",
)  # fmt: skip
# In CI the same moments every time: a landing must not depend on luck.
SEED = 1 if "CI" in os.environ else int(time.time())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("torture").resolve()
    (directory / "cache").mkdir()
    with shared(directory):
        yield directory


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> Reference:
    return reference("raw", root)


@pytest.mark.parametrize("name", NAMES)
def test_a_fault(name: str, root: Path, undisturbed: Reference) -> None:
    [kind] = [kind for kind in KINDS if kind.name == name]
    outcome = inject(Injection(0, SEED, kind), undisturbed, root)
    assert outcome.problems == (), f"seed {SEED}: {outcome.what}"
