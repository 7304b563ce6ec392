"""What selabel_file(5) and selinux_config(5) say of new files."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.guest.labels import LABEL, Labels, is_enabled
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.model import FileKind

FOLDER = "/etc/selinux/targeted/contexts/files"
CONTEXTS = """\
# comment
/.*\tsystem_u:object_r:default_t:s0
/etc/.*\tsystem_u:object_r:etc_t:s0
/etc/fstab\\.d(/.*)?\tsystem_u:object_r:etc_fstab_t:s0
/usr/lib/systemd/system(/.*)?\tsystem_u:object_r:systemd_unit_file_t:s0
/boot/.*\tsystem_u:object_r:boot_t:s0
/etc/machine-id\t--\tsystem_u:object_r:machineid_t:s0
/etc/ssh/ssh_host.*_key\t--\tsystem_u:object_r:sshd_key_t:s0
/etc/(net|if).*(a+)+\tsystem_u:object_r:evil_t:s0
/mnt/.*\t<<none>>
"""


def guest() -> MemoryGuest:
    return MemoryGuest(
        {
            "/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
            f"{FOLDER}/file_contexts": CONTEXTS,
            f"{FOLDER}/file_contexts.subs_dist": "/etc/systemd/system /usr/lib/systemd/system\n",
        }
    )


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/etc/new", FileKind.FILE, "etc_t"),
        ("/etc/fstab.d", FileKind.DIRECTORY, "etc_fstab_t"),
        ("/etc/fstab.d/a/b", FileKind.FILE, "etc_fstab_t"),
        ("/etc/fstabxd/a", FileKind.FILE, "etc_t"),
        ("/etc/systemd/system/x.service", FileKind.SYMLINK, "systemd_unit_file_t"),
        ("/etc/systemd/systemx", FileKind.FILE, "etc_t"),
        ("/etc/machine-id", FileKind.FILE, "machineid_t"),
        ("/etc/machine-id", FileKind.DIRECTORY, "etc_t"),
        ("/opt/x", FileKind.FILE, "default_t"),
        ("/etc/netaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", FileKind.FILE, "etc_t"),
    ],
)
def test_the_most_specific_pattern_counts(path: str, kind: FileKind, expected: str) -> None:
    found = Labels(guest()).find(path, kind)
    assert found == f"system_u:object_r:{expected}:s0\0".encode()


def test_local_rules_come_later() -> None:
    local = MemoryGuest(
        {
            "/etc/selinux/config": "SELINUXTYPE=targeted\n",
            f"{FOLDER}/file_contexts": CONTEXTS,
            f"{FOLDER}/file_contexts.local": "/etc/.* system_u:object_r:own_t:s0\n",
        }
    )
    assert Labels(local).find("/etc/x", FileKind.FILE) == b"system_u:object_r:own_t:s0\0"


@pytest.mark.parametrize(
    "config", ["", "SELINUXTYPE=../../../root\n", "SELINUXTYPE=\n", "SELINUXTYPE=minimum\n"]
)
def test_without_a_policy_nothing_is_known(config: str) -> None:
    labels = Labels(MemoryGuest({"/etc/selinux/config": config}))
    assert labels.find("/etc/x", FileKind.FILE) is None


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    odd = MemoryGuest(
        {
            "/etc/selinux/config": "SELINUXTYPE=targeted\n",
            f"{FOLDER}/file_contexts": text,
            f"{FOLDER}/file_contexts.subs": text,
        }
    )
    Labels(odd).find("/etc/x", FileKind.FILE)


def test_a_planned_file_gets_the_label_of_the_policy() -> None:
    below = guest()
    below.set_attributes({"/etc": [(LABEL, b"system_u:object_r:etc_t:s0\0")]})
    recording = RecordingGuest(below)
    recording.write("/etc/fstab.d/new", b"", code="test", reason="because")
    directory, file = recording.plan.changes
    for change in (directory, file):
        assert getattr(change, "attributes", None) == (
            (LABEL, b"system_u:object_r:etc_fstab_t:s0\0"),
        )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELINUX=enforcing\n", True),
        ("SELINUX=permissive\n", True),
        ("SELINUX=disabled\n", False),
        ("# nothing\n", True),
    ],
)
def test_is_enabled(text: str, *, expected: bool) -> None:
    assert is_enabled(MemoryGuest({"/etc/selinux/config": text})) is expected
    assert not is_enabled(MemoryGuest({"/etc": Node(FileKind.DIRECTORY)}))
