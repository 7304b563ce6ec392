"""A guest in libguestfs' appliance: the only importer of `guestfs`.

The appliance is a small VM with the disks attached, without a network; the guest's filesystems are
mounted there. Nothing of the guest's is run but its package manager (`guest.packages`), when there
is something to install. One start serves a whole conversion. Limits: file names that are
not UTF-8 can be listed but not opened (the Python binding takes `str` in UTF-8 only).

See guestfs(3); the errors of its Python binding are `RuntimeError`s holding strerror(3) texts.
"""

from __future__ import annotations

import logging
import os
import resource
import shlex
import stat
import string
import tempfile
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import guestfs

from converter.data import load
from converter.errors import ConversionError, GuestError, GuestRefusedError, HostError
from converter.guest import fixed_appliance, kernel_log, program, sockets
from converter.guest.blockdevices import CHUNK, ApplianceDevices, translated
from converter.guest.hypervisor import confine
from converter.guest.interrupt import interruptible, kill_children
from converter.guest.protocol import SECURITY, TEXT_LIMIT, Code, Ran
from converter.model import FileKind, Stat

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

log = logging.getLogger(__name__)
transcript = logging.getLogger("converter.appliance")

# A mail server's spool may have 100,000 files in a directory; none that is read here has.
_NAMES_LIMIT: Final = 16 << 20
# Attributes that one command line sets: it may have 128 KiB (execve(2)), whatever their paths are.
_AT_ONCE: Final = 25
_PLAIN: Final = f"{string.ascii_letters}{string.digits}/._-".encode()
_KINDS: Final = {
    stat.S_IFREG: FileKind.FILE,
    stat.S_IFDIR: FileKind.DIRECTORY,
    stat.S_IFLNK: FileKind.SYMLINK,
}


