"""libparted is loaded without what Debian's does then: run a program, and look past its answer."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.command import converter

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.appliance


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give what is there once dmidecode was run."""
    mark = tmp_path / "asked"
    program = tmp_path / "dmidecode"
    program.write_text(f"#!/bin/sh\n: >{mark}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.delenv("PARTED_GPT_APPLE", raising=False)
    return mark


def test_no_program_runs_when_it_is_loaded(asked: Path) -> None:
    loaded = "import converter.pipeline, sys; sys.exit('_ped' not in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], check=True)
    assert not asked.exists()


def test_nor_when_doctor_tries_it(asked: Path) -> None:
    checks = converter("doctor", "--json").document["checks"]
    assert [check["ok"] for check in checks if check["name"] == "parted"] == [True]
    assert not asked.exists()
