from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from converter.errors import HostError
from converter.handoff import locked
from converter.handoff.workspace import scratch

if TYPE_CHECKING:
    from pathlib import Path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


class TestScratch:
    @pytest.fixture(autouse=True)
    def base(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def test_is_private_and_removed(self, tmp_path: Path) -> None:
        with scratch("test") as directory:
            assert directory.parent == tmp_path
            assert directory.stat().st_mode & 0o777 == 0o700
            (directory / "sub").mkdir()
        assert names(tmp_path) == []

    def test_is_removed_after_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt), scratch("test"):
            raise KeyboardInterrupt
        assert names(tmp_path) == []

    def test_sweeps_what_nobody_holds_and_nothing_else(self, tmp_path: Path) -> None:
        left = tmp_path / "converter-left"
        lock = locked.hold(left)
        assert lock is not None
        os.close(lock)
        (left / "overlay").touch()
        project = tmp_path / "converter-project"
        project.mkdir()
        (project / "lock").touch()
        (tmp_path / "converter-link").symlink_to(project)
        with scratch("live") as live, scratch("other") as other:
            found = names(tmp_path)
        assert found == sorted([live.name, other.name, "converter-link", "converter-project"])

    def test_leaves_what_is_somebody_elses(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lock = locked.hold(tmp_path / "converter-other")
        assert lock is not None
        os.close(lock)
        monkeypatch.setattr(locked, "is_ours", lambda _: False)
        with pytest.raises(HostError), scratch("test"):
            pass
        assert names(tmp_path)[0].startswith("converter-")
        assert (tmp_path / "converter-other").is_dir()

    def test_takes_another_when_a_sweep_was_quicker(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real, answers = locked.hold, iter([None, "real"])
        monkeypatch.setattr(locked, "hold", lambda path: next(answers) and real(path))
        with scratch("test") as directory:
            assert (directory / locked.LOCK).exists()

    def test_without_a_place_is_a_lack_of_the_machine(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
        with pytest.raises(HostError, match="temporary directory"), scratch("test"):
            pass
