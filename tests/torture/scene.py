"""One injection's own place, the run that is injured in it, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

import converter.cache
from converter.handoff import manifest
from tests.command import Done, Run
from tests.torture.guests import Guest, trees
from tests.torture.mounts import left_in

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "guest"
REPOSITORY = Path(__file__).parents[2]
# What is said when a phase begins, in order; before the first the program is loaded, and after the
# last it publishes.
PHASES = {
    "load": "",
    "source": "reading the container",
    "copy": "copying the disks",
    "appliance": "starting the appliance",
    "inspect": "reading the guest",
    "apply": "making ",
    "verify": "reading the changed guest",
    "copy-rest": "waiting for the copy",
    "lay-over": "laying the changes",
    "checksum": "computing checksums",
    "publish": "checksum: 100%",
}
_LONGEST = 300.0
# Private to each run, as far as programs let themselves be told: and where they do not.
_PRIVATE = {"/tmp": "tmp", "/var/tmp": "var-tmp", "/dev/shm": "shm"}
_INTO = """
for pair in $PAIRS; do mount --rbind "${pair%%:*}" "${pair#*:}"; done
unset PAIRS
exec "$@"
"""


@dataclass(frozen=True)
class Moment:
    """In a phase, when the `fraction` of the time is over that it takes when left alone."""

    phase: str
    fraction: float

    def __str__(self) -> str:
        return f"{self.phase}+{self.fraction:.2f}"


@dataclass(frozen=True)
class Reference:
    """What comes of a guest when nobody disturbs: its files, and how long each phase takes."""

    files: Mapping[str, str]
    seconds: Mapping[str, float]
    allocated: int


class Victim(Run):
    """A conversion under way, told by its progress."""

    def __init__(self, *arguments: str | Path, within: tuple[str, ...], **environment: str) -> None:
        super().__init__("convert", *arguments, "--json", within=within, **environment)
        self.begun = {"load": time.monotonic()}
        self._said: list[str] = []
        self._news = threading.Condition()
        self._answer = ""
        assert self.process.stdout
        assert self.process.stderr
        self._streams = (self.process.stderr, self.process.stdout)
        self._readers = [threading.Thread(target=self._listen), threading.Thread(target=self._read)]
        for reader in self._readers:
            reader.start()

    def _listen(self) -> None:
        for line in self._streams[0]:
            now = time.monotonic()
            with self._news:
                self._said.append(line)
                for phase, text in PHASES.items():
                    if text and f"] {text}" in line:
                        self.begun.setdefault(phase, now)
                self._news.notify_all()
        with self._news:
            self.begun["end"] = time.monotonic()
            self._news.notify_all()

    def _read(self) -> None:
        self._answer = self._streams[1].read()

    def reaches(self, moment: Moment, reference: Reference) -> bool:
        """Wait for a moment; tell whether the run was there then."""
        with self._news:
            while moment.phase not in self.begun:
                if "end" in self.begun:
                    return False
                self._news.wait()
            start = self.begun[moment.phase]
        delay = start + moment.fraction * reference.seconds[moment.phase] - time.monotonic()
        with self._news:
            self._news.wait_for(lambda: "end" in self.begun, timeout=max(0.0, delay))
            return "end" not in self.begun

    def is_begun(self) -> None:
        """Wait until the first line of the program ran, which handles signals."""
        caught = 1 << (signal.SIGTERM - 1)
        status = Path(f"/proc/{self.process.pid}/status")
        while self.process.poll() is None:
            with contextlib.suppress(OSError):
                found = re.search(r"^SigCgt:\s+([0-9a-f]+)$", status.read_text(), re.MULTILINE)
                if found and int(found[1], 16) & caught:
                    return
            time.sleep(0.001)

    def awaited(self, name: str) -> int | None:
        """Wait for a child of its that runs the program `name`; None when it ends before."""
        while self.process.poll() is None:
            for pid in _children(self.process.pid):
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{pid}/exe").readlink().name == name:
                        return pid
            time.sleep(0.001)
        return None

    def publishes(self, output: Path, number: int) -> None:
        """Wait until it has published `number` files, or is about to publish the first."""
        about = output / f".{NAME}.partial" / f"{NAME}.manifest.json"
        while self.process.poll() is None:
            there = len(list(output.glob(f"{NAME}*")))
            if there >= number and (there or about.exists()):
                return
            time.sleep(0.0005)

    def send(self, number: int, *, group: bool = False) -> None:
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.process.pid, number)

    def wait(self) -> Done:
        """Give how it ended; one that does not is a failure, and killed."""
        with contextlib.suppress(Exception):
            self.process.wait(_LONGEST)
        endless = self.process.poll() is None
        if endless:
            self.send(signal.SIGKILL, group=True)
        self.process.wait()
        for reader, stream in zip(self._readers, self._streams, strict=True):
            reader.join()
            stream.close()
        stderr = "".join(self._said) + ("\n(killed: it did not end)" if endless else "")
        return Done(self.process.returncode, self._answer, stderr)

    def seconds(self) -> dict[str, float]:
        """Give how long each phase took, up to the next one."""
        starts = sorted(self.begun.items(), key=lambda item: item[1])
        return {
            phase: max(0.0, following - start)
            for (phase, start), (_, following) in itertools.pairwise(starts)
        }


@dataclass
class Scene:
    """Where an injection takes place: its own directory `root`, with one guest."""

    root: Path
    guest: Guest
    reference: Reference
    problems: list[str] = field(default_factory=list)
    output: Path = field(init=False)
    # What runs have to find, though it lies where they find only what is private: by where it is.
    _kept: dict[Path, Path] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.output = self.root / "out"
        for name in (*_PRIVATE.values(), "scratch", "runtime"):
            (self.root / name).mkdir(parents=True)
        cached = converter.cache.directory()
        for path in filter(None, (REPOSITORY, self.root.parent, cached)):
            for place, name in _PRIVATE.items():
                if path.is_relative_to(place):
                    inside = self.root / name / path.relative_to(place)
                    inside.mkdir(parents=True, exist_ok=True)
                    self._kept[inside] = path

    def copy_guest(self) -> Guest:
        """Give a copy of the guest that may be harmed."""
        directory = self.root / "source"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        for path in self.guest.paths:
            shutil.copyfile(path, directory / path.name)
        return self.guest.at(directory)

    def start(
        self, *options: str | Path, guest: Guest | None = None, limits: tuple[str, ...] = ()
    ) -> Victim:
        """Begin to convert, in a namespace of its own where all that is temporary is private."""
        sources = (guest or self.guest).paths
        pairs = [f"{path}:{inside}" for inside, path in self._kept.items()]
        pairs += [f"{self.root / name}:{place}" for place, name in _PRIVATE.items()]
        within = ("unshare", "-m", "--propagation", "slave", "sh", "-euc", _INTO, "sh", *limits)
        arguments = (*sources, "-o", self.output, "--name", NAME, *options)
        places = {
            "TMPDIR": self.root / "scratch",
            "XDG_RUNTIME_DIR": self.root / "runtime",
            # What libguestfs finds out about QEMU, once for all.
            "LIBGUESTFS_CACHEDIR": self.root.parent / "cache",
        }
        environment = {name: str(path) for name, path in places.items()}
        return Victim(*arguments, within=within, PAIRS=" ".join(pairs), **environment)

    # --- what must hold ---------------------------------------------------------------------------

    def demand(self, holds: object, otherwise: str) -> None:
        if not holds:
            self.problems.append(otherwise)

    def ended(self, victim: Victim, done: Done, allowed: Mapping[int, set[str]]) -> bool:
        """Check how an injured run ended: with one of the `allowed` exit codes and error codes.

        A run that was through is to have the right result. Tells whether it was.
        """
        left = victim.left_over(within=20)
        self.demand(not left, f"processes are left: {left}")
        if done.code == 0:
            self.demand(0 in allowed, "ended well, though it cannot have")
            self.whole()
            return True
        last = "".join(done.stderr.splitlines(keepends=True)[-4:])
        if done.code < 0:
            self.demand(done.code in allowed, f"ended by signal {-done.code}: {last}")
            return False
        try:
            error = msgspec.json.decode(done.stdout)["error"]
        except (msgspec.DecodeError, KeyError):
            error = {"code": "(none)", "hint": "", "exit_code": "(none)"}
        codes = allowed.get(done.code, set())
        self.demand(error["code"] in codes, f"exit {done.code}, error {error['code']}: {last}")
        self.demand(
            error["exit_code"] in (done.code, "(none)"),
            f"exit {done.code}, told {error['exit_code']}",
        )
        self.demand(error["hint"] or done.code == 130, f"{error['code']} comes without a hint")
        self.demand("Traceback" not in done.stderr, f"a traceback: {done.stderr[-2000:]}")
        return False

    def nothing_published(self, *, killed: bool = False) -> None:
        """Check that no final name is there.

        A run that was `killed` while it published may have given some, which the next run takes
        back by the journal, or all of them.
        """
        names = self.visible()
        if not killed:
            self.demand(not names, f"published, though it failed: {names}")
        elif f"{NAME}.manifest.json" in names:
            self.whole()
            for name in names:
                (self.output / name).unlink()
        elif names:
            journal = self.output / f".{NAME}.partial" / ".journal"
            self.demand(journal.exists(), f"nobody will take back {names}")

    def visible(self) -> list[str]:
        """Give the final names there are."""
        if not self.output.is_dir():
            return []
        found = (path.name for path in self.output.iterdir())
        return sorted(name for name in found if name.startswith(f"{NAME}"))

    def whole(self) -> None:
        """Check that there is the result of an undisturbed run."""
        final = self.output / f"{NAME}.manifest.json"
        wanted = {f"{NAME}.raw", final.name, f"{NAME}.report.html"}
        wanted |= {f"{NAME}-{number}.raw" for number in range(1, self.guest.disks)}
        self.demand(set(self.visible()) == wanted, f"the result is {self.visible()}")
        if set(self.visible()) == wanted:
            problems = manifest.verify(final)
            self.demand(not problems, f"the result is not what its manifest says: {problems}")
            files, wanted_files = self.files(), self.reference.files
            odd = {
                path: (wanted_files.get(path), files.get(path))
                for path in files.keys() | wanted_files.keys()
                if files.get(path) != wanted_files.get(path)
            }
            self.demand(not odd, f"not the files of an undisturbed run: {odd}")

    def files(self) -> dict[str, str]:
        """Describe the files in the result."""
        return trees(self.output, NAME, self.guest.disks, work=self.root)

    def clean(self) -> None:
        """Check that nothing is left that is no result."""
        visible = {self.output / name for name in self.visible()}
        left = [path for path in _everything(self.output) if path not in visible]
        for name in (*_PRIVATE.values(), "scratch", "runtime"):
            left += _everything(self.root / name)
        mounted = {above for inside in self._kept for above in (inside, *inside.parents)}
        left = [path for path in left if path not in mounted]
        self.demand(not left, f"files are left: {[str(path) for path in left]}")

    def rerun(self) -> None:
        """Convert again, and check that nothing of the injured run is in the way, or left."""
        for sockets in (self.root / "tmp").glob("libguestfs*"):
            os.utime(sockets, (0, 0))  # it is an hour later: who was killed has them no more
        victim = self.start()
        done = victim.wait()
        self.demand(done.code == 0, f"a rerun gave exit {done.code}: {done.stderr[-600:]}")
        left = victim.left_over(within=20)
        self.demand(not left, f"processes are left after a rerun: {left}")
        if done.code == 0:
            self.whole()
        self.clean()

    def unmounted(self) -> None:
        left = left_in(self.root)
        self.demand(not left, f"mounts or loop devices are left: {left}")


def _everything(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, task.read_text("ascii").split())
    return found
