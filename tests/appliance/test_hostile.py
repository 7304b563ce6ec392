"""Guests whose files and programs are made to harm whoever looks at them."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from converter import pipeline, process
from converter.accelerator import choose
from converter.data import load
from converter.errors import ConversionError, GuestError
from converter.guest import packages
from converter.guest.appliance import Appliance
from converter.guest.hypervisor import check_growth
from converter.guest.protocol import Code
from converter.model import Wanted
from converter.monitor import NullMonitor
from images.cache import image
from tests import standins
from tests.appliance.test_agents import AGENT, opened, planned
from tests.guests import harness, written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from converter.guest.protocol import Ran

pytestmark = pytest.mark.appliance

ESCAPES = "/etc/\x1b[2Ja\nb \u202e'\"$(reboot)`x`"
GIB = 1 << 30
OVERLAY = 32 << 20


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """Give a filesystem with all the files that should not be touched."""
    work = tmp_path_factory.mktemp("files")
    disk, overlay = work / "disk.raw", work / "overlay.qcow2"
    disk.touch()
    os.truncate(disk, 64 << 20)
    process.run(["mkfs.ext4", "-q", "-F", str(disk)])
    process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(overlay)]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(load("limits"), "overlay", {"bytes": OVERLAY})
        machine = Appliance([overlay], settings=choose().libguestfs_settings, directory=work)
    with suppress(ConversionError), machine:  # the last test spoils it
        machine.mount("/dev/sda", "/", options="rw")
        handle = machine._handle
        for directory in ("/etc", "/dev", "/tmp", "/many"):
            handle.mkdir(directory)
        handle.write("/tmp/plain", "plain")
        handle.write("/dev/sda", "no disk")
        handle.mkfifo(0o644, "/etc/fifo")
        handle.mknod(0o140644, 0, 0, "/etc/socket")
        handle.mknod_c(0o644, 1, 5, "/etc/zero")
        handle.mknod_b(0o644, 8, 0, "/etc/disk")
        handle.write("/etc/sparse", "")
        handle.truncate_size("/etc/sparse", GIB)
        handle.ln_s("/etc/loop", "/etc/loop")
        handle.ln_s("/dev/sda", "/etc/fstab")
        handle.ln_s("/tmp", "/etc/absolute")
        handle.ln_s("../../../../../../tmp", "/etc/relative")
        handle.debug("sh", ["cd /sysroot/many && seq -f %0200.0f 1 3000 | xargs touch"])
        yield machine


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    """Give a Debian whose programs do what they want."""
    work = tmp_path_factory.mktemp("guest")
    with suppress(ConversionError), opened(image("debian-12-bios").path, work) as machine:
        yield machine


@pytest.mark.xdist_group("hostile-files")
class TestFiles:
    @pytest.mark.parametrize("name", ["fifo", "socket", "zero", "disk"])
    def test_what_is_no_file_is_never_opened(self, files: Appliance, name: str) -> None:
        with pytest.raises(GuestError, match="is not a regular file") as error:
            files.read(f"/etc/{name}")
        assert error.value.code == Code.NOT_A_FILE
        with pytest.raises(GuestError, match="is not a regular file"):
            files.digest(f"/etc/{name}")
        with pytest.raises(GuestError, match="is not a regular file"):
            files.head(f"/etc/{name}", length=1)
        with pytest.raises(GuestError, match="is not a regular file"):
            files.copy({"/etc/copy": f"/etc/{name}"})

    @pytest.mark.parametrize("name", ["fifo", "zero", "disk"])
    def test_what_is_no_file_is_replaced_and_not_written_to(
        self, files: Appliance, tmp_path: Path, name: str
    ) -> None:
        payload = tmp_path / "payload"
        payload.write_bytes(b"payload")
        places = [f"/etc/{name}{number}" for number in range(3)]
        for place in places:
            files._handle.debug("sh", [f"cp -a /sysroot/etc/{name} /sysroot{place}"])
        files.write(places[0], b"payload", mode=0o644, uid=0, gid=0)
        files.upload(payload, places[1])
        files.copy({places[2]: places[0]})
        assert [files.read(place) for place in places] == [b"payload"] * 3

    def test_a_gibibyte_is_refused_by_its_size(self, files: Appliance) -> None:
        with pytest.raises(GuestError) as error:
            files.read("/etc/sparse")
        assert error.value.code == Code.TOO_LARGE

    def test_a_link_to_itself_is_told(self, files: Appliance) -> None:
        with pytest.raises(GuestError) as error:
            files.read("/etc/loop")
        assert error.value.code == Code.LINK_LOOP

    def test_a_directory_of_many_names_is_not_listed(
        self, files: Appliance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert len(files.list("/many")) == 3000
        monkeypatch.setattr("converter.guest.files._NAMES_LIMIT", 3000 * 200)
        files.mkdir("/many")  # whatever is done, what was listed is asked for anew
        with pytest.raises(GuestError, match="bytes of names"):
            files.list("/many")

    @pytest.mark.parametrize("link", ["absolute", "relative"])
    def test_links_lead_nowhere_but_into_the_guest(self, files: Appliance, link: str) -> None:
        """cp(1) and ln(1), which libguestfs uses, would follow them into the appliance."""
        planted = f"planted-{link}"
        files.symlink("x", f"/etc/{link}/{planted}")
        files.copy({f"/etc/{link}/copy-{link}": f"/etc/{link}/plain"})
        assert files.readlink(f"/tmp/{planted}") == "x"
        assert files.read(f"/tmp/copy-{link}") == b"plain"
        assert planted not in files._handle.debug("sh", ["ls /tmp"])

    def test_the_name_of_a_disk_is_a_file_in_the_guest(
        self, files: Appliance, tmp_path: Path
    ) -> None:
        payload = tmp_path / "payload"
        payload.write_bytes(b"in the guest")
        before = files.read_device("/dev/sda", offset=0, length=4096)
        files.upload(payload, "/dev/sda")
        assert files.read("/etc/fstab") == b"in the guest"
        files.append("/dev/sda", b"!")
        assert files.read("/dev/sda") == b"in the guest!"
        assert files.read_device("/dev/sda", offset=0, length=1024) == before[:1024]

    def test_names_are_nothing_but_names(self, files: Appliance) -> None:
        files.write(ESCAPES, b"x", mode=0o644, uid=0, gid=0)
        files.copy({f"{ESCAPES}2": ESCAPES})
        assert files.read(f"{ESCAPES}2") == b"x"
        assert ESCAPES.removeprefix("/etc/") in files.list("/etc")

    def test_an_overlay_does_not_grow_without_end(self, files: Appliance, tmp_path: Path) -> None:
        """The last test of this guest: its filesystem is spoilt."""
        payload = tmp_path / "payload"
        payload.write_bytes(os.urandom(1 << 20) * 50)
        with suppress(GuestError):  # nobody is told of what is written late, and is lost
            files.upload(payload, "/large")
            files.unmount()
        (overlay,) = files._directory.glob("*.qcow2")
        assert overlay.stat().st_size <= OVERLAY
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(load("limits"), "overlay", {"bytes": OVERLAY})
            with pytest.raises(ConversionError) as error:
                check_growth([overlay], hint="")
        assert error.value.code == "overlay-endless"


@pytest.mark.xdist_group("hostile-program")
class TestPrograms:
    """What a package manager of the guest may do, and what of it reaches the appliance."""

    def shell(self, guest: Appliance, script: str) -> Ran:
        return guest.run(["sh", "-c", script], seconds=600)

    def test_it_sees_no_disk_no_process_and_no_network(self, guest: Appliance) -> None:
        ran = self.shell(
            guest,
            "ls /dev; ls -d /proc/[0-9]* | wc -l; tail -n +3 /proc/net/dev | cut -d: -f1;"
            " mknod /tmp/disk b 8 0; mount -t tmpfs x /mnt; kill -9 2 1",
        )
        assert "sda" not in ran.output.split()
        assert int(next(word for word in ran.output.split() if word.isdigit())) < 6
        assert "Operation not permitted" in ran.output
        assert "permission denied" in ran.output
        assert guest.lstat("/tmp/disk") is None
        assert "eth0" not in ran.output

    def test_it_does_not_set_up_the_kernel(self, guest: Appliance) -> None:
        """Which would run what it is told to by core_pattern, outside of everything."""
        for name in ("sys/kernel/core_pattern", "sysrq-trigger", "self/oom_score_adj"):
            ran = self.shell(guest, f"echo '|/bin/true' > /proc/{name}")
            assert (ran.status != 0, "Read-only file system" in ran.output) == (True, True), name

    def test_who_leaves_the_tree_comes_to_the_tree(self, guest: Appliance) -> None:
        """By a directory outside of a chroot (chroot(2)); a user namespace would give the rest."""
        leave = 'chdir "/"; chroot "/tmp" or die; chdir ".." for 1..9; chroot "." or die;'
        look = 'exec "/bin/ls", "-d", "/etc/apt", "/sysroot"'
        ran = guest.run(["perl", "-e", f"{leave} {look}"], seconds=60)
        assert "/etc/apt\n" in ran.output
        assert "'/sysroot': No such file" in ran.output
        assert "unshare failed" in self.shell(guest, "unshare --user true").output

    @pytest.mark.parametrize("name", ["/proc", "/sys", "/dev"])
    def test_its_links_lead_nowhere(self, guest: Appliance, name: str) -> None:
        """Such as to what sets up the kernel, which a mount there would hide, or bring."""
        guest._handle.mv(name, "/kept")
        try:
            guest._handle.ln_s("/proc/sys/user", name)
            with pytest.raises(GuestError, match=f"set apart: {name} is a link"):
                self.shell(guest, "true")
        finally:
            guest._handle.rm(name)
            guest._handle.mv("/kept", name)
        assert self.shell(guest, "test -c /dev/null && test -d /proc/self").status == 0

    def test_a_tree_without_them_is_run(self, guest: Appliance) -> None:
        guest._handle.mv("/sys", "/kept")
        try:
            assert self.shell(guest, "echo on").output == "on\n"
        finally:
            guest._handle.mv("/kept", "/sys")

    def test_it_opens_no_disk_that_its_own_filesystem_names(self, guest: Appliance) -> None:
        guest._handle.mknod_b(0o666, 8, 0, "/var/disk")
        ran = self.shell(guest, "head -c 1 /var/disk")
        assert (ran.status != 0, "Permission denied" in ran.output) == (True, True)

    def test_it_may_print_for_ever(self, guest: Appliance) -> None:
        before = guest.space("/").free
        ran = self.shell(guest, "timeout 3 yes; printf '\\377\\033[2J'; exit 7")
        assert ran.status == 7
        assert len(ran.output) == 256 << 10
        assert before - guest.space("/").free < 1 << 20

    def test_nothing_stays_behind(self, guest: Appliance) -> None:
        script = "trap '' TERM HUP INT; sleep 1000 & setsid sleep 1000 & echo done"
        assert self.shell(guest, script).output == "done\n"
        assert "sleep" not in guest._handle.debug("sh", ["ps ax"])
        assert not [name for name in guest.list("/") if name.startswith(".converter")]

    def test_it_may_have_so_many_processes_and_no_more(self, guest: Appliance) -> None:
        ran = self.shell(guest, "for i in $(seq 400); do sleep 1000 & done; echo $i")
        assert ran.status != 0 or "fork" in ran.output
        assert self.shell(guest, "echo on").output == "on\n"

    def test_a_script_that_replaces_the_package_manager(
        self, guest: Appliance, tmp_path: Path
    ) -> None:
        """Nobody can say what is installed then: that is an error, and nothing is handed off."""
        package = standins.deb(
            tmp_path, postinst="printf '#!/bin/sh\\necho install ok' > /usr/bin/dpkg-query; exit 1"
        )
        with pytest.raises(ConversionError) as error:
            packages.install(planned(package), guest)
        assert error.value.code == "package-half-installed"
        assert guest.lstat(f"/usr/bin/{AGENT}") is None

    def test_what_never_ends_ends_the_machine(self, guest: Appliance) -> None:
        """The last test of this guest."""
        with pytest.raises(ConversionError) as error:
            guest.run(["sh", "-c", "trap '' TERM; while :; do :; done"], seconds=5)
        assert error.value.code == "guest-program-endless"


def test_a_phase_without_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(load("limits")["phases"], "inspect", {"seconds": 1})
    disks = written.write(harness.load("debian-12.7").machine(), tmp_path)
    before = children()
    # On a thread of its own: what others have started here is not to be ended.
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(pipeline.examine, disks, Wanted(), NullMonitor())
        error = work.exception()
    assert isinstance(error, ConversionError)
    assert error.code == "phase-timeout"
    assert children() <= before


def children() -> set[str]:
    done = subprocess.run(
        ["ps", "--no-headers", "-o", "pid,comm", "--ppid", str(os.getpid())],
        capture_output=True,
        text=True,
        check=False,
    )
    return {line for line in done.stdout.splitlines() if "ps" not in line.split()}
