"""The conversion itself: what is done, in which order, and what runs beside what.

    source, preflight ─► overlay ─► inspect ─► plan ─► apply ─► verify ─► lay over ─► publish
                     └── copy to raw, beside all of it ─────────────────┘

The source is only read. The guest is changed on the overlay, in one appliance; the copy needs none,
and neither does the preflight, which refuses what the first blocks of the disks show.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from converter.accelerator import choose
from converter.capabilities import capabilities, staged
from converter.deadline import deadline, seconds_for
from converter.disk.apply import write_in_place, write_table
from converter.errors import ConversionError, DamagedInputError, GuestRefusedError, disk_full
from converter.examination import Examination, judge, read_guest
from converter.guest import packages
from converter.guest.appliance import Appliance
from converter.guest.hypervisor import check_growth
from converter.guest.interrupt import kill_children
from converter.guest.replay import replay
from converter.handoff import results
from converter.handoff.workspace import Workspace, scratch
from converter.inspection import inspect_machine
from converter.model import ConvertTable, Plan, Report, WindowsFacts
from converter.monitor import Stopwatch
from converter.policy import choose_boot_mode, is_refused
from converter.preflight import open_and_judge, open_readable
from converter.source.copy import CopyJob
from converter.source.lay_over import lay_over
from converter.source.manifest import VerifyJob
from converter.source.overlay import create_overlay
from converter.source.unchanged import unchanged
from converter.trimming import trims
from converter.verification import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from converter.inspection import Inspection
    from converter.model import Finding, OutputDisk, Request, Source, Wanted
    from converter.monitor import Monitor
    from converter.source.job import Job
    from converter.source.unchanged import Watch


# An appliance writes in requests of up to 1 MiB or so: less than a few of them is no room.
_LEAST_ROOM: Final = 4 << 20


def examine(sources: Sequence[Path], wanted: Wanted, monitor: Monitor) -> Examination:
    """Look at the guest on `sources` and plan its conversion; nothing is written."""
    with scratch("examine") as work:
        with _limited("source", _size(sources)):
            source, container = open_and_judge(sources, wanted, work=work)
        if is_refused(container):
            return Examination(source, Plan(()), container)
        monitor.phase("inspect", "starting the appliance, reading the guest")
        with _limited("inspect"), _appliance(_overlays(source, work), work) as machine:
            found = judge(machine, source, container, read_guest(machine, container), wanted)
            machine.check_disks()  # what could not be read is no fault of the guest's
            return found


def inspect(sources: Sequence[Path], *, monitor: Monitor) -> tuple[Source, Inspection]:
    """Read what the guest on `sources` is; nothing is judged but that it can be read."""
    with scratch("inspect") as work:
        with _limited("source", _size(sources)):
            source = open_readable(sources, work=work)
        monitor.phase("inspect", "starting the appliance, reading the guest")
        with _limited("inspect"), _appliance(_overlays(source, work), work) as machine:
            return source, inspect_machine(machine)


def _limited(phase: str, size: int = 0) -> AbstractContextManager[None]:
    """Bound the time of a phase that works on `size` bytes."""
    return deadline(phase, seconds_for(phase, size))


def _size(sources: Sequence[Path]) -> int:
    """Give the size of the files at `sources`; that one cannot be read is for others to say."""
    size = 0
    for path in sources:
        with suppress(OSError):
            size += path.stat().st_size
    return size


def _overlays(source: Source, work: Path) -> list[Path]:
    return [
        create_overlay(disk, directory=work, name=f"disk{number}")
        for number, disk in enumerate(source.disks)
    ]


def _appliance(overlays: Sequence[Path], work: Path) -> Appliance:
    return Appliance(overlays, settings=choose().libguestfs_settings, directory=work)


def convert(
    request: Request, monitor: Monitor, *, published: Callable[[], None] | None = None
) -> Report:
    """Convert the guest of `request` and publish image, manifest and report, or nothing.

    `published` is called when they are, and nothing takes them back any more.
    Raises `GuestRefusedError` with every finding, `DamagedInputError` for a damaged source, other
    `ConversionError`s when the work fails.
    """
    with Workspace(
        request.output, request.name, sources=request.sources, published=published
    ) as space:
        return _Conversion(request, space, monitor).run()


class _Conversion:
    """One conversion in its workspace."""

    def __init__(self, request: Request, space: Workspace, monitor: Monitor) -> None:
        self._request = request
        self._space = space
        self._monitor = monitor
        self._watch = Stopwatch()

    @contextmanager
    def _phase(self, name: str, text: str, *, size: int = 0) -> Iterator[None]:
        """Show, bound and time a phase that works on `size` bytes."""
        self._monitor.phase(name, text)
        with self._watch.timing(name), _limited(name, size):
            yield
        self._monitor.progress(name, 1.0)

    def run(self) -> Report:
        with unchanged(self._request.sources) as watch:
            return self._run(watch)

    def _run(self, watch: Watch) -> Report:
        with self._phase("source", "reading the container", size=_size(self._request.sources)):
            source, container = self._open()
            watch.add(source)
        size = source.virtual_size
        overlays = _overlays(source, self._space.work)
        names = [results.image_name(self._request.name, disk) for disk in range(len(overlays))]
        images = [self._space.staged(name) for name in names]
        with self._beside(source, images) as jobs:
            try:
                examination, after = self._edit(source, container, overlays, jobs)
            except ConversionError as error:
                with _limited("copy-rest", size):
                    _blame_the_source(jobs, error)
                _check_writes(self._space.work, overlays)
                raise
            _check_writes(self._space.work, overlays)
            self._wait(jobs, size)
        watch.check()  # it is not read any more
        if not self._request.wanted.as_is:
            with self._phase("lay-over", "laying the changes over the copy", size=size):
                for overlay, image in zip(overlays, images, strict=True):
                    lay_over(overlay, image)
        with self._phase("checksum", "computing checksums", size=size):
            disks = tuple(results.output_disk(image) for image in images)
        report = self._report(examination, after, disks)
        results.publish(self._space, report, images)
        return report

    def _open(self) -> tuple[Source, tuple[Finding, ...]]:
        request = self._request
        source, container = open_and_judge(
            request.sources, request.wanted, work=self._space.work, later=True
        )
        Examination(source, Plan(()), container).refuse_if_needed()
        return source, container

    def _edit(
        self,
        source: Source,
        container: Sequence[Finding],
        overlays: Sequence[Path],
        jobs: Sequence[Job],
    ) -> tuple[Examination, Inspection]:
        """Inspect, refuse, plan, apply and verify, all in one appliance.

        Only another partition table may need a second one: on a disk that grows, or has RAID.
        """
        with ExitStack() as stack:
            with self._phase("appliance", "starting the appliance"):
                machine = stack.enter_context(_appliance(overlays, self._space.work))
            _raise_failures(jobs)
            with self._phase("inspect", "reading the guest, planning"):
                before = read_guest(machine, container)
                examination = judge(machine, source, container, before, self._request.wanted)
                examination.refuse_if_needed()
            if self._request.wanted.as_is:
                return examination, before
            with self._phase("apply", f"making {len(examination.plan.changes)} changes"):
                replay(examination.plan, machine, progress=self._applied)
                installed = packages.install(examination.plan, machine)
            self._trim(machine, before, jobs, source.virtual_size)
            with self._phase("flush", "writing what was changed"):
                machine.unmount()
                machine.check_disks()
            tables = [item for item in examination.plan.changes if isinstance(item, ConvertTable)]
            if tables:
                with self._phase("table", "writing another partition table"):
                    if not write_in_place(machine, tables[0], directory=self._space.work):
                        stack.close()
                        write_table(overlays[0], tables[0], directory=self._space.work)
                        machine = stack.enter_context(_appliance(overlays, self._space.work))
            with self._phase("verify", "reading the changed guest again"):
                after = _inspect_again(machine)
                verify(machine, before, after, examination.plan, options=examination.options)
                machine.unmount()
        findings = (*examination.findings, *installed)
        return replace(examination, findings=findings), after

    def _trim(self, machine: Appliance, before: Inspection, jobs: Sequence[Job], size: int) -> None:
        """Give up what the guest does not use: where, the copies tell, so they must be there."""
        if not self._request.wanted.trim:
            return
        copies = [job for job in jobs if isinstance(job, CopyJob)]
        self._wait(copies, size)
        with self._phase("trim", "leaving out what is not used", size=size):
            images = [copy.target for copy in copies]
            machine.trim(trims(before.facts, machine.mounted(), images))

    def _wait(self, jobs: Sequence[Job], size: int) -> None:
        with self._phase("copy-rest", "waiting for the copy", size=size):
            for job in jobs:
                job.wait()

    @contextmanager
    def _beside(self, source: Source, images: Sequence[Path]) -> Iterator[list[Job]]:
        """Copy every disk in the background, and verify what is listed of them.

        On any way out but a good one that is stopped. What fails ends the appliance: nothing that
        is done there would be handed off.
        """
        self._monitor.phase("copy", "copying the disks")
        share = 1 / len(images)
        done = [0.0] * len(images)

        def progress(number: int, fraction: float) -> None:
            done[number] = fraction
            self._monitor.progress("copy", sum(done) * share)

        fail = partial(kill_children, threading.get_native_id())
        jobs: list[Job] = [
            CopyJob(disk, image, progress=partial(progress, number), on_failure=fail)
            for number, (disk, image) in enumerate(zip(source.disks, images, strict=True))
        ]
        if source.listed:
            jobs.append(VerifyJob(source.listed, on_failure=fail))
        try:
            for job in jobs:
                job.start()
            yield jobs
        finally:
            for job in jobs:
                job.cancel()

    def _applied(self, fraction: float) -> None:
        self._monitor.progress("apply", fraction)

    def _report(
        self, examination: Examination, after: Inspection, disks: tuple[OutputDisk, ...]
    ) -> Report:
        before = examination.inspection
        is_windows = isinstance(after.facts.os, WindowsFacts)
        return Report(
            source=examination.source,
            before=before.facts if before else after.facts,
            after=after.facts,
            boot_mode=choose_boot_mode(after.facts, self._request.wanted.boot_mode),
            disks=disks,
            capabilities=capabilities(after.facts.os),
            plan=examination.plan,
            findings=examination.findings,
            staged=staged(examination.options.payloads) if is_windows else frozenset(),
            timings=self._watch.seconds,
        )


def _inspect_again(machine: Appliance) -> Inspection:
    """Read the changed guest: what was accepted before is not refused now, but spoilt."""
    try:
        return inspect_machine(machine)
    except GuestRefusedError as error:
        machine.must_be_sound()
        raise ConversionError(
            "verification-failed",
            f"the changed guest cannot be read any more: {error.message}",
            hint="see to the disk that is written to, and convert again; report it with the file"
            " of --log if it comes again",
        ) from error


def _check_writes(work: Path, overlays: Sequence[Path]) -> None:
    """Refuse to believe in a guest that was changed while its overlays could not be written.

    The appliance sees a full disk as a bad one, and writes that fail late are not told to anybody.
    """
    probe = work / "probe"
    with probe.open("wb") as file:
        os.fsync(file.fileno())
    probe.unlink()
    free = shutil.disk_usage(work).free
    if free < _LEAST_ROOM:
        why = f"no space was left while the guest was changed ({free} bytes)"
        raise disk_full(work.parent, why)
    check_growth(
        overlays,
        hint="convert with --agent none: then no program of the guest is run; if it ends like this"
        " once more, the image is damaged or made to",
    )


def _raise_failures(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.has_failed:
            job.wait()


def _blame_the_source(jobs: Sequence[Job], error: ConversionError) -> None:
    """When the guest cannot be read, see whether the source is damaged, and say that instead.

    A refusal does not wait for the jobs: what they have met so far is all that is asked.
    """
    for job in sorted(jobs, key=lambda job: not job.has_failed):
        if isinstance(error, GuestRefusedError) and not job.has_failed:
            continue
        try:
            job.wait()
        except DamagedInputError as damage:
            raise damage from error
