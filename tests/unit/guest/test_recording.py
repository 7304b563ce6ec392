from __future__ import annotations

from typing import TypedDict

import pytest

from converter.errors import GuestError
from converter.guest import paths
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.model import AppendFile, CopyFile, FileKind, MakeLink, RemoveFile, WriteFile


class Why(TypedDict):
    code: str
    reason: str


WHY: Why = {"code": "test", "reason": "because"}
LABEL = {"security.selinux": b"system_u:object_r:etc_t:s0\0"}


def guest() -> MemoryGuest:
    return MemoryGuest(
        {
            "/etc/fstab": Node(FileKind.FILE, b"/dev/sda1 / ext4\n", mode=0o640, uid=3, gid=4),
            "/etc/link": Node(FileKind.SYMLINK, b"fstab"),
            "/etc/rules.d/70-net.rules": "NAME=eth0\n",
            "/lib": Node(FileKind.SYMLINK, b"usr/lib"),
            "/usr/lib/unit": "old\n",
        }
    )


def no_progress(_fraction: float) -> None:
    pass


def test_nothing_is_written_below() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.write("/etc/fstab", b"new\n", **WHY)
    recording.remove("/etc/rules.d/70-net.rules", **WHY)
    assert below.read("/etc/fstab") == b"/dev/sda1 / ext4\n"
    assert below.lstat("/etc/rules.d/70-net.rules") is not None


def test_reads_see_what_was_recorded() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/fstab", b"new\n", **WHY)
    recording.write("/etc/rules.d/99-new.rules", b"x", **WHY)
    recording.remove("/etc/rules.d/70-net.rules", **WHY)
    recording.symlink("/dev/null", "/etc/masked", **WHY)
    assert recording.read("/etc/link") == b"new\n"
    assert recording.list("/etc/rules.d") == ("99-new.rules",)
    assert recording.readlink("/etc/masked") == "/dev/null"
    assert paths.glob(recording, "/etc/rules.d/*") == ("/etc/rules.d/99-new.rules",)
    with pytest.raises(GuestError):
        recording.read("/etc/rules.d/70-net.rules")


def test_a_path_through_a_link_is_the_same_file() -> None:
    recording = RecordingGuest(guest())
    recording.write("/usr/lib/unit", b"new\n", **WHY)
    assert recording.read("/lib/unit") == b"new\n"
    assert recording.plan.changes[0].path == "/usr/lib/unit"
    recording.remove("/lib/unit", **WHY)
    assert recording.lstat("/lib/unit") is None


def test_writing_what_is_there_is_no_change() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/fstab", b"/dev/sda1 / ext4\n", **WHY)
    recording.symlink("fstab", "/etc/link", **WHY)
    recording.remove("/etc/nothing", **WHY)
    assert recording.plan.changes == ()


def test_the_original_is_kept_once_under_a_hidden_name() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/fstab", b"1\n", **WHY)
    recording.write("/etc/fstab", b"2\n", **WHY)
    first, second = recording.plan.changes
    assert isinstance(first, WriteFile)
    assert isinstance(second, WriteFile)
    assert (first.backup, second.backup) == ("/etc/.fstab.converter-orig", None)
    below = guest()
    replay(recording.plan, below, progress=no_progress)
    assert below.read("/etc/fstab") == b"2\n"
    assert below.read("/etc/.fstab.converter-orig") == b"/dev/sda1 / ext4\n"


def test_an_earlier_original_is_never_overwritten() -> None:
    below = guest()
    below.write("/etc/.fstab.converter-orig", b"first\n", mode=0o644, uid=0, gid=0)
    recording = RecordingGuest(below)
    recording.write("/etc/fstab", b"1\n", **WHY)
    replay(recording.plan, below, progress=no_progress)
    assert below.read("/etc/.fstab.converter-orig") == b"first\n"
    assert below.read("/etc/.fstab.converter-orig.1") == b"/dev/sda1 / ext4\n"


def test_a_secret_is_not_shown_and_neither_is_what_it_replaces() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/fstab", b"<Password>new</Password>", **WHY, is_secret=True)
    assert recording.plan.diffs == ("/etc/fstab: 17 bytes, then 24, not shown\n",)
    assert recording.read("/etc/fstab") == b"<Password>new</Password>"


