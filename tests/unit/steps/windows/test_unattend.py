"""The answer file of a Windows that was prepared by sysprep."""

from __future__ import annotations

from dataclasses import replace

from converter.firstboot.unattend import PATH
from converter.guest.recording import RecordingGuest
from converter.inspection.storage import Storage
from converter.model import GENERALIZED, Mount
from converter.steps.step import Context, Options
from converter.steps.windows.unattend import STEP
from tests.unit.samples import FACTS
from tests.unit.steps.windows.test_first_boot_again import ROOT, WINDOWS, guest


def test_no_password_of_either_answer_file_is_shown() -> None:
    os = replace(WINDOWS, image_state=GENERALIZED)
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=os)
    recording = RecordingGuest(guest({PATH: b"<Value>old secret</Value>"}))
    options = Options(unattend=b"<Value>new secret</Value>")
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, options))
    assert recording.read(f"{ROOT}/{PATH}") == b"<Value>new secret</Value>"
    assert "secret" not in "".join(recording.plan.diffs)


def test_where_windows_looks_first() -> None:
    first = "Panther/Unattend/Unattend.xml"
    os = replace(WINDOWS, image_state=GENERALIZED)
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=os)
    recording = RecordingGuest(guest({PATH: b"<x/>", first: b"<theirs/>"}))
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, Options(unattend=b"<ours/>")))
    assert recording.read(f"{ROOT}/{first}") == b"<ours/>"
    assert recording.read(f"{ROOT}/{PATH}") == b"<x/>"


def test_the_owner_s_own_goes_before_the_default() -> None:
    first = "Panther/Unattend/Unattend.xml"
    os = replace(WINDOWS, image_state=GENERALIZED)
    facts = replace(FACTS, mounts=(Mount("/C", "/dev/sda1", "ntfs"),), os=os)
    recording = RecordingGuest(guest({first: b"<theirs/>"}))
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, Options()))
    assert recording.plan.changes == ()


def test_an_answer_file_that_is_of_no_use() -> None:
    facts = replace(FACTS, os=replace(WINDOWS, image_state=""))
    recording = RecordingGuest(guest({}))
    storage = Storage(facts.disks, facts.filesystems, facts.volumes)
    STEP.run(Context(recording, facts, storage, Options(unattend=b"<x/>")))
    assert recording.plan.changes == ()
    (finding,) = recording.plan.findings
    assert f"{finding.severity.value} {finding.code}" == "warning answer-file-unused"
