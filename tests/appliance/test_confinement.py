"""What a helper can do, and what not: real ones, and images that want another file read."""

from __future__ import annotations

import os
import re
import shlex
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from converter import process
from converter.confinement import LAUNCHER, Confinement, launcher
from tests.command import Run
from tests.unit.source.build import MIB, descriptor, dynamic_vhd, vhdx

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

pytestmark = [
    pytest.mark.appliance,
    pytest.mark.skipif(not launcher.landlock_version(), reason="this kernel has no Landlock"),
]

PYTHON = "/usr/bin/python3"
SECRET = b"the host's secret, which is 64 bytes long or so and all of it! ."
DISK = 4 * MIB
# FS_IOC_GETFLAGS and FS_IOC_SETFLAGS (ioctl_iflags(2)): they ask for no file that is open to write.
CHANGE_FLAGS = """
import fcntl
file = os.open(source, os.O_RDONLY)
fcntl.ioctl(file, 0x40086602, fcntl.ioctl(file, 0x80086601, bytes(8)))
"""
# PR_SET_PDEATHSIG.
OUTLIVE = """
import ctypes
if ctypes.CDLL(None, use_errno=True).prctl(1, 0, 0, 0, 0):
    raise OSError(ctypes.get_errno(), "prctl")
"""


class Outcome:
    """What came of a piece of Python that was tried by a confined helper."""

    def __init__(self, code: str, confinement: Confinement) -> None:
        argv = [PYTHON, "-I", "-S", "-c", f"import os\n{code}"]
        done = process.run(argv, check=False, confinement=confinement)
        self.done = done.status == 0
        self.said = done.stdout.decode()
        self.error = done.reason.splitlines()[-1]

    @property
    def denied(self) -> bool:
        return re.match(r"PermissionError: \[Errno (1|13)\]", self.error) is not None


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "elsewhere" / "not-for-guests"
    path.parent.mkdir()
    path.write_bytes(SECRET * (DISK // len(SECRET)))
    return path


class TestAHelper:
    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        path = tmp_path / "source"
        path.write_bytes(b"data")
        return path

    def test_opens_what_it_was_given_and_nothing_else(self, source: Path, secret: Path) -> None:
        confinement = Confinement(read=(source,))
        assert Outcome(f"print(open({str(source)!r}).read())", confinement).said == "data\n"
        for path in (secret, "/etc/passwd", "/proc/1/environ", "/root", source.parent):
            assert Outcome(f"os.open({str(path)!r}, os.O_RDONLY)", confinement).denied, path

    @pytest.mark.parametrize(
        "code",
        [
            "open(source, 'r+')",
            "os.truncate(source, 0)",
            "os.open(source, os.O_RDONLY | os.O_TRUNC)",
            "os.unlink(source)",
            "os.rename(source, source + '2')",
            "os.chmod(source, 0o777)",
            "os.chown(source, 1, 1)",
            "os.utime(source)",
            "os.setxattr(source, 'user.a', b'')",
            CHANGE_FLAGS,
        ],
    )
    def test_changes_no_source(self, source: Path, code: str) -> None:
        before = source.stat()
        confinement = Confinement(read=(source, source.parent))
        assert Outcome(f"source = {str(source)!r}\n{code}", confinement).denied
        assert source.stat() == before
        assert source.read_bytes() == b"data"

    @pytest.mark.parametrize(
        "code",
        [
            "os.fork()",
            "os.posix_spawn('/bin/true', ['true'], {})",
            "os.execv('/bin/true', ['true'])",
            "os.kill(os.getppid(), 0)",
            "import socket; socket.socket(socket.AF_UNIX)",
            "import socket; socket.socket(socket.AF_INET)",
            "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
            "import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, os.getppid())",
            "import fcntl; fcntl.fcntl(0, fcntl.F_SETSIG, 9)",
            OUTLIVE,
            "os.symlink('/etc/shadow', scratch + '/link')",
            "os.mkfifo(scratch + '/fifo')",
            "os.chroot('/')",
        ],
    )
    def test_gets_nowhere_else(self, tmp_path: Path, code: str) -> None:
        assert Outcome(f"scratch = {str(tmp_path)!r}\n{code}", Confinement(scratch=tmp_path)).denied
        assert list(tmp_path.iterdir()) == []

    def test_does_its_work(self, tmp_path: Path) -> None:
        code = (
            "import tempfile, threading\n"
            "file = tempfile.TemporaryFile(); file.write(b'x' * 1000); file.flush()\n"
            "thread = threading.Thread(target=print, args=(tempfile.gettempdir(),))\n"
            "thread.start(); thread.join()"
        )
        assert Outcome(code, Confinement(scratch=tmp_path)).said == f"{tmp_path}\n"

    def test_has_no_privileges_left(self) -> None:
        code = "print(open(f'/proc/{os.getpid()}/status').read())"
        said = Outcome(code, Confinement(read=(Path("/proc"),))).said
        found = dict(re.findall(r"^(\w+):\s+(\S+)$", said, re.MULTILINE))
        kept = "0000000000000004" if os.geteuid() == 0 else "0" * 16
        assert (found["CapPrm"], found["CapEff"], found["CapAmb"]) == (kept, kept, "0" * 16)
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")

    def test_works_without_landlock(self, secret: Path) -> None:
        """As on an old kernel: it may open what its user may, and everything else holds."""
        code = (
            f"import sys; sys.path.insert(0, {str(LAUNCHER.parent)!r})\n"
            "import launcher; launcher.landlock_version = lambda: 0\n"
            "launcher.main(['--parent', str(os.getppid()), '--', *sys.argv[1:]])"
        )
        argv = [PYTHON, "-I", "-S", "-c", f"import os\n{code}", "/bin/sh", "-c"]
        read = process.run([*argv, f"read -r line < {shlex.quote(str(secret))}; echo $line"])
        assert SECRET in read.stdout
        forked = process.run([*argv, "/bin/true; echo"], check=False)
        assert b"Cannot fork" in forked.stderr

    def test_has_limits(self, tmp_path: Path) -> None:
        limits = {"fsize": 1000, "as": 1 << 30}
        confinement = Confinement(scratch=tmp_path, limits=limits)
        file = tmp_path / "file"
        assert Outcome(f"open({str(file)!r}, 'ab').truncate(1000)", confinement).done
        too_large = Outcome(f"open({str(file)!r}, 'ab').truncate(1001)", confinement)
        assert too_large.error.startswith("OSError: [Errno 27]")
        assert Outcome("bytes(2 << 30)", confinement).error == "MemoryError"

    def test_ends_with_the_thread_that_started_it(self) -> None:
        started: list[subprocess.Popen[bytes]] = []

        def begin() -> None:
            child = process.start(["sh", "-c", "echo; read line"], stdin=-1, confinement=nothing)
            started.append(child)
            assert child.stdout is not None
            child.stdout.read(1)

        nothing = Confinement()
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join()
        with started[0] as child:
            assert child.wait(30) == -9


def qcow2_with_backing(directory: Path, secret: Path) -> Path:
    path = directory / "disk.qcow2"
    made = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", str(secret)]
    process.run([*made, str(path), str(DISK)])
    return path


def qcow2_with_data(directory: Path, secret: Path) -> Path:
    path, data = directory / "disk.qcow2", directory / "data"
    options = f"data_file={data},data_file_raw=on,preallocation=metadata"
    process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-o", options, str(path), str(DISK)])
    data.unlink()
    # The name of the file is a header extension of its own (QEMU: docs/interop/qcow2.txt).
    head = bytearray(path.read_bytes())
    at = head.index(struct.pack(">II", 0x44415441, len(str(data))))
    old, new = os.fsencode(data), os.fsencode(secret)
    end = at + 8 + -(-len(old) // 8) * 8
    rest = head[end : end + 8192]
    entry = struct.pack(">II", 0x44415441, len(new)) + new + bytes(-len(new) % 8)
    head[at : end + len(rest)] = (entry + rest)[: end + len(rest) - at]
    path.write_bytes(head)
    return path


def vmdk_with_an_absolute_extent(directory: Path, secret: Path) -> Path:
    return _vmdk(directory, str(secret))


def vmdk_with_an_extent_above(directory: Path, secret: Path) -> Path:
    return _vmdk(directory, f"../elsewhere/{secret.name}")


def _vmdk(directory: Path, name: str) -> Path:
    path = directory / "disk.vmdk"
    extent = f'RW {DISK // 512} FLAT "{name}" 0'
    path.write_text(descriptor([extent], kind="monolithicFlat").replace("\n\n", "\n"), "ascii")
    return path


def vmdk_with_a_parent(directory: Path, secret: Path) -> Path:
    """Make one that has nothing of its own; its parent is a VMDK over the secret."""
    parent, path = directory / "parent.vmdk", directory / "disk.vmdk"
    process.run(["qemu-img", "convert", "-f", "raw", "-O", "vmdk", str(secret), str(parent)])
    secret.write_bytes(parent.read_bytes())
    parent.unlink()
    process.run(
        ["qemu-img", "create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", str(secret), str(path)]
    )
    return path


def vhd_with_a_parent(directory: Path, secret: Path) -> Path:
    data = bytearray(dynamic_vhd({}, DISK, kind=4))
    name = secret.name.encode("utf-16-be")
    data[512 + 64 : 512 + 64 + len(name)] = name
    path = directory / "disk.vhd"
    path.write_bytes(data)
    return path


def vhdx_with_a_parent(directory: Path, secret: Path) -> Path:
    path = directory / "disk.vhdx"
    path.write_bytes(vhdx({}, DISK, flags=2))
    return path


class Hostile(NamedTuple):
    """An image: its maker, what it is refused with, and whether QEMU alone tells the secret."""

    make: Callable[[Path, Path], Path]
    code: str
    leaks: bool = True


HOSTILE = (
    Hostile(qcow2_with_backing, "foreign-file"),
    Hostile(qcow2_with_data, "foreign-file"),
    Hostile(vmdk_with_an_absolute_extent, "foreign-file"),
    Hostile(vmdk_with_an_extent_above, "foreign-file"),
    Hostile(vmdk_with_a_parent, "vmdk-child"),
    Hostile(vhd_with_a_parent, "vhd-differencing", leaks=False),
    Hostile(vhdx_with_a_parent, "vhdx-differencing", leaks=False),
)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "given"
    path.mkdir()
    return path


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda item: item.make.__name__)
class TestAnImageThatNamesAHostFile:
    def test_gets_nothing_from_a_confined_qemu(
        self, place: Path, secret: Path, hostile: Hostile
    ) -> None:
        """Nobody has looked at the image before, and QEMU is left to do what it says."""
        image, target = hostile.make(place, secret), place / "out.raw"
        argv = ["qemu-img", "convert", "-O", "raw", str(image), str(target)]
        process.run(argv, check=False)
        assert (target.exists() and SECRET in target.read_bytes()) is hostile.leaks
        target.write_bytes(b"")
        confinement = Confinement(read=(place,), written=(target,))
        done = process.run(argv, check=False, confinement=confinement)
        assert SECRET not in target.read_bytes() + done.stdout + done.stderr
        if hostile.leaks:
            assert done.status != 0
            assert "Permission denied" in done.reason

    def test_is_refused_by_the_command_which_opens_nothing(
        self, place: Path, secret: Path, hostile: Hostile
    ) -> None:
        image = hostile.make(place, secret)
        log, trace, out = (secret.parent / name for name in ("log", "trace", "out"))
        strace = ("strace", "-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o", str(trace))
        commands: list[list[str | Path]] = [["check"], ["convert", "--no-changes", "-o", out]]
        for command in commands:
            done = Run(*command, image, "--json", "--log", log, within=strace).wait()
            assert done.code == 3, done.stderr
            assert hostile.code in done.stdout + done.stderr
            said = (done.stdout + done.stderr).encode() + log.read_bytes()
            assert SECRET[:16] not in said
            calls = trace.read_text(errors="replace").splitlines()
            assert any("open" in line and image.name in line for line in calls)
            assert not any("open" in line and secret.name in line for line in calls)
        assert not list(out.glob("*"))
