"""What the kernel says of memory, as it says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter import capacity, doctor
from converter.data import load

if TYPE_CHECKING:
    from pathlib import Path

MEMINFO = "MemTotal:       24690000 kB\nMemFree:  1 kB\nMemAvailable:   8388608 kB\n"
EACH = load("host")["memory"]["conversion_mib"]


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make this process one of the group a/b, on a machine with 8 GiB available."""
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "cgroup").write_text("1:name=systemd:/x\n0::/a/b\n")
    (tmp_path / "groups/a/b").mkdir(parents=True)
    monkeypatch.setattr(capacity, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(capacity, "_CGROUPS", tmp_path / "groups")
    return tmp_path


def test_what_is_available_counts(kernel: Path) -> None:
    assert kernel.is_dir()
    assert capacity.memory() == 8 << 30


@pytest.mark.parametrize("group", ["groups", "groups/a", "groups/a/b"])
def test_every_control_group_limits(kernel: Path, group: str) -> None:
    (kernel / "groups/a/b/memory.max").write_text("max\n")
    (kernel / group / "memory.max").write_text(f"{3 << 30}\n")
    assert capacity.memory() == 3 << 30


def test_a_kernel_that_says_nothing(kernel: Path) -> None:
    (kernel / "meminfo").write_text("")
    assert capacity.memory() == 0
    (kernel / "meminfo").unlink()
    (kernel / "cgroup").unlink()
    assert capacity.memory() == 0


def test_of_this_machine_something_is_known() -> None:
    assert capacity.memory() > 1 << 20
    assert capacity.processors() > 0


@pytest.mark.parametrize(("mib", "fit"), [(EACH - 1, 0), (EACH, 1), (3 * EACH + 5, 3)])
def test_doctor_says_how_many_conversions_fit(
    monkeypatch: pytest.MonkeyPatch, mib: int, fit: int
) -> None:
    monkeypatch.setattr(capacity, "memory", lambda: mib << 20)
    monkeypatch.setattr(capacity, "processors", lambda: 2)
    found = doctor._memory(load("host")["memory"])
    assert found.ok is (fit > 0)
    assert f"{mib} MiB free: {fit} conversion(s) at once" in found.detail
    assert "2 processor(s)" in found.detail
