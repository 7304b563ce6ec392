"""What holds for every test."""

from __future__ import annotations

import gc
import os
import signal
from typing import Any

from hypothesis import settings

_LONGEST_ID = 60

# A loaded machine is no defect: no deadlines. In CI the same examples every time: a landing must
# not depend on luck; whoever runs the tests by hand tries others.
settings.register_profile(
    "converter", max_examples=25, deadline=None, derandomize="CI" in os.environ
)
settings.load_profile("converter")

# Whoever started the tests may ignore these (nohup(1), a shell's background jobs), and what ignores
# them hands that down to every command under test.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Thousands of collected tests are no garbage: looking through them costs a fifth of the time.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect garbage again, of the tests themselves."""
    gc.freeze()
    gc.enable()


def pytest_make_parametrize_id(val: Any, argname: str) -> str | None:
    """Name a case of long data after its argument: data has the time in it, and megabytes."""
    is_long = isinstance(val, bytes | str) and len(val) > _LONGEST_ID
    return argname if is_long else None
