"""Every phase of the work ends, whatever keeps it, and writes no more than it may."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.data import load
from converter.deadline import deadline, prolong, seconds_for
from converter.errors import ConversionError, GuestError
from converter.guest.hypervisor import check_growth

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 1 << 30
SOON = 0.02


def compute() -> None:
    while True:
        pass


def match() -> None:
    """Never let go of the interpreter's lock."""
    re.match(r"(a+)+b", "a" * 64)


def wait() -> None:
    threading.Event().wait()


def misunderstand() -> None:
    """Take a killed appliance for a device that cannot be read."""
    try:
        wait()
    except BaseException as error:
        raise GuestError("guest-operation-failed", "the appliance is gone") from error


def swallow() -> None:
    with contextlib.suppress(BaseException):
        wait()


@pytest.mark.parametrize("endless", [compute, match, wait, misunderstand, swallow])
def test_what_does_not_end_is_ended(endless: Callable[[], None]) -> None:
    with pytest.raises(ConversionError) as error, deadline("inspect", SOON):
        endless()
    assert error.value.code == "phase-timeout"
    assert "'inspect'" in error.value.message


def test_on_another_thread_it_ends_late_with_the_same_error() -> None:
    codes: list[str] = []

    def work() -> None:
        expired = threading.Event()
        try:
            with deadline("inspect", SOON):
                expired.wait(5 * SOON)
        except ConversionError as error:
            codes.append(error.code)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert codes == ["phase-timeout"]


def test_what_is_done_in_time_keeps_its_result_and_its_error() -> None:
    before, threads = signal.getsignal(signal.SIGALRM), {*threading.enumerate()}
    with deadline("inspect", 60):
        done = True
    assert done
    with pytest.raises(GuestError, match="as it was"), deadline("inspect", 60):
        raise GuestError("guest-operation-failed", "as it was")
    assert signal.getsignal(signal.SIGALRM) is before
    assert {*threading.enumerate()} <= threads


def test_what_turns_out_to_be_larger_has_longer() -> None:
    with deadline("source", SOON):
        prolong(60)
        threading.Event().wait(5 * SOON)


def test_it_ends_all_the_same() -> None:
    def prolonged() -> None:
        prolong(SOON)
        compute()

    with pytest.raises(ConversionError) as error, deadline("source", SOON):
        prolonged()
    assert error.value.code == "phase-timeout"
    prolong(SOON)  # of nothing


def test_limits_grow_with_the_disks() -> None:
    assert seconds_for("inspect") == seconds_for("inspect", 1 << 40)
    assert seconds_for("checksum", 1024 * GIB) > seconds_for("checksum", GIB) > 600


def test_no_limit_is_too_large_for_a_timer() -> None:
    with deadline("export", seconds_for("export", 100 << 50)):
        pass


def test_an_overlay_that_grew_too_large_is_told(tmp_path: Path) -> None:
    most = load("limits")["overlay"]["bytes"]
    small, large = tmp_path / "small", tmp_path / "large"
    for path, size in ((small, most >> 1), (large, most)):
        path.touch()
        os.truncate(path, size)
    check_growth([small], hint="")
    with pytest.raises(ConversionError) as error:
        check_growth([small, large], hint="")
    assert error.value.code == "overlay-endless"


def test_every_phase_has_a_limit() -> None:
    package = Path(__file__).parents[2] / "converter"
    text = "".join(path.read_text() for path in package.rglob("*.py"))
    named = set(re.findall(r'\b(?:_phase|_limited|deadline)\(\s*"([a-z-]+)"', text))
    assert named == load("limits")["phases"].keys()
