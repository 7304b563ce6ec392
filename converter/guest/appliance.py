"""A guest in libguestfs' appliance: the only importer of `guestfs`.

The appliance is a small VM with the disks attached, without a network; the guest's filesystems are
mounted there. Nothing of the guest's is run but its package manager (`guest.packages`), when there
is something to install. One start serves a whole conversion.

See guestfs(3); the errors of its Python binding are `RuntimeError`s holding strerror(3) texts.
"""

from __future__ import annotations

import logging
import os
import shlex
import signal
import threading
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import guestfs

from converter.errors import ConversionError, GuestError, GuestRefusedError, HostError
from converter.guest import fixed_appliance, kernel_log, program, sockets, survey
from converter.guest.blockdevices import translated
from converter.guest.files import ApplianceFiles
from converter.guest.hypervisor import confine, limit_growth
from converter.guest.interrupt import clearing_away, interruptible, kill_children

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from converter.guest.protocol import Ran

log = logging.getLogger(__name__)
transcript = logging.getLogger("converter.appliance")
_settling = threading.Lock()


class Appliance(ApplianceFiles):
    """A running appliance with `disks` (qcow2 overlays) attached; a context manager.

    Implements `Guest` and `BlockDevices`. Raises `HostError` ``appliance-failed`` when it does
    not start.
    """

    def __init__(
        self, disks: Sequence[Path], *, settings: Mapping[str, str], directory: Path
    ) -> None:
        """Start it. `settings` are libguestfs' environment variables (backend and accelerator)."""
        super().__init__()
        self._directory = directory
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
        handle.set_autosync(False)  # see `close`
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
        is_confined = confine(handle, disks, directory=self._directory, fixed=fixed)
        self._disks = survey.names(len(disks))
        log.debug("appliance: starting with %d disk(s)", len(disks))
        # supermin, if libguestfs calls it, leaves what it was making there when it is killed; and a
        # QEMU that is not confined keeps there what the appliance writes to its own disk.
        temporary = {"TMPDIR": str(self._directory.absolute())}
        with _environment({} if fixed and is_confined else temporary):
            handle.launch()
        limit_growth(handle.get_pid())

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
                self.must_be_sound()
        finally:
            self._stop()

    def must_be_sound(self) -> None:
        """Raise what is wrong with itself, if anything: what it said of a guest means nothing."""
        self._must_live()
        self.check_disks()

    def _must_live(self) -> None:
        """Raise `ConversionError` ``appliance-died`` when it is not there any more."""
        if not self._handle.is_ready():
            raise _died()

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

        Raises `ConversionError` ``appliance-died`` when it is not there any more, and what
        `check_disks` does where something could not be written.
        """
        try:
            try:
                self.unmount()
                with translated("sync"):
                    self._handle.sync()
                # Neither tells of what could not be written.
                self.check_disks()
            except GuestError:
                self.must_be_sound()
                raise
            # Nothing is left to be written but by QEMU: what fails now is that it ended by itself.
            # Afterwards nobody could tell (libguestfs forgets it).
            try:
                self._handle.shutdown()
            except RuntimeError as error:
                raise _died() from error
        finally:
            self._stop()

    def _stop(self) -> None:
        """End it, if it still runs, and let libguestfs clear up: nobody may kill its `rm`."""
        with suppress(RuntimeError, ProcessLookupError):  # it has ended
            os.kill(self._handle.get_pid(), signal.SIGKILL)
        try:
            with clearing_away():
                self._handle.close()
        finally:
            self._watched.close()

    def abort(self) -> None:
        """End the appliance at once, from any thread; whatever call waits for it fails."""
        kill_children(self._thread)

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


def _died() -> ConversionError:
    return ConversionError(
        "appliance-died",
        "libguestfs' appliance ended while the guest was worked on",
        hint="somebody killed QEMU, or the kernel did for want of memory (see dmesg):"
        " convert again, and with --log FILE if it comes again",
    )


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Set `settings` while a handle is made, or what it starts: they are read then, not later.

    The environment belongs to all threads: who wants to change it meanwhile waits.
    """
    if not settings:
        yield
        return
    with _settling:
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
