"""What holds for every test."""

from __future__ import annotations

import os

from hypothesis import settings

# A loaded machine is no defect: no deadlines. In CI the same examples every time: a landing must
# not depend on luck; whoever runs the tests by hand tries others.
settings.register_profile(
    "converter", max_examples=25, deadline=None, derandomize="CI" in os.environ
)
settings.load_profile("converter")
