"""The appliance does what the contract says, in a real one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from converter import process
from converter.accelerator import choose
from converter.errors import ConversionError, GuestError, GuestRefusedError
from converter.guest.appliance import Appliance
from converter.guest.interrupt import kill_children
from converter.guest.protocol import Code
from tests.contract import GuestContract, make_tree

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.appliance


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    with started(tmp_path_factory.mktemp("appliance")) as machine:
        yield machine


def started(directory: Path) -> Appliance:
    """Start an appliance with an empty ext4."""
    disk = directory / "disk.raw"
    with disk.open("wb") as file:
        file.truncate(256 << 20)
    process.run(["mkfs.ext4", "-q", "-F", str(disk)])
    overlay = directory / "disk.qcow2"
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    settings = choose().libguestfs_settings
    return Appliance([overlay], settings=settings, directory=directory)


def end(machine: Appliance, error: Exception | None) -> None:
    """Kill the appliance, notice, and go on, or end for another reason."""
    machine.abort()
    with pytest.raises(GuestError):
        machine.devices()
    if error is not None:
        raise error


def test_two_of_one_process_start_at_once(tmp_path: Path) -> None:
    """Each thread's with what its own may touch."""
    before = dict(os.environ)

    def devices(name: str) -> tuple[tuple[str, int], ...]:
        (tmp_path / name).mkdir()
        with started(tmp_path / name) as machine:
            return machine.devices()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(devices, ["a", "b"])) == [(("/dev/sda", 256 << 20),)] * 2
    assert dict(os.environ) == before


class TestAnApplianceThatDies:
    """Nothing that was found out with it counts, be it that all is well."""

    @pytest.mark.parametrize(
        "error",
        [None, GuestError(Code.FAILED, "x"), GuestRefusedError("no-system", "there is none")],
        ids=["well", "failed", "refused"],
    )
    def test_is_told(self, tmp_path: Path, error: Exception | None) -> None:
        with pytest.raises(ConversionError) as raised, started(tmp_path) as machine:
            end(machine, error)
        assert (raised.value.code, raised.value.exit_code) == ("appliance-died", 6)

    def test_is_told_of_its_end(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Somebody kills QEMU when there is nothing left to be done but to stop it."""
        machine = started(tmp_path)
        shutdown, pid = machine._handle.shutdown, machine._handle.get_pid()

        def killed() -> None:
            os.kill(pid, signal.SIGKILL)
            shutdown()

        monkeypatch.setattr(machine._handle, "shutdown", killed)
        with pytest.raises(ConversionError) as raised:
            machine.close()
        assert raised.value.code == "appliance-died"


class ClearingUp:
    """A handle that ends as libguestfs' does: a program of its own removes its directories."""

    def __init__(self) -> None:
        self.status = 0

    def get_pid(self) -> int:
        raise RuntimeError("it has ended")

    def close(self) -> None:
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        signal.raise_signal(signal.SIGTERM)
        kill_children(threading.get_native_id())  # as a copy does that fails at this moment
        child.communicate()
        self.status = child.returncode


def test_nothing_ends_what_clears_up(monkeypatch: pytest.MonkeyPatch) -> None:
    handle = ClearingUp()
    monkeypatch.setattr("guestfs.GuestFS", lambda **_options: handle)
    monkeypatch.setattr(Appliance, "_launch", lambda *_: None)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        machine = Appliance([], settings={}, directory=Path())
        machine._stop()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert handle.status == 0


class TestApplianceGuest(GuestContract):
    @pytest.fixture
    def guest(self, machine: Appliance) -> Iterator[Appliance]:
        ((device, _size),) = machine.devices()
        machine.mount(device, "/", options="rw")
        # A fresh tree for every test, on one filesystem: the last test's is moved out of the way.
        for name in machine.list("/"):
            if name != "lost+found":
                machine._handle.rm_rf(f"/{name}")
        make_tree(machine)
        yield machine
        machine.unmount()

    def test_what_is_immutable_is_changed_and_stays_so(self, guest: Appliance) -> None:
        handle = guest._handle
        for path, mark in (("/etc/plain", "i"), ("/etc/empty", "a"), ("/etc/deep", "i")):
            handle.set_e2attrs(path, mark)
        assert guest.is_immutable("/etc/relative")
        assert not guest.is_immutable("/etc/empty")
        assert not guest.is_immutable("/etc/large")
        guest.write("/etc/plain", b"new", mode=0o600, uid=1, gid=1)
        guest.append("/etc/plain", b"er")
        guest.set_attributes({"/etc/plain": [("user.x", b"y")]})
        assert guest.read("/etc/plain") == b"newer"
        assert dict(guest.attributes("/etc/plain")) == {"user.x": b"y"}
        guest.write("/etc/empty", b"more", mode=0o600, uid=0, gid=0)
        guest.copy({"/etc/deep/copy": "/etc/plain"})
        guest.symlink("copy", "/etc/deep/link")
        guest.mkdir("/etc/deep/new")
        guest.write("/etc/deep/file", b"", mode=0o600, uid=0, gid=0)
        guest.remove("/etc/deep/up")
        assert guest.list("/etc/deep") == ("copy", "er", "file", "link", "new")
        assert guest.read("/etc/deep/link") == b"newer"
        assert not guest.is_immutable("/etc/deep/copy")
        assert guest.is_immutable("/etc/plain")
        assert guest.is_immutable("/etc/deep")
        assert "a" in handle.get_e2attrs("/etc/empty")
        guest.symlink("elsewhere", "/etc/plain")
        assert guest.readlink("/etc/plain") == "elsewhere"
        for path in ("/etc/empty", "/etc/deep"):
            handle.set_e2attrs(path, "ia", clear=True)


def test_its_qemu_has_no_privileges_and_opens_no_other_file(machine: Appliance) -> None:
    status = Path(f"/proc/{machine._handle.get_pid()}/status").read_text()
    found = dict(re.findall(r"^(\w+):\s+(\S+)$", status, re.MULTILINE))
    assert (found["Name"], found["NoNewPrivs"], found["Seccomp"]) == ("qemu-system-x86", "1", "2")
    # QEMU's own filter and ours.
    assert int(found["Seccomp_filters"]) == 2
    assert int(found["CapEff"], 16) in {0, 4}
    files = Path(f"/proc/{machine._handle.get_pid()}/fd").iterdir()
    places = {file.readlink().parent for file in files}
    assert Path("/var/tmp") not in places
    assert machine._directory / "scratch" in places
