"""Proof of a converted Windows: what is right, and each thing that is not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from converter import verification
from converter.errors import ConversionError
from converter.guest.memory import MemoryGuest, Node
from converter.guest.protocol import SECURITY
from converter.model import (
    BootMode,
    ConvertTable,
    CopyIn,
    FileKind,
    MakeDirectory,
    Plan,
    TableType,
    WriteFile,
)
from tests.unit.windows_samples import facts, inspected

BIOS, UEFI = BootMode.LEGACY_BIOS, BootMode.UEFI
ACL = b"\1\0\4\x80"


def problems(
    monkeypatch: pytest.MonkeyPatch,
    *,
    done: Plan = Plan(()),  # noqa: B008 - it is frozen
    planned: Plan = Plan(()),  # noqa: B008 - it is frozen
    modes: frozenset[BootMode] | None = None,
    attributes: dict[str, bytes] | None = None,
    **changed: Any,
) -> str:
    """Give what `verify` complains of, "" if it does not."""
    monkeypatch.setattr(verification, "make_plan", lambda *_arguments: planned)
    before = inspected()
    after = facts(**changed)
    if modes is not None:
        after = replace(after, boot_modes=modes)
    node = Node(FileKind.FILE, attributes=attributes or {})
    guest = MemoryGuest({"/C/new/file": node})
    try:
        verification.verify(guest, before, replace(before, facts=after), done)
    except ConversionError as error:
        return error.message
    return ""


def test_one_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems(monkeypatch) == ""


def test_more_drivers_are_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    more = frozenset({*facts().windows.boot_drivers, "AWSNVMe"})
    assert problems(monkeypatch, boot_drivers=more) == ""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"build": 20348}, "Windows became"),
        ({"root": "/C/WINNT"}, "in /C/WINNT"),
        ({"control_sets": ("ControlSet001",)}, "Windows became"),
        ({"boot_drivers": frozenset({"atapi"})}, "the driver stornvme does not start"),
        ({"modes": frozenset()}, "does not start by uefi"),
        ({"modes": frozenset({BIOS})}, "does not start by uefi"),
    ],
)
def test_one_that_is_not(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], said: str
) -> None:
    assert said in problems(monkeypatch, **changed)


def table() -> Plan:
    disk = facts().disks[0]
    return Plan((ConvertTable("c", "r", disk.device, disk.table, disk.partitions, (), disk.size),))


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        (frozenset({BIOS}), ""),
        (frozenset({UEFI}), "does not start by legacy-bios"),
        (frozenset(), "does not start by legacy-bios"),
    ],
)
def test_one_with_a_new_table_starts_by_bios(
    monkeypatch: pytest.MonkeyPatch, modes: frozenset[BootMode], said: str
) -> None:
    found = problems(monkeypatch, done=table(), modes=modes)
    assert (said in found) if said else found == ""


def test_a_table_that_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    (change,) = table().changes
    assert isinstance(change, ConvertTable)
    done = Plan((replace(change, table=TableType.MBR),))
    assert "partition table" in problems(monkeypatch, done=done, modes=frozenset({BIOS}))


WRITTEN = WriteFile("c", "r", "/C/new/file", b"", 0, 0, 0, attributes=((SECURITY, ACL),))
COPIED = CopyIn("c", "r", "/C/new/file", Path("/x"), "ab", 1, attributes=((SECURITY, ACL),))
MADE = MakeDirectory("c", "r", "/C/new", attributes=((SECURITY, ACL),))


@pytest.mark.parametrize(
    ("change", "attributes", "said"),
    [
        (WRITTEN, {SECURITY: ACL}, ""),
        (WRITTEN, {SECURITY: b"everybody"}, "/C/new/file"),
        (WRITTEN, {}, "/C/new/file"),
        (COPIED, {SECURITY: ACL}, ""),
        (COPIED, {}, "/C/new/file"),
        (MADE, {}, "/C/new has not"),
    ],
)
def test_who_may_write_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
    change: WriteFile | CopyIn | MakeDirectory,
    attributes: dict[str, bytes],
    said: str,
) -> None:
    found = problems(monkeypatch, done=Plan((change,)), attributes=attributes)
    assert (said in found) if said else found == ""
    assert "SELinux" not in found


def test_a_second_conversion_would_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    again = Plan((WriteFile("ems-off", "r", "/ESP/BCD", b"", 0, 0, 0),))
    assert "/ESP/BCD would be changed again (ems-off)" in problems(monkeypatch, planned=again)
