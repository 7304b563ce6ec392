from __future__ import annotations

import errno
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter.errors import (
    ConversionError,
    DamagedInputError,
    DefectError,
    Faults,
    GuestError,
    GuestRefusedError,
    HostError,
    InputError,
    InterruptionError,
    UsageError,
    writing_failed,
)
from converter.model import Finding, Severity
from tests.unit.samples import ERROR, WARNING

if TYPE_CHECKING:
    from collections.abc import Iterator


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


class TestFaults:
    """Several errors as one, and none of them lost."""

    def raised(self, *errors: ConversionError, findings: tuple[Finding, ...] = ()) -> InputError:
        faults = Faults()
        for error in errors:
            with faults.kept():
                raise error
        with pytest.raises(InputError) as caught:
            faults.raise_all(findings)
        return caught.value

    def test_none(self) -> None:
        faults = Faults()
        with faults.kept():
            pass
        faults.raise_all((ERROR,))

    def test_damage_counts_more_than_a_refusal(self) -> None:
        refused = GuestRefusedError("no", "not this", findings=(WARNING, ERROR))
        first, second = DamagedInputError("a", "A", hint="mend"), DamagedInputError("b", "B")
        error = self.raised(refused, first, second, findings=(WARNING,))
        assert isinstance(error, DamagedInputError)
        assert (error.code, error.message, error.hint) == ("a", "A; B", "mend")
        assert [item.code for item in error.findings] == [WARNING.code, ERROR.code, "a", "b"]

    def test_refusals_stay_refusals(self) -> None:
        error = self.raised(GuestRefusedError("a", "A"), GuestRefusedError("b", "B"))
        assert isinstance(error, GuestRefusedError)
        assert [item.code for item in error.findings] == ["a", "b"]

    def test_the_same_is_said_once(self) -> None:
        error = self.raised(DamagedInputError("a", "A"), DamagedInputError("a", "A"))
        assert error.message == "A"
        assert len(error.findings) == 1

    def test_a_thousand_are_counted(self) -> None:
        error = self.raised(*(DamagedInputError("a", f"fault {n}") for n in range(1000)))
        assert len(error.findings) == 101
        assert error.findings[-1].message.startswith("900 more")
        assert len(error.message) <= 2000

    def test_damage_among_the_last_of_many_still_counts(self) -> None:
        refused = [GuestRefusedError("a", f"refused {n}") for n in range(200)]
        assert isinstance(self.raised(*refused, DamagedInputError("b", "B")), DamagedInputError)

    def test_what_was_read_is_not_kept_with_them(self) -> None:
        class Table(bytearray):
            """Bytes that can be referred to weakly."""

        made: list[weakref.ref[Table]] = []

        def read() -> Iterator[int]:
            table = Table(1 << 20)
            made.append(weakref.ref(table))
            yield from table

        def parse() -> None:
            places = read()
            raise DamagedInputError("a", f"block {next(places)}")

        faults = Faults()
        with faults.kept():
            parse()
        assert len(faults.errors) == len(made) == 1
        assert made[0]() is None

    @pytest.mark.parametrize("error", [HostError("full", "full"), KeyboardInterrupt()])
    def test_what_is_not_the_inputs_fault_ends_the_work(self, error: BaseException) -> None:
        faults = Faults()
        with pytest.raises(type(error)), faults.kept():
            raise error
        assert faults.errors == []


def test_a_long_message_is_cut() -> None:
    error = DamagedInputError("a", "begin" + "x" * 1_000_000 + "end")
    made = Finding(Severity.INFO, "a", "begin" + "x" * 1_000_000 + "end")
    for text in (error.message, str(error), error.findings[0].message, made.message):
        assert (text[:5], text[-3:], len(text) <= 2000) == ("begin", "end", True)
    assert replace(made, severity=Severity.ERROR).message == made.message
    assert ConversionError("a", "x" * 2000).message == "x" * 2000


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
        (errno.EFBIG, HostError, "disk-full"),
        (errno.EIO, ConversionError, "publish-failed"),
    ],
)
def test_what_cannot_be_written(number: int, kind: type[ConversionError], code: str) -> None:
    found = writing_failed(Path("/out/x"), OSError(number, "why"), code="publish-failed")
    assert type(found) is kind
    assert (found.code, found.message) == (code, "/out/x: why")
    assert found.hint
