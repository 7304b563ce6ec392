from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from converter import qmp

if TYPE_CHECKING:
    from pathlib import Path

# As QEMU 7.2 says it.
GREETING = (
    b'{"QMP": {"version": {"qemu": {"micro": 22}}, "capabilities": ["oob"]}}\r\n{"return": {}}'
)
RESET = (
    b'{"timestamp": {"seconds": 1796172910, "microseconds": 296827}, "event": "SHUTDOWN",'
    b' "data": {"guest": true, "reason": "guest-reset"}}'
)
STOPPED = RESET.replace(b"guest-reset", b"guest-shutdown")


@pytest.mark.parametrize(
    ("said", "was_reset"),
    [
        (b"", False),
        (GREETING, False),
        (GREETING + b"\r\n" + STOPPED, False),
        (GREETING + b"\r\n" + RESET + b"\r\n", True),
        (RESET.replace(b"SHUTDOWN", b"RESUME"), False),
        # What no QEMU says, but one that the guest took over may.
        (b"[" * 100_000, False),
        (b'\xff\n[]\n7\n{"event": "SHUTDOWN"}\n{"event": "SHUTDOWN", "data": [1]}\n', False),
    ],
)
def test_a_reset_is_told_from_an_end(tmp_path: Path, said: bytes, *, was_reset: bool) -> None:
    with qmp.events(tmp_path) as events:
        events.expect()
        assert events.files[0].is_fifo()
        with events.files[0].open("rb", buffering=0) as commands:
            assert commands.read(100) == b'{"execute": "qmp_capabilities"}\n'
        _say(events.files[1], said[:65536])
        assert events.was_reset() == was_reset
        # The next machine begins anew.
        assert not events.was_reset()


def _say(fifo: Path, said: bytes) -> None:
    out = os.open(fifo, os.O_RDWR)
    os.write(out, said)
    os.close(out)
