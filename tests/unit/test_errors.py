from __future__ import annotations

import errno
from pathlib import Path

import pytest

from converter.errors import (
    ConversionError,
    DamagedInputError,
    DefectError,
    GuestError,
    GuestRefusedError,
    HostError,
    InterruptionError,
    UsageError,
    writing_failed,
)
from converter.model import Severity
from tests.unit.samples import ERROR, WARNING


def test_exit_codes_are_the_contracts() -> None:
    assert {
        kind.exit_code: kind
        for kind in (DefectError, UsageError, GuestRefusedError, DamagedInputError, HostError)
    } == {
        1: DefectError,
        2: UsageError,
        3: GuestRefusedError,
        4: DamagedInputError,
        5: HostError,
    }
    assert (ConversionError.exit_code, GuestError.exit_code) == (6, 6)
    assert InterruptionError.exit_code == 130


def test_a_refusal_always_has_findings() -> None:
    (finding,) = GuestRefusedError("bad", "it is bad", hint="mend it").findings
    assert finding == ERROR
    assert finding.severity is Severity.ERROR
    both = (WARNING, ERROR)
    assert GuestRefusedError("bad", "it is bad", findings=both).findings == both


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [
        (errno.ENOSPC, HostError, "disk-full"),
        (errno.EDQUOT, HostError, "disk-full"),
        (errno.EIO, ConversionError, "publish-failed"),
    ],
)
def test_what_cannot_be_written(number: int, kind: type[ConversionError], code: str) -> None:
    found = writing_failed(Path("/out/x"), OSError(number, "why"), code="publish-failed")
    assert type(found) is kind
    assert (found.code, found.message) == (code, "/out/x: why")
