"""A Windows 7 or 2008 R2 that does not know how its new boot driver is signed."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter import bundles
from converter.bundles import Choice, Verdict
from converter.formats.registry import Hive, dword
from converter.formats.registry_new import empty
from converter.guest.recording import RecordingGuest
from converter.inspection.storage import Storage
from converter.model import Mount
from converter.provision import Provided
from converter.steps.step import Context, Options
from converter.steps.windows.boot_driver import STEP
from converter.store import Checked, Entry
from tests import standins
from tests.unit.samples import FACTS
from tests.unit.steps.windows.test_first_boot_again import CONFIG, WINDOWS, guest

if TYPE_CHECKING:
    from pathlib import Path

UPDATES = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages"
SHA2 = "Package_for_KB4474419~31bf3856ad364e35~amd64~~6.1.3.2"
OTHER = "Package_for_KB2999226~31bf3856ad364e35~amd64~~6.1.1.7"


def provided(directory: Path) -> Provided:
    path = directory / "AWSNVMe.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("AWSNVMe.inf", standins.inf())
        archive.writestr("AWSNVMe.sys", b"MZ")
    bundle = bundles.find("aws-nvme")
    assert bundle is not None
    entry = Entry(bundle.name, "2008-r2", path.name, path.stat().st_size, "", "")
    return Provided(
        Choice(bundle, Verdict.INSTALL, "", tuple(bundle.payloads)), Checked(entry, path)
    )


@pytest.mark.parametrize(
    ("version", "update", "state", "expected"),
    [
        ("6.1", OTHER, None, ["sha2-missing"]),
        ("6.1", SHA2, None, []),
        ("6.1", SHA2, 0x70, []),
        ("6.1", SHA2, 0x40, ["sha2-missing"]),
        ("6.1", SHA2, 0, ["sha2-missing"]),
        ("6.2", OTHER, None, []),
    ],
)
def test_without_an_update_it_is_told_that_nothing_may_start(
    tmp_path: Path, version: str, update: str, state: int | None, expected: list[str]
) -> None:
    software = Hive(empty())
    software.create_key(rf"{UPDATES}\{update}")
    if state is not None:
        software.set_value(rf"{UPDATES}\{update}", "CurrentState", dword(state))
    machine = guest()
    machine.write(f"{CONFIG}/SOFTWARE", software.tobytes(), mode=0o644, uid=0, gid=0)
    os = replace(WINDOWS, version=version, build=7601)
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=os)
    recording = RecordingGuest(machine)
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, Options(payloads=(provided(tmp_path),))))
    assert [finding.code for finding in recording.plan.findings] == expected
    assert any(change.path.endswith("AWSNVMe.sys") for change in recording.plan.changes)
