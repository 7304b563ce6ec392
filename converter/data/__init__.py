"""Facts about distributions, drivers and tools, as data (each with its source)."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def load(name: str) -> dict[str, Any]:
    """Give the table in `name`.toml of this package."""
    return tomllib.loads(files(__name__).joinpath(f"{name}.toml").read_text("utf-8"))
