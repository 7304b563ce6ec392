from __future__ import annotations

from dataclasses import replace

from converter.guest.labels import LABEL
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.inspection.storage import Storage
from converter.model import FileKind, Mount, Plan
from converter.steps import selinux
from converter.steps.step import Context
from tests.unit.samples import FACTS, linux

ETC = Node(FileKind.DIRECTORY, attributes={LABEL: b"system_u:object_r:etc_t:s0\0"})
ESP = Mount("/boot/efi", "/dev/sda9", "vfat")


def plan(path: str, *, mode: str = "enforcing", labelled: bool = True) -> Plan:
    guest = MemoryGuest(
        {
            "/etc": ETC if labelled else Node(FileKind.DIRECTORY),
            "/boot/efi": Node(FileKind.DIRECTORY),
        }
    )
    guest.mkdir("/etc/selinux")
    guest.write("/etc/selinux/config", f"SELINUX={mode}\n".encode(), mode=0o644, uid=0, gid=0)
    recording = RecordingGuest(guest)
    recording.write(path, b"new", code="test", reason="because")
    facts = replace(linux(selinux=mode), esps=(ESP,))
    if selinux.STEP.applies(facts):
        selinux.STEP.run(Context(recording, facts, Storage((), (), ())))
    return recording.plan


def test_labelled_files_need_no_relabel() -> None:
    assert [change.path for change in plan("/etc/new").changes] == ["/etc/new"]


def test_a_file_without_a_label_does() -> None:
    done = plan("/etc/new", labelled=False)
    assert [change.path for change in done.changes] == ["/etc/new", "/.autorelabel"]
    assert [finding.code for finding in done.findings] == ["selinux-relabel"]


def test_files_on_a_filesystem_without_labels_do_not() -> None:
    assert [change.path for change in plan("/boot/efi/new").changes] == ["/boot/efi/new"]


def test_a_guest_without_selinux_does_not() -> None:
    assert len(plan("/etc/new", mode="disabled", labelled=False).changes) == 1
    assert not selinux.STEP.applies(linux(selinux="absent"))
    assert not selinux.STEP.applies(FACTS)
