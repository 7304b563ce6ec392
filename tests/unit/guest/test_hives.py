"""The hives of a guest: whole, dirty, damaged; and edits that are planned."""

from __future__ import annotations

import pytest

from converter.errors import GuestError, GuestRefusedError
from converter.formats.registry import Hive, dword, sz
from converter.formats.registry_log import LOG_LIMIT
from converter.formats.registry_new import empty
from converter.guest.hives import LIMIT, Hives, Recorder, read_whole
from converter.guest.memory import MemoryGuest
from converter.guest.protocol import TEXT_LIMIT, Code
from converter.guest.recording import RecordingGuest
from converter.model import DeleteKey, DeleteValue, SetValue
from tests.unit.windows_samples import spoilt

PATH = "/C/config/SYSTEM"


def hive() -> bytes:
    made = Hive(empty())
    made.set_value(r"Select", "Current", dword(1))
    made.set_value(r"Setup\Deep", "x", sz("y"))
    return made.tobytes()


def dirty() -> bytes:
    data = bytearray(hive())
    data[4] ^= 1
    return bytes(data)


class Counting(MemoryGuest):
    """A guest that counts what is read, and is asked for more than text."""

    reads = 0

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        self.reads += 1
        assert limit == LIMIT
        return super().read(path, limit=limit)


def test_each_is_read_once() -> None:
    guest = Counting({PATH: hive()})
    hives = Hives(guest)
    assert hives.reader(PATH).value("select", "CURRENT") == dword(1)
    assert hives.reader(PATH) is hives.reader(PATH)
    assert hives.data(PATH) == hive()
    assert guest.reads == 1


def test_a_copy_is_one() -> None:
    hives = Hives(MemoryGuest({PATH: hive()}))
    hives.copy(PATH).delete_key("Select")
    assert hives.reader(PATH).exists("Select")
    assert hives.copy(PATH).exists("Select")


@pytest.mark.parametrize("data", [b"", b"regf", bytes(8192), b"x" * 9000, hive()[:4096]])
def test_what_is_no_hive_is_damaged(data: bytes) -> None:
    hives = Hives(MemoryGuest({PATH: data}))
    for ask in (hives.reader, hives.copy):
        with pytest.raises(GuestRefusedError) as caught:
            ask(PATH)
        assert caught.value.code == "registry-damaged"
        assert PATH in caught.value.message
        (finding,) = caught.value.findings
        assert finding.hint


@pytest.mark.parametrize(
    "logs",
    [
        {},
        {".LOG1": b""},
        {".LOG1": b"noise" * 1000, ".LOG2": bytes(4096)},
        {".log1": hive(), ".LOG2": dirty()},
    ],
)
def test_one_that_no_log_makes_whole_is_dirty(logs: dict[str, bytes]) -> None:
    guest = MemoryGuest({PATH: dirty(), **{f"{PATH}{name}": data for name, data in logs.items()}})
    with pytest.raises(GuestRefusedError) as caught:
        read_whole(guest, PATH)
    assert caught.value.code == "registry-dirty"
    assert "shutdown" in caught.value.hint


def test_the_logs_of_a_clean_one_are_not_read() -> None:
    guest = Counting({PATH: hive(), f"{PATH}.LOG1": b"noise"})
    assert read_whole(guest, PATH) == hive()
    assert guest.reads == 1


def test_logs_that_are_none_are_not_held() -> None:
    guest = Counting({PATH: dirty(), f"{PATH}.LOG1": bytes(LOG_LIMIT + 1)})
    with pytest.raises(GuestRefusedError):
        read_whole(guest, PATH)
    assert guest.reads == 1


def test_what_is_held_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("converter.guest.hives.LIMIT", 3 * len(hive()) - 1)
    guest = MemoryGuest({f"{PATH}{number}": hive() for number in range(3)})
    hives = Hives(guest)
    for number in range(2):
        hives.data(f"{PATH}{number}")
    with pytest.raises(GuestError) as caught:
        hives.data(f"{PATH}2")
    assert caught.value.code == Code.TOO_LARGE


def test_one_that_is_not_there() -> None:
    with pytest.raises(GuestError) as caught:
        Hives(MemoryGuest()).reader(PATH)
    assert caught.value.code == Code.MISSING


class TestRecorder:
    def recording(self) -> tuple[RecordingGuest, Recorder]:
        guest = RecordingGuest(MemoryGuest({PATH: hive()}))
        return guest, Recorder(guest, PATH, code="c", reason="r")

    def test_reads_what_it_wrote(self) -> None:
        _, recorder = self.recording()
        recorder.set_value("New", "a", dword(7))
        recorder.delete_value(r"Setup\Deep", "X")
        recorder.delete_key("SELECT")
        assert recorder.exists("new")
        assert recorder.value("NEW", "A") == dword(7)
        assert recorder.values(r"Setup\Deep") == {}
        assert recorder.subkeys("") == ("New", "Setup")
        assert not recorder.exists("Select")

    def test_each_edit_is_planned_for_its_reason(self) -> None:
        guest, recorder = self.recording()
        recorder.set_value("New", "a", dword(7))
        recorder.delete_value(r"Setup\Deep", "x")
        recorder.delete_key("Select")
        changes = guest.plan.changes
        assert [type(change) for change in changes] == [SetValue, DeleteValue, DeleteKey]
        assert {(change.code, change.reason, change.path) for change in changes} == {
            ("c", "r", PATH)
        }

    def test_one_inside_of_damage(self) -> None:
        guest = RecordingGuest(MemoryGuest({PATH: spoilt(hive())}))
        recorder = Recorder(guest, PATH, code="c", reason="r")
        with pytest.raises(GuestRefusedError) as caught:
            recorder.set_value("Select", "Current", dword(2))
        assert caught.value.code == "registry-damaged"
        assert PATH in caught.value.message
        assert guest.plan.changes == ()