def test_owner_and_mode_stay() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.write("/etc/fstab", b"1\n", **WHY)
    replay(recording.plan, below, progress=no_progress)
    found = below.lstat("/etc/fstab")
    assert found is not None
    assert (found.mode, found.uid, found.gid) == (0o640, 3, 4)


def test_new_files_get_their_directories_and_the_label_of_where_they_are() -> None:
    below = MemoryGuest({"/etc": Node(FileKind.DIRECTORY, attributes=LABEL)})
    recording = RecordingGuest(below)
    recording.write("/etc/new", b"1", **WHY)
    recording.write("/etc/a/b/c", b"1", **WHY)
    replay(recording.plan, below, progress=no_progress)
    assert below.attributes("/etc/new") == tuple(LABEL.items())
    assert below.read("/etc/a/b/c") == b"1"


@pytest.mark.parametrize("path", ["/etc/fstab", "/etc/rules.d/70-net.rules"])
def test_replay_refuses_what_changed_since_planning(path: str) -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.write("/etc/fstab", b"1\n", **WHY)
    recording.remove("/etc/rules.d/70-net.rules", **WHY)
    below.write(path, b"somebody else's", mode=0o644, uid=0, gid=0)
    with pytest.raises(GuestError, match="changed since the plan"):
        replay(recording.plan, below, progress=no_progress)
    assert below.read(path) == b"somebody else's"


def test_replay_refuses_a_new_file_that_appeared() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.write("/etc/new", b"1\n", **WHY)
    below.write("/etc/new", b"theirs", mode=0o644, uid=0, gid=0)
    with pytest.raises(GuestError, match="changed since the plan"):
        replay(recording.plan, below, progress=no_progress)


def test_append_keeps_the_original_and_names_what_it_extends() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.append("/etc/link", b"more\n", before=below.digest("/etc/fstab"), **WHY)
    (change,) = recording.plan.changes
    assert isinstance(change, AppendFile)
    assert (change.path, change.size) == ("/etc/fstab", 17)
    replay(recording.plan, below, progress=no_progress)
    assert below.read("/etc/fstab") == b"/dev/sda1 / ext4\nmore\n"
    assert change.backup is not None
    assert below.read(change.backup) == b"/dev/sda1 / ext4\n"


def test_links_are_replaced_and_removed_as_links() -> None:
    below = guest()
    recording = RecordingGuest(below)
    recording.symlink("/dev/null", "/etc/link", **WHY)
    recording.symlink("/dev/null", "/usr/lib/unit", **WHY)
    replay(recording.plan, below, progress=no_progress)
    assert below.readlink("/etc/link") == "/dev/null"
    assert below.readlink("/usr/lib/unit") == "/dev/null"
    assert below.read("/usr/lib/.unit.converter-orig") == b"old\n"
    kinds = [type(change) for change in recording.plan.changes]
    assert kinds == [MakeLink, RemoveFile, MakeLink]
    again = RecordingGuest(below)
    again.remove("/etc/link", **WHY)
    replay(again.plan, below, progress=no_progress)
    assert below.lstat("/etc/link") is None
    assert below.lstat("/etc/fstab") is not None


def test_a_directory_is_never_written_over() -> None:
    recording = RecordingGuest(guest())
    with pytest.raises(GuestError):
        recording.write("/etc/rules.d", b"", **WHY)


def test_the_diff_reads_like_diff_u() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/fstab", b"UUID=1 / ext4\n", **WHY)
    assert recording.plan.diffs == (
        "--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1 +1 @@\n-/dev/sda1 / ext4\n+UUID=1 / ext4\n",
    )


def test_a_copy_names_what_is_copied_instead_of_holding_it() -> None:
    below = MemoryGuest({"/efi/grubx64.efi": b"MZ program", "/efi/old.efi": b"MZ old"})
    recording = RecordingGuest(below)
    recording.copy("/efi/grubx64.efi", "/efi/BOOT/BOOTX64.EFI", **WHY)
    recording.copy("/efi/grubx64.efi", "/efi/old.efi", **WHY)
    assert recording.read("/efi/BOOT/BOOTX64.EFI") == b"MZ program"
    _, new, replaced = recording.plan.changes
    assert isinstance(new, CopyFile)
    assert isinstance(replaced, CopyFile)
    assert (new.source, new.digest, new.before, new.backup) == (
        "/efi/grubx64.efi",
        below.digest("/efi/grubx64.efi"),
        None,
        None,
    )
    replay(recording.plan, below, progress=no_progress)
    assert below.read("/efi/BOOT/BOOTX64.EFI") == b"MZ program"
    assert below.read("/efi/old.efi") == b"MZ program"
    assert replaced.backup is not None
    assert below.read(replaced.backup) == b"MZ old"


