from __future__ import annotations

import signal
from pathlib import Path

import pytest

from converter.errors import ConversionError, DamagedInputError, HostError, UsageError
from converter.source.complaints import judged

TARGET = Path("/out/target")
LOCK = (
    "qemu-img: Could not open 'x': Failed to get shared \"write\" lock\n"
    "Is another process using the image [/a]?"
)


@pytest.mark.parametrize(
    ("status", "said", "kind", "code", "named"),
    [
        (1, "qemu-img: error while writing at byte 0: No space left on device",
         HostError, "disk-full", "/out/target"),
        (1, "qemu-img: x: The image size is too large for file format 'qcow2'",
         HostError, "disk-full", "/out/target"),
        (1, "qemu-img: error while writing at byte 0: Input/output error",
         ConversionError, "copy-failed", "/out/target"),
        (1, "qemu-img: error while reading at byte 0: Input/output error",
         DamagedInputError, "source-damaged", "a.vmdk"),
        (1, "qemu-img: Could not open 'json:{}': Invalid footer",
         DamagedInputError, "source-damaged", "a.vmdk"),
        (1, LOCK, UsageError, "source-in-use", "a.vmdk"),
        (1, " ", ConversionError, "tool-failed", "exit status 1"),
        (-9, "", ConversionError, "tool-failed", "signal 9"),
        (-signal.SIGXFSZ, "", HostError, "disk-full", "/out/target: File too large"),
    ],
)  # fmt: skip
def test_what_qemu_says(
    status: int, said: str, kind: type[ConversionError], code: str, named: str
) -> None:
    error = judged("a.vmdk", TARGET, status, said)
    assert type(error) is kind
    assert error.code == code
    assert named in error.message
    assert error.hint