class Appliance(ApplianceDevices):
    """A running appliance with `disks` (qcow2 overlays) attached; a context manager.

    Implements `Guest` and `BlockDevices`. Raises `HostError` ``appliance-failed`` when it does
    not start.
    """

    def __init__(
        self, disks: Sequence[Path], *, settings: Mapping[str, str], directory: Path
    ) -> None:
        """Start it. `settings` are libguestfs' environment variables (backend and accelerator)."""
        self._directory = directory
        # Nobody else changes the guest: what a name is holds until we write.
        self._seen: dict[str, Stat | None] = {}
        self._mount_points: set[str] = set()
        # What is on a device, as far as it was asked; and where an NTFS is mounted.
        self._types: dict[str, str] = {}
        self._ntfs: list[str] = []
        self._thread = threading.get_native_id()
        self._watched = ExitStack()
        with _environment(settings):
            self._handle: Any = guestfs.GuestFS(python_return_dict=True)
        self._watched.enter_context(interruptible(self.abort))
        try:
            self._launch(disks)
        except RuntimeError as error:
            self._stop()
            raise HostError(
                "appliance-failed",
                f"libguestfs' appliance did not start: {error}",
                hint="run `converter doctor`; `--log FILE` keeps everything the appliance said",
            ) from error

    def _launch(self, disks: Sequence[Path]) -> None:
        handle = self._handle
        if transcript.isEnabledFor(logging.DEBUG):
            events = guestfs.EVENT_APPLIANCE | guestfs.EVENT_LIBRARY | guestfs.EVENT_TRACE
            handle.set_event_callback(_transcribe, events)
            handle.set_verbose(1)
            handle.set_trace(1)
        handle.set_tmpdir(str(self._directory))
        sockets.sweep(Path(handle.get_sockdir()))
        fixed = fixed_appliance.prepare(handle.get_path(), work=self._directory)
        if fixed is not None:
            handle.set_path(str(fixed))
        for disk in disks:
            handle.add_drive_opts(
                str(disk), format="qcow2", readonly=0, cachemode="unsafe", discard="besteffort"
            )
        # By default QEMU stops the machine when the overlay's disk is full, and waits for room.
        handle.config("-global", "scsi-hd.werror=report")
        settings = confine(handle, disks, directory=self._directory, fixed=fixed)
        log.debug("appliance: starting with %d disk(s)", len(disks))
        # supermin, if libguestfs calls it, leaves what it was making there when it is killed.
        with _environment({**settings, "TMPDIR": str(self._directory.absolute())}):
            handle.launch()
        _limit(handle.get_pid())

    def __enter__(self) -> Self:
        """Give the running appliance."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; after a failure without waiting for it to write anything.

        What was found out from an appliance that has ended, or whose disks did not do what it
        asked, means nothing: that is told instead.
        """
        if error is None:
            self.close()
            return
        try:
            if isinstance(error, GuestError | GuestRefusedError):
                self._must_live()
                self.check_disks()
        finally:
            self._stop()

    def _must_live(self) -> None:
        """Raise `ConversionError` ``appliance-died`` when it is not there any more."""
        if not self._handle.is_ready():
            raise ConversionError(
                "appliance-died",
                "libguestfs' appliance ended while the guest was worked on",
                hint="somebody killed QEMU, or the kernel did for want of memory (see dmesg):"
                " convert again, and with --log FILE if it comes again",
            )

    def check_disks(self) -> None:
        """Raise an error where the disks did not read or write all that was asked of them.

        That is `HostError` ``disk-full`` or ``overlay-failed`` for the overlays, and
        `ConversionError` ``source-read-failed``. Unmount first: what is written late fails late.
        """
        with translated("the kernel's log"):
            said = self._handle.dmesg()
        fault = kernel_log.judged(said, self._directory)
        if fault is not None:
            raise fault

    def close(self) -> None:
        """Unmount, let the appliance write everything, and stop it.

        Raises `ConversionError` ``appliance-died`` when it is not there any more.
        """
        try:
            self._must_live()
            with translated("shutdown"):
                self._handle.shutdown()
        finally:
            self._stop()

    def _stop(self) -> None:
        self._handle.close()
        self._watched.close()

    def abort(self) -> None:
        """End the appliance at once, from any thread; whatever call waits for it fails."""
        kill_children(self._thread)

    # --- Guest: reading ---------------------------------------------------------------------------

    def lstat(self, path: str) -> Stat | None:
        """See `Guest`."""
        if path not in self._seen:
            self._seen[path] = self._stat(self._handle.lstatns, path)
        return self._seen[path]

    def _stat(self, call: Any, path: str) -> Stat | None:  # noqa: ANN401 - a method of the binding
        try:
            with translated(path):
                found = call(path)
        except GuestError as error:
            if error.code == Code.MISSING:
                return None
            raise
        mode = found["st_mode"]
        return Stat(
            kind=_KINDS.get(stat.S_IFMT(mode), FileKind.OTHER),
            mode=stat.S_IMODE(mode),
            uid=found["st_uid"],
            gid=found["st_gid"],
            size=found["st_size"],
        )

    def _size(self, path: str) -> int:
        """Size of the regular file that `path` leads to; never opens a device or a FIFO."""
        found = self._stat(self._handle.statns, path)
        if found is None:
            raise GuestError(Code.MISSING, f"{path}: no such file in the guest")
        if found.kind is not FileKind.FILE:
            raise GuestError(Code.NOT_A_FILE, f"{path}: is not a regular file")
        return found.size

    def read(self, path: str, *, limit: int = TEXT_LIMIT) -> bytes:
        """See `Guest`."""
        size = self._size(path)
        if size > limit:
            raise GuestError(
                Code.TOO_LARGE, f"{path}: is {size} bytes long, at most {limit} are expected"
            )
        return self._read(path, size)

    def head(self, path: str, *, length: int) -> bytes:
        """See `Guest`."""
        return self._read(path, min(length, self._size(path)))

    def _read(self, path: str, size: int) -> bytes:
        # pread answers in one message; the streaming calls take a hundred times as long to begin.
        data = bytearray()
        with translated(path):
            while len(data) < size:
                piece = self._handle.pread(path, min(CHUNK, size - len(data)), len(data))
                if not piece:
                    break
                data += piece
        return bytes(data)

    def digest(self, path: str) -> str:
        """See `Guest`."""
        self._size(path)
        with translated(path):
            value: str = self._handle.checksum("sha256", path)
        return value

    def readlink(self, path: str) -> str:
        """See `Guest`."""
        with translated(path):
            target: str = self._handle.readlink(path)
        return target

    def list(self, path: str) -> tuple[str, ...]:
        """See `Guest`."""
        # ls0 writes to a host file; the calls that return lists fail on names that are not UTF-8.
        with tempfile.NamedTemporaryFile(dir=self._directory) as names:
            with translated(path):
                self._handle.ls0(path, names.name)
            found = names.read(_NAMES_LIMIT + 1)
        if len(found) > _NAMES_LIMIT:
            raise GuestError(Code.TOO_LARGE, f"{path}: has more than {_NAMES_LIMIT} bytes of names")
        return tuple(sorted(os.fsdecode(name) for name in found.split(b"\0") if name))

    def attributes(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """See `Guest`."""
        try:
            with translated(path):
                found = self._handle.lgetxattrs(path)
        except GuestError as error:
            if error.message.endswith("Operation not supported"):
                return ()  # a filesystem without them, such as the vfat of an ESP
            raise
        named = [(item["attrname"], _as_bytes(item["attrval"])) for item in found]
        return tuple(sorted([*named, *self._security(path)]))

    def _is_on_ntfs(self, path: str) -> bool:
        return path.startswith(tuple(self._ntfs))

    def _security(self, path: str) -> Iterator[tuple[str, bytes]]:
        """Give what ntfs-3g does not list: the security descriptor of a file (ntfs-3g(8))."""
        if self._is_on_ntfs(path):
            with translated(path):
                yield SECURITY, _as_bytes(self._handle.lgetxattr(path, SECURITY))

    # --- Guest: writing ---------------------------------------------------------------------------

    @contextmanager
    def _changing(self, what: str) -> Iterator[None]:
        try:
            with translated(what):
                yield
        finally:
            self._seen.clear()

    def mount(self, device: str, path: str, *, options: str) -> None:
        """See `BlockDevices`."""
        self._seen.clear()
        super().mount(device, path, options=options)
        if (self._types.get(device) or self.probe(device).type) == "ntfs":
            self._ntfs.append(f"{path.rstrip('/')}/")

    def unmount(self) -> None:
        """See `BlockDevices`."""
        self._seen.clear()
        self._ntfs.clear()
        super().unmount()

    def _place(self, path: str) -> str:
        """Give `path` without links of the guest above it.

        Programs of the appliance, which do not see the guest's tree as theirs, would follow those
        into the appliance's own.
        """
        directory, _, last = path.rpartition("/")
        within: str = self._handle.realpath(directory or "/")
        return f"{within.rstrip('/')}/{last}"

    def _make_way(self, path: str) -> bool:
        """Remove a link, device or FIFO at `path`, which is to be a file; tell whether one is."""
        there = self.lstat(path)
        if there is None or there.kind is FileKind.FILE:
            return there is not None
        with self._changing(path):
            self._handle.rm(path)
        return False

    def write(self, path: str, data: bytes, *, mode: int, uid: int, gid: int) -> None:
        """See `Guest`."""
        self._make_way(path)
        with self._changing(path):
            self._upload(data, path, offset=None)
            # On NTFS neither means anything: there it is the attribute SECURITY that counts.
            if not self._is_on_ntfs(path):
                self._handle.chown(uid, gid, path)
                self._handle.chmod(mode, path)

    def upload(self, source: Path, path: str) -> None:
        """See `Guest`."""
        is_there = self._make_way(path)
        with self._changing(path):
            self._handle.upload(str(source), _in_guest(path))
            if not is_there:
                self._handle.chmod(0o600, path)

    def append(self, path: str, data: bytes) -> None:
        """See `Guest`."""
        size = self._size(path)
        with self._changing(path):
            self._upload(data, path, offset=size)

    def _upload(self, data: bytes, path: str, *, offset: int | None) -> None:
        """Write `data` over the whole of `path`, or from `offset` on."""
        if offset is None and len(data) <= CHUNK:
            self._handle.write(path, data)
            return
        with tempfile.NamedTemporaryFile(dir=self._directory) as staged:
            Path(staged.name).write_bytes(data)
            if offset is None:
                self._handle.upload(staged.name, _in_guest(path))
            else:
                self._handle.upload_offset(staged.name, _in_guest(path), offset)

    def remove(self, path: str) -> None:
        """See `Guest`."""
        with self._changing(path):
            self._handle.rm(path)

    def symlink(self, target: str, path: str) -> None:
        """See `Guest`."""
        there = self.lstat(path)
        with self._changing(path):
            if there is not None:
                self._handle.rm(path)
            self._handle.ln_s(target, self._place(path))

    def run(self, argv: Sequence[str], *, seconds: float) -> Ran:
        """See `Machine`."""
        log.debug("guest: %s", shlex.join(argv))
        with self._changing(argv[0]), self._limited(argv[0], seconds):
            printed: str = self._handle.debug("sh", [program.script(argv)])
        ran = program.result(argv[0], printed)
        log.debug("guest: exit %d: %s", ran.status, ran.output)
        return ran

    @contextmanager
    def _limited(self, name: str, seconds: float) -> Iterator[None]:
        """End the machine when the block takes longer."""
        late = threading.Event()

        def end() -> None:
            late.set()
            self.abort()

        timer = threading.Timer(seconds, end)
        timer.start()
        try:
            yield
        except RuntimeError as error:
            if not late.is_set():
                raise
            raise ConversionError(
                "guest-program-endless",
                f"{name} of the guest did not end within {seconds:g} s",
                hint="convert with --agent none, and install the agent in the result",
            ) from error
        finally:
            timer.cancel()

    def set_attributes(self, wanted: Mapping[str, Iterable[tuple[str, bytes]]]) -> None:
        """See `Guest`."""
        binary: list[str] = []
        for path, attributes in wanted.items():
            with translated(path):
                for name, value in attributes:
                    text = _as_text(value)
                    if text is None:
                        binary.append(self._binary(path, name, value))
                    else:
                        # The terminating NUL is sent when the length counts it.
                        self._handle.lsetxattr(name, text, len(value), path)
        for first in range(0, len(binary), _AT_ONCE):
            given = "".join(binary[first : first + _AT_ONCE])
            with translated("attributes"):
                self._handle.debug("sh", [f"setfattr -h --restore=- <<'END'\n{given}END\n"])

    def _binary(self, path: str, name: str, value: bytes) -> str:
        """Give an attribute of bytes, such as the security on NTFS, as getfattr(1) would dump it.

        The binding takes text, and libguestfs has no other call for one attribute; setfattr(1) in
        the appliance reads hexadecimal.
        """
        target = f"/sysroot{self._place(path)}"
        return f"# file: {_escaped(target)}\n{_escaped(name)}=0x{value.hex()}\n\n"

    def mkdir(self, path: str, *, mode: int = 0o755) -> None:
        """See `Guest`."""
        with self._changing(path):
            self._handle.mkdir_p(path)
            if not self._is_on_ntfs(path):
                self._handle.chmod(mode, path)

    def copy(self, source: str, target: str) -> None:
        """See `Guest`."""
        self._size(source)
        self._make_way(target)
        with self._changing(f"{source} to {target}"):
            self._handle.cp_a(self._handle.realpath(source), self._place(target))
        # cp(1) copies what is listed.
        self.set_attributes({target: self._security(source)})


def _in_guest(path: str) -> str:
    """Give `path` to a call that takes devices, too: a guest may have files with such names."""
    return f"/.{path}"


def _escaped(name: str) -> str:
    """Give a name as setfattr(1) reads it: every byte that could mean something in octal."""
    return "".join(chr(byte) if byte in _PLAIN else f"\\{byte:03o}" for byte in os.fsencode(name))


def _as_text(value: bytes) -> str | None:
    """Give what the binding sends as `value`; None where it cannot be text."""
    try:
        text = value.removesuffix(b"\0").decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _as_bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else os.fsencode(value)


def _limit(qemu: int) -> None:
    """Let no file of a QEMU get larger than an overlay may, whatever is done in the guest.

    That is a full disk to it. Our own limit may be lower still.
    """
    most = load("limits")["overlay"]["bytes"]
    _, given = resource.getrlimit(resource.RLIMIT_FSIZE)
    if given == resource.RLIM_INFINITY or most < given:
        resource.prlimit(qemu, resource.RLIMIT_FSIZE, (most, most))


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set `settings` while a handle is made, or what it starts: they are read then, not later."""
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _transcribe(event: int, _handle: int, text: str, _array: object) -> None:
    source = {guestfs.EVENT_TRACE: "call", guestfs.EVENT_LIBRARY: "library"}.get(event, "appliance")
    transcript.debug("%s: %s", source, text.rstrip())