def test_a_copy_of_what_is_there_is_no_change() -> None:
    recording = RecordingGuest(MemoryGuest({"/efi/a": b"MZ", "/efi/b": b"MZ"}))
    recording.copy("/efi/a", "/efi/b", **WHY)
    assert recording.plan.changes == ()


def test_replay_refuses_a_copy_whose_source_changed() -> None:
    below = MemoryGuest({"/efi/a": b"MZ"})
    recording = RecordingGuest(below)
    recording.copy("/efi/a", "/efi/b", **WHY)
    below.write("/efi/a", b"MZ other", mode=0o644, uid=0, gid=0)
    with pytest.raises(GuestError, match="changed since the plan"):
        replay(recording.plan, below, progress=no_progress)


def test_links_and_directories_get_labels_too() -> None:
    below = MemoryGuest({"/etc": Node(FileKind.DIRECTORY, attributes=LABEL)})
    recording = RecordingGuest(below)
    recording.symlink("/dev/null", "/etc/systemd/system/x.service", **WHY)
    replay(recording.plan, below, progress=no_progress)
    for path in ("/etc/systemd", "/etc/systemd/system", "/etc/systemd/system/x.service"):
        assert below.attributes(path) == tuple(LABEL.items())
    assert recording.unlabelled == ()


def test_what_has_no_label_is_told() -> None:
    recording = RecordingGuest(guest())
    recording.write("/etc/new", b"1", **WHY)
    recording.write("/etc/fstab", b"replaced", **WHY)
    assert recording.unlabelled == ("/etc/new",)


def test_what_is_discarded_or_emptied_is_kept_nowhere() -> None:
    below = guest()
    below.write("/var", b"", mode=0o644, uid=0, gid=0)
    recording = RecordingGuest(below)
    recording.discard("/usr/lib/unit", **WHY)
    recording.discard("/etc/link", **WHY)
    recording.discard("/etc/nothing", **WHY)
    recording.empty("/etc/fstab", **WHY)
    recording.empty("/var", **WHY)
    assert recording.read("/etc/fstab") == b""
    assert recording.lstat("/etc/link") is None
    assert len(recording.plan.changes) == 3
    assert not any(secret in "".join(recording.plan.diffs) for secret in ("old", "ext4"))
    replay(recording.plan, below, progress=no_progress)
    assert below.list("/etc") == ("fstab", "rules.d")
    assert below.list("/usr/lib") == ()
    found = below.lstat("/etc/fstab")
    assert found is not None
    assert (found.size, found.mode, found.uid, found.gid) == (0, 0o640, 3, 4)


@pytest.mark.parametrize("odd", [FileKind.OTHER, FileKind.FILE])
def test_what_is_no_directory_is_told_when_planning(odd: FileKind) -> None:
    recording = RecordingGuest(MemoryGuest({"/etc/network": Node(odd)}))
    with pytest.raises(GuestError, match="/etc/network: is not a directory") as error:
        recording.write("/etc/network/a/b", b"", **WHY)
    assert error.value.code == "guest-not-a-directory"
    with pytest.raises(GuestError, match="/etc/network: is not a directory"):
        recording.symlink("x", "/etc/network/a", **WHY)
    assert recording.plan.changes == ()


def test_a_file_that_nobody_would_read_through_is_not_compared() -> None:
    """difflib takes minutes for a mebibyte in which every second line is another."""
    old = [f"line {number}\n" for number in range(50_000)]
    new = [f"#{line}" if number % 2 else line for number, line in enumerate(old)]
    recording = RecordingGuest(MemoryGuest({"/etc/fstab": "".join(old)}))
    recording.write("/etc/fstab", "".join(new).encode(), **WHY)
    assert recording.plan.diffs == ("/etc/fstab: 50000 lines, then 50000, too many to be shown\n",)
