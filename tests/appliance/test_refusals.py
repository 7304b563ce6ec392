"""Everything that is refused, by the command: its code, its exit status, how soon it is told."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

import pytest

from converter.codes import OF_INPUT, catalogue
from converter.guest.protocol import Code
from tests.appliance import test_windows_refusals
from tests.command import converter
from tests.refusals import containers, damaged, disks
from tests.windows.comparison import file_digest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command import Done
    from tests.refusals.row import Row

# Codes of errors without a row, by why they have none.
ELSEWHERE = {
    "an option asks for what is impossible: tests of the partition tables, of Windows' steps": (
        "answer-file-invalid",
        "generalize-windows",
        "table-boot-record",
        "table-boot-settings",
        "table-bootloader",
        "table-dynamic",
        "table-elsewhere",
        "table-firmware",
        "table-foreign",
        "table-no-room",
        "table-none",
        "table-system",
        "table-too-large",
        "table-too-many-partitions",
        "table-windows",
    ),
    "of a driver store or a result, not of a source": (
        "checksum-unknown",
        "disk-checksum",
        "disk-missing",
        "disk-size",
        "import-refused",
        "manifest-invalid",
        "manifest-path",
        "manifest-schema",
        "payload-damaged",
        "signature-wrong",
        "store-invalid",
        "store-unknown",
    ),
    "of Windows, as it is in memory: tests/unit/test_policy_windows.py, tests/windows": (
        "blank-password",
        "filesystem-dirty",
        "os-unsupported",
        "physical-machine",
        "registry-damaged",
    ),
    "of files that are no files: tests/unit/guest, tests/unit/steps": tuple(sorted(Code.ODD)),
    "of Linux, one of many faults of its kind: tests/unit/inspection, tests/unit/steps": (
        "default-is-hypervisor",
        "initramfs-not-prepared",
        "root-device-fixed",
        "root-without-name",
    ),
    "shows when the disk is copied: tests/appliance/test_sources.py, tests/unit/source": (
        "vmdk-grain-length",
        "vmdk-grain-place",
    ),
    "of a container, one of many faults of its kind: tests/unit/source": (
        "header-size",
        "source-damaged",
        "source-size",
        "vmdk-table",
    ),
}

# Seconds of CPU time: what other programs take meanwhile does not count.
_SOON = 2.0

ROWS = (*containers.ROWS, *damaged.ROWS, *disks.ROWS)


def _errors(done: Done) -> list[dict[str, str]]:
    """Give the findings that refuse, and the error that ended the work, if one did."""
    document = done.document
    errors = [item for item in document["findings"] if item["severity"] == "error"]
    ending = document.get("error")
    told = any(item["code"] == ending["code"] for item in errors) if ending else True
    return errors if told else [*errors, ending]


def _cpu_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def check(row: Row, directory: Path) -> None:
    """Check what `converter check` says of a row's disks, and that it leaves them as they are."""
    given = directory / "given"
    given.mkdir()
    paths, log = row.build(given), directory / "log"
    before = {path: file_digest(path) for path in paths}
    begun = _cpu_time()
    done = converter("check", *paths, "--json", "--log", log, *row.options)
    seconds = _cpu_time() - begun
    errors = _errors(done)
    assert {item["code"] for item in errors} == {*row.refused}, done.stdout
    assert done.code == row.status, done.stderr
    assert all(item["hint"] for item in errors)
    said = [f"{item.get('service_message', '')}\n{item['message']}" for item in errors]
    for text in row.says:
        assert any(text in each for each in said), done.stdout
    codes = {item["code"] for item in done.document["findings"] if item["severity"] == "warning"}
    assert codes.issuperset(row.warned), done.stdout
    assert log.read_text("utf-8").count("appliance: starting with") == row.starts
    assert {path: file_digest(path) for path in paths} == before
    assert row.starts or seconds < _SOON


@pytest.mark.parametrize("row", [*containers.ROWS, *damaged.ROWS], ids=lambda row: row.name)
def test_container(row: Row, tmp_path: Path) -> None:
    assert row.starts == 0
    check(row, tmp_path)


@pytest.mark.appliance
@pytest.mark.parametrize("row", disks.ROWS, ids=lambda row: row.name)
def test_guest(row: Row, tmp_path: Path) -> None:
    check(row, tmp_path)


# --- nothing is left out --------------------------------------------------------------------------


def test_every_code_has_a_row() -> None:
    codes = {
        code
        for code, entry in catalogue().items()
        if not {entry.kind, *entry.also}.isdisjoint(OF_INPUT)
    }
    shown = {code for row in ROWS for code in row.refused} | {*test_windows_refusals.REFUSED}
    elsewhere = {code for codes in ELSEWHERE.values() for code in codes}
    assert codes - shown - elsewhere == set(), "add a row for these"
    assert elsewhere & shown == set(), "these have a row"
    assert elsewhere <= codes, "nothing gives these"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_the_exit_status_is_the_catalogues(row: Row) -> None:
    assert {catalogue()[code].exit_code for code in row.refused} <= {row.status}
