"""Edits of hives and files of this host, as they are planned and as they are done."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from converter.changes import as_json
from converter.errors import ConversionError, GuestError, GuestRefusedError
from converter.formats.registry import Hive, Value, binary, dword, multi_sz, qword, sz
from converter.formats.registry_new import empty
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.model import (
    CopyIn,
    DeleteKey,
    DeleteValue,
    FileKind,
    MakeDirectory,
    Plan,
    SetValue,
)
from tests.unit.guest.test_recording import WHY, no_progress
from tests.unit.windows_samples import spoilt

if TYPE_CHECKING:
    from pathlib import Path

    from converter.model import RegistryChange

PATH = "/C/config/SYSTEM"
KEPT = "/C/config/.SYSTEM.converter-orig"
OTHER = "/C/config/SOFTWARE"


def hive() -> bytes:
    made = Hive(empty())
    made.set_value("Select", "Current", dword(1))
    made.set_value(r"Services\disk", "Start", dword(3))
    made.set_value(r"Services\disk\StartOverride", "0", dword(3))
    return made.tobytes()


def guest() -> MemoryGuest:
    node = Node(FileKind.FILE, hive(), mode=0o640, uid=3, gid=4)
    return MemoryGuest({PATH: node, OTHER: hive()})


def opened(below: MemoryGuest, path: str = PATH) -> Hive:
    return Hive(below.read(path))


def edit(recording: RecordingGuest, path: str = PATH) -> None:
    recording.set_value(path, r"Services\disk", "Start", dword(0), **WHY)
    recording.set_value(path, r"Services\new", "", sz("default"), **WHY)
    recording.delete_value(path, "Select", "Current", **WHY)
    recording.delete_key(path, r"Services\disk\StartOverride", **WHY)


def test_nothing_is_written_below() -> None:
    below = guest()
    recording = RecordingGuest(below)
    edit(recording)
    assert below.read(PATH) == hive()
    assert recording.hive(PATH).value(r"Services\disk", "Start") == dword(0)
    assert recording.hive(OTHER).value(r"Services\disk", "Start") == dword(3)


def test_what_is_recorded_is_done() -> None:
    below = guest()
    recording = RecordingGuest(below)
    edit(recording)
    replay(recording.plan, below, progress=no_progress)
    found = opened(below)
    found.check()
    assert found.value(r"Services\disk", "Start") == dword(0)
    assert found.value(r"Services\new", "") == sz("default")
    assert found.values("Select") == {}
    assert not found.exists(r"Services\disk\StartOverride")
    stat = below.lstat(PATH)
    assert stat is not None
    assert (stat.mode, stat.uid, stat.gid) == (0o640, 3, 4)


def test_each_change_tells_what_was_there() -> None:
    recording = RecordingGuest(guest())
    edit(recording)
    assert recording.plan.changes == (
        SetValue("test", "because", PATH, r"Services\disk", "Start", dword(0), dword(3), KEPT),
        SetValue("test", "because", PATH, r"Services\new", "", sz("default")),
        DeleteValue("test", "because", PATH, "Select", "Current", dword(1), None),
        DeleteKey("test", "because", PATH, r"Services\disk\StartOverride", None),
    )


def test_a_hive_is_kept_once_and_as_it_was() -> None:
    below = guest()
    recording = RecordingGuest(below)
    edit(recording)
    edit(recording, OTHER)
    kept = [as_json(change)["backup"] for change in recording.plan.changes]
    assert [path for path in kept if path] == [KEPT, "/C/config/.SOFTWARE.converter-orig"]
    replay(recording.plan, below, progress=no_progress)
    assert below.read(KEPT) == hive()


def test_an_earlier_original_stays() -> None:
    below = guest()
    below.write(KEPT, b"first", mode=0o644, uid=0, gid=0)
    recording = RecordingGuest(below)
    edit(recording)
    replay(recording.plan, below, progress=no_progress)
    assert below.read(KEPT) == b"first"
    assert below.read(f"{KEPT}.1") == hive()


def test_a_second_time_there_is_nothing_to_do() -> None:
    below = guest()
    first = RecordingGuest(below)
    edit(first)
    edit(first)
    assert len(first.plan.changes) == 4
    replay(first.plan, below, progress=no_progress)
    done = below.read(PATH)
    second = RecordingGuest(below)
    edit(second)
    assert second.plan.changes == ()
    replay(second.plan, below, progress=no_progress)
    assert below.read(PATH) == done


def test_another_type_is_another_value() -> None:
    recording = RecordingGuest(guest())
    recording.set_value(PATH, "Select", "Current", qword(1), **WHY)
    recording.set_value(PATH, "SELECT", "CURRENT", qword(1), **WHY)
    (change,) = recording.plan.changes
    assert isinstance(change, SetValue)
    assert change.before == dword(1)


def test_what_is_not_there_is_not_deleted() -> None:
    recording = RecordingGuest(guest())
    recording.delete_value(PATH, "Select", "Nothing", **WHY)
    recording.delete_value(PATH, r"No\Key", "Nothing", **WHY)
    recording.delete_key(PATH, r"No\Key", **WHY)
    assert recording.plan.changes == ()


def test_the_difference_reads_like_reg_files() -> None:
    recording = RecordingGuest(guest())
    edit(recording)
    assert recording.plan.diffs == (
        f'{PATH}\n [Services\\disk]\n-"Start"=dword:00000003\n+"Start"=dword:00000000\n',
        f'{PATH}\n [Services\\new]\n+@="default"\n',
        f'{PATH}\n [Select]\n-"Current"=dword:00000001\n',
        f"{PATH}\n[-Services\\disk\\StartOverride]\n",
    )


SECRET = "correct horse"
PASSWORD = r"Microsoft\Windows NT\CurrentVersion\Winlogon"


@pytest.mark.parametrize("name", ["DefaultPassword", "defaultpassword", "DEFAULTPASSWORD"])
@pytest.mark.parametrize("value", [sz(SECRET), multi_sz(SECRET), binary(SECRET.encode())])
def test_a_password_is_not_shown(name: str, value: Value) -> None:
    made = Hive(hive())
    made.set_value(PASSWORD, name, value)
    below = MemoryGuest({PATH: made.tobytes()})
    recording = RecordingGuest(below)
    recording.delete_value(PATH, PASSWORD, name, **WHY)
    hidden = value.data.hex(",")
    assert SECRET not in recording.plan.diffs[0]
    assert hidden not in recording.plan.diffs[0]
    below.write(PATH, hive(), mode=0o644, uid=0, gid=0)
    with pytest.raises(GuestError) as caught:
        replay(recording.plan, below, progress=no_progress)
    assert SECRET not in caught.value.message.replace("\\x00", "")
    assert hidden not in caught.value.message


class TestReplay:
    """What is not as planned is not touched."""

    @pytest.mark.parametrize(
        "change",
        [
            SetValue("c", "r", PATH, "Select", "Current", dword(2), None),
            SetValue("c", "r", PATH, "Select", "Current", dword(2), dword(9)),
            SetValue("c", "r", PATH, "Select", "Current", dword(2), qword(1)),
            SetValue("c", "r", PATH, "Select", "Gone", dword(2), dword(1)),
            DeleteValue("c", "r", PATH, "Select", "Current", dword(9), None),
            DeleteValue("c", "r", PATH, "Select", "Gone", dword(9), None),
        ],
    )
    def test_a_value_that_changed(self, change: RegistryChange) -> None:
        below = guest()
        nodes = dict(below._nodes)
        with pytest.raises(GuestError) as caught:
            replay(Plan((change,)), below, progress=no_progress)
        assert caught.value.code == "plan-outdated"
        assert PATH in caught.value.message
        assert caught.value.hint
        assert below._nodes == nodes

    @pytest.mark.parametrize("data", [b"", b"noise" * 2000, hive()[:4096], spoilt(hive())])
    def test_a_hive_that_is_none_any_more(self, data: bytes) -> None:
        below = guest()
        recording = RecordingGuest(below)
        edit(recording)
        below.write(PATH, data, mode=0o644, uid=0, gid=0)
        with pytest.raises(ConversionError) as caught:
            replay(recording.plan, below, progress=no_progress)
        assert caught.value.code in ("plan-outdated", "registry-damaged")
        assert below.read(PATH) == data

    def test_progress_ends_at_one(self) -> None:
        below = guest()
        recording = RecordingGuest(below)
        edit(recording)
        seen: list[float] = []
        replay(recording.plan, below, progress=seen.append)
        assert seen == sorted(seen)
        assert seen[-1] == 1


def test_damage_refuses_the_guest() -> None:
    recording = RecordingGuest(MemoryGuest({PATH: spoilt(hive())}))
    for edit_it in (
        lambda: recording.set_value(PATH, r"Services\disk", "Start", dword(0), **WHY),
        lambda: recording.delete_value(PATH, "Select", "Current", **WHY),
        lambda: recording.delete_key(PATH, "Select", **WHY),
        lambda: recording.hive(PATH).subkeys(""),
        lambda: recording.hive(PATH).value("Select", "Current"),
        lambda: recording.hive(PATH).values("Select"),
        lambda: recording.hive(PATH).exists("Select"),
    ):
        with pytest.raises(GuestRefusedError) as caught:
            edit_it()
        assert caught.value.code == "registry-damaged"
        assert PATH in caught.value.message
    assert recording.plan.changes == ()


class TestCopyIn:
    @pytest.fixture
    def payload(self, tmp_path: Path) -> Path:
        path = tmp_path / "setup.msi"
        path.write_bytes(b"MSI")
        return path

    def change(self, payload: Path, path: str) -> CopyIn:
        data = payload.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        return CopyIn("c", "r", path, payload, digest, len(data))

    def test_a_new_file_with_its_directories(self, payload: Path) -> None:
        below = guest()
        recording = RecordingGuest(below)
        recording.copy_in(self.change(payload, "/C/EC2/a/setup.msi"))
        kinds = [type(change) for change in recording.plan.changes]
        assert kinds == [MakeDirectory, MakeDirectory, CopyIn]
        replay(recording.plan, below, progress=no_progress)
        assert below.read("/C/EC2/a/setup.msi") == b"MSI"

    def test_one_that_replaces_another(self, payload: Path) -> None:
        below = guest()
        recording = RecordingGuest(below)
        recording.copy_in(self.change(payload, OTHER))
        (change,) = recording.plan.changes
        assert isinstance(change, CopyIn)
        assert (change.before, change.backup) == (
            below.digest(OTHER),
            "/C/config/.SOFTWARE.converter-orig",
        )
        replay(recording.plan, below, progress=no_progress)
        assert below.read(OTHER) == b"MSI"
        assert change.backup is not None
        assert below.read(change.backup) == hive()

    def test_one_that_is_there_is_no_change(self, payload: Path) -> None:
        below = guest()
        below.write("/C/setup.msi", b"MSI", mode=0o644, uid=0, gid=0)
        recording = RecordingGuest(below)
        recording.copy_in(self.change(payload, "/C/setup.msi"))
        assert recording.plan.changes == ()

    def test_one_that_appeared_is_not_replaced(self, payload: Path) -> None:
        below = guest()
        recording = RecordingGuest(below)
        recording.copy_in(self.change(payload, "/C/setup.msi"))
        below.write("/C/setup.msi", b"theirs", mode=0o644, uid=0, gid=0)
        with pytest.raises(GuestError) as caught:
            replay(recording.plan, below, progress=no_progress)
        assert caught.value.code == "plan-outdated"
        assert below.read("/C/setup.msi") == b"theirs"

    def test_it_gets_its_attributes(self, payload: Path) -> None:
        below = guest()
        security = (("system.ntfs_acl", b"\1\0\4\x80"),)
        recording = RecordingGuest(below, None, lambda _place, _kind: security)
        recording.copy_in(self.change(payload, "/C/new/setup.msi"))
        replay(recording.plan, below, progress=no_progress)
        assert below.attributes("/C/new/setup.msi") == security
        assert below.attributes("/C/new") == security

    def test_a_directory_is_never_written_over(self, payload: Path) -> None:
        with pytest.raises(GuestError):
            RecordingGuest(guest()).copy_in(self.change(payload, "/C/config"))


def test_settings_in_utf_16_are_shown_as_text() -> None:
    below = MemoryGuest({"/C/gpt.ini": "[General]\r\nVersion=1\r\n".encode("utf-16")})
    recording = RecordingGuest(below)
    recording.write("/C/gpt.ini", "[General]\r\nVersion=2\r\n".encode("utf-16"), **WHY)
    assert "+Version=2" in recording.plan.diffs[0]
    odd = RecordingGuest(below)
    odd.write("/C/gpt.ini", b"\xff\xfe\x00\xd8x", **WHY)
    assert "-Version=1" in odd.plan.diffs[0]
