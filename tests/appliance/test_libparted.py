"""libparted is loaded without what Debian's does then: run a program, and look past its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance


def test_no_program_runs_when_it_is_loaded(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "dmidecode"
    program.write_text(f"#!/bin/sh\n: >{asked}\n")
    program.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    environment.pop("PARTED_GPT_APPLE", None)
    loaded = "import converter.pipeline, sys; sys.exit('_ped' not in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], env=environment, check=True)
    assert not asked.exists()
