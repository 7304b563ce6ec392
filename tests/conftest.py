"""What holds for every test."""

from __future__ import annotations

import gc
import os
from typing import Any

from hypothesis import settings

_LONGEST_ID = 60

# A loaded machine is no defect: no deadlines. In CI the same examples every time: a landing must
# not depend on luck; whoever runs the tests by hand tries others.
settings.register_profile(
    "converter", max_examples=25, deadline=None, derandomize="CI" in os.environ
)
settings.load_profile("converter")

# Thousands of collected tests are no garbage: looking through them costs a fifth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage again, of the tests themselves."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: Any) -> str | None:
    """Name a case after the start of what is long: each worker sends all names to the others."""
    if not isinstance(val, bytes | str) or len(val) <= _LONGEST_ID:
        return None
    start = val[:_LONGEST_ID].decode("latin-1") if isinstance(val, bytes) else val[:_LONGEST_ID]
    return f"{ascii(start)[1:-1]}...{len(val)}"
