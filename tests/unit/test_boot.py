"""What a boot is made of the starts of a machine; the machines here are this test's own."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import pytest

from converter import boot
from converter.boot import Firmware, Machine
from converter.boot import boot as boot_image
from converter.errors import ConversionError, HostError
from converter.monitor import NullMonitor
from tests.unit.source.build import MIB, qcow2, stored

if TYPE_CHECKING:
    import io
    from pathlib import Path

TOKEN = "0123456789abcdef"
UP = f"\n{TOKEN} state running\n{TOKEN} end\n"
PANIC = "Kernel panic - not syncing: VFS\n"


class Process:
    """A machine that says something, and ends with a status: None while it runs."""

    pid = 1 << 30  # of no process

    def __init__(self, said: str, status: int | None = 0) -> None:
        read, write = os.pipe()
        os.write(write, said.encode())
        self.stdout = os.fdopen(read, "rb", buffering=0)
        self._write: int | None = write
        self._status = status
        if status is not None:
            self._close()

    def _close(self) -> None:
        if self._write is not None:
            os.close(self._write)
        self._write = None

    def wait(self, timeout: float) -> None: ...

    def poll(self) -> int | None:
        return self._status

    def kill(self) -> None:
        self._close()

    def communicate(self) -> None:
        self.stdout.close()


class Resets:
    """Events of machines of which those of these numbers were reset."""

    def __init__(self, resets: set[int]) -> None:
        self._resets = resets
        self._number = itertools.count(1)

    def expect(self) -> None: ...

    def was_reset(self) -> bool:
        return next(self._number) in self._resets


def followed(*starts: Process, resets: set[int], timeout: float = 60) -> Any:
    left = list(starts)

    def start(stderr: io.BufferedRandom) -> Any:
        stderr.write(b"Assertion failed\n")
        return left.pop(0)

    return boot._follow(start, Resets(resets), TOKEN, timeout)  # type: ignore[arg-type]


def test_one_that_comes_up() -> None:
    report = followed(Process(UP, None), resets=set())
    assert (report.reached, report.starts, report.state, report.hint) == (
        "multi-user", 1, "running", "",
    )  # fmt: skip


def test_one_that_comes_up_after_a_panic() -> None:
    report = followed(Process(PANIC), Process(UP, None), resets={1})
    assert (report.reached, report.starts) == ("multi-user", 2)
    assert "panic" not in report.console_tail


def test_one_that_stops() -> None:
    assert followed(Process("bye\n"), resets=set()).reached == "stopped"


@pytest.mark.parametrize(("said", "reached"), [("bye\n", "restart-loop"), (PANIC, "kernel-panic")])
def test_one_that_restarts_without_end(said: str, reached: str) -> None:
    report = followed(*(Process(said) for _ in range(3)), resets={1, 2, 3})
    assert (report.reached, report.starts) == (reached, 3)
    assert report.hint


def test_a_start_that_is_cut_short_does_not_hide_the_one_before() -> None:
    report = followed(Process(PANIC), Process("SeaBIOS\n", None), resets={1}, timeout=0.2)
    assert (report.reached, report.starts) == ("kernel-panic", 2)


@pytest.mark.parametrize(("status", "how"), [(1, "ended with 1"), (-6, "was killed by signal 6")])
def test_a_qemu_that_fails_is_no_guest_that_stops(status: int, how: str) -> None:
    with pytest.raises(HostError, match=f"QEMU {how}: Assertion failed") as caught:
        followed(Process("SeaBIOS\n", status), resets=set())
    assert caught.value.code == "qemu-failed"


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.raw", b"", "disk-size-zero"),
        ("a.qcow2", qcow2({}, MIB), "image-not-raw"),
        ("absent/" + "x" * 300, None, "source-unreadable"),
        (".", None, "source-not-a-file"),
    ],
)
def test_what_is_no_image_is_told_at_once(
    tmp_path: Path, name: str, data: bytes | None, code: str
) -> None:
    path = tmp_path / name if data is None else stored(tmp_path, name, data)
    with pytest.raises(ConversionError) as caught:
        boot_image([path], Machine(), timeout=1, monitor=NullMonitor())
    assert caught.value.code == code


def test_so_is_a_firmware_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "OVMF", ())
    monkeypatch.setattr("converter.process.find_tool", str)
    path = stored(tmp_path, "a.raw", bytes(MIB))
    with pytest.raises(HostError) as caught:
        boot_image([path], Machine(Firmware.UEFI), timeout=1, monitor=NullMonitor())
    assert caught.value.code == "ovmf-missing"
