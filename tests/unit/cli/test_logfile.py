from __future__ import annotations

import logging
from pathlib import Path

import pytest

from converter.cli.logfile import keeping_log
from converter.errors import UsageError

log = logging.getLogger("converter.test")


def test_everything_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with keeping_log(tmp_path / "log", inputs=[]):
        log.debug("a guest's \x1b[2J\n2026-12-02 05:00:00,000 converter all is well")
    kept = (tmp_path / "log").read_text("utf-8")
    assert kept.endswith(
        "converter.test a guest's \\x1b[2J\n    2026-12-02 05:00:00,000 converter all is well\n"
    )
    assert capsys.readouterr().err == ""


def test_a_full_disk_does_not_end_the_work_and_is_told_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with keeping_log(Path("/dev/full"), inputs=[]):
        log.debug("one")
        log.debug("another")
    assert capsys.readouterr().err == (
        "converter: --log /dev/full: is not whole: No space left on device\n"
    )


def test_what_ends_the_work_is_not_hidden_by_a_full_disk() -> None:
    with pytest.raises(ZeroDivisionError), keeping_log(Path("/dev/full"), inputs=[]):
        raise ZeroDivisionError


def test_an_input_is_not_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"data")
    with pytest.raises(UsageError), keeping_log(disk, inputs=[disk]):
        pass
    assert disk.read_bytes() == b"data"
