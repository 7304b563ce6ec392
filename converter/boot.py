"""Boots an image under QEMU and tells what really came up.

The image is not changed: the machine works on a throw-away overlay, and into that overlay alone
goes a probe (`probe`). The machine is not the guest's old one: another disk bus, and a network
card with another address in another slot. What the guest can reach is QEMU's own DHCP server.
"""

from __future__ import annotations

import os
import secrets
import select
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from converter import process, qmp
from converter.accelerator import choose
from converter.confinement import Confinement, linked
from converter.console import Console
from converter.deadline import deadline, seconds_for
from converter.errors import HostError, UsageError, disk_full
from converter.guest import hypervisor
from converter.guest.appliance import Appliance
from converter.handoff.workspace import scratch
from converter.inspection.mounts import mount_guest
from converter.inspection.storage import read_storage
from converter.inspection.windows_volumes import find_volumes
from converter.probe import install
from converter.source.complaints import judged
from converter.source.raw_image import raw_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.monitor import Monitor
    from converter.qmp import Events

    _Start = Callable[..., subprocess.Popen[bytes]]

OVMF: Final = (
    (Path("/usr/share/OVMF/OVMF_CODE_4M.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd")),
    (Path("/usr/share/edk2/ovmf/OVMF_CODE.fd"), Path("/usr/share/edk2/ovmf/OVMF_VARS.fd")),
)
_CARD: Final = "06:7e:57:00:00:01"
_MEMORY: Final = 1024
_VARIABLES: Final = "variables.fd"
_QEMU: Final = "qemu-system-x86_64"
_UP: Final = "multi-user"
# What a running guest writes comes to some MiB.
_ROOM: Final = 16 << 20
_ENDLESS: Final = "find out what the guest writes without end; its console tells what it runs"
# What to do where a boot ended before the system's own words.
_OTHER_FIRMWARE: Final = "the other --firmware, or, of several disks, the boot disk first"
_HINTS: Final = {
    "no-boot-device": f"try {_OTHER_FIRMWARE}",
    "efi-shell": f"try {_OTHER_FIRMWARE}",
    "nothing": f"try a longer --timeout, or {_OTHER_FIRMWARE}",
    "login": "it is up, but did not say all in its time: try a longer --timeout",
}
_LOOK: Final = "console_tail has what it said last"
_PIECE: Final = 65536
# What QEMU complains of is short.
_SAID: Final = 4096
# How often a machine is started that restarts by itself, and the seconds that one may take to do so
# after a panic (the kernel's panic=; distributions set 10 at most).
_STARTS: Final = 3
_RESTART: Final = 30


class Firmware(StrEnum):
    """What starts the machine."""

    BIOS = "bios"
    UEFI = "uefi"


class Bus(StrEnum):
    """What the disks are attached to."""

    NVME = "nvme"
    IDE = "ide"
    AHCI = "ahci"
    VIRTIO = "virtio"


@dataclass(frozen=True, slots=True)
class BootReport:
    """What came up: `reached` is "multi-user" or the name of where the boot ended.

    `starts` is how often the machine started: more than once where it restarts by itself. `hint`
    says what to do where it did not come up.
    """

    reached: str
    hint: str
    starts: int
    seconds: float
    root: dict[str, str]
    addresses: tuple[str, ...]
    failed_units: tuple[str, ...]
    running_units: tuple[str, ...]
    mounts: tuple[str, ...]
    state: str
    console_tail: str

    def as_json(self) -> dict[str, Any]:
        """Give the report as the contract has it."""
        return asdict(self)


# Disks that QEMU's controllers of a kind have places for.
_PLACES: Final = {Bus.IDE: 4, Bus.AHCI: 6}


@dataclass(frozen=True, slots=True)
class Machine:
    """What a guest is booted on; `is_reversed` has the disks found in the reverse order."""

    firmware: Firmware = Firmware.BIOS
    bus: Bus = Bus.NVME
    is_reversed: bool = False


def boot(
    images: Sequence[Path], machine: Machine, *, timeout: float, monitor: Monitor
) -> BootReport:
    """Boot raw `images` (boot disk first) and follow the console to a verdict.

    `timeout` is in seconds, from the machine's start. Raises what `raw_image` does for what is no
    image, `UsageError` ``source-in-use`` for one that a machine runs from, `HostError` when QEMU or
    its firmware is missing.
    """
    for image in images:
        raw_image(image)
    process.find_tool(_QEMU)
    if machine.firmware is Firmware.UEFI:
        _firmware()
    most = _PLACES.get(machine.bus)
    if most is not None and len(images) > most:
        raise UsageError(
            "bus-full",
            f"{len(images)} disks are too many for --bus {machine.bus.value}, which has {most}"
            " places",
            hint="leave --bus out, or give the boot disk and those that it needs",
        )
    with scratch("boot") as work:
        overlays = [_overlay(image, work, number) for number, image in enumerate(images)]
        monitor.phase("probe", "putting a probe into the throw-away overlay")
        token = secrets.token_hex(8)
        with deadline("inspect", seconds_for("inspect")):
            _install_probe(overlays, work, token)
        monitor.phase("boot", f"booting from {machine.bus.value} by {machine.firmware.value}")
        with qmp.events(work) as events:
            argv = [*_command(overlays, work, machine), *events.arguments]
            written = [*overlays, work / _VARIABLES, *events.files]
            confinement = hypervisor.machine(written, work, memory=_MEMORY)
            start = partial(process.start, argv, confinement=confinement)
            try:
                report = _follow(start, events, token, timeout)
            except HostError:
                hypervisor.check_growth(overlays, hint=_ENDLESS)
                raise
        hypervisor.check_growth(overlays, hint=_ENDLESS)
        if report.reached != _UP and shutil.disk_usage(work).free < _ROOM:
            raise disk_full(work, "the machine had no room for what it writes")
        return report


def _overlay(image: Path, work: Path, number: int) -> Path:
    # By a short name: a qcow2 has room for 1023 bytes of its backing file's name.
    link = work / f"image{number}"
    link.symlink_to(image.resolve())
    overlay = work / f"overlay{number}.qcow2"
    overlay.touch()
    done = process.run(
        ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(link), str(overlay)],
        check=False,
        confinement=Confinement(read=linked(work), written=(overlay,)),
    )
    if done.status != 0:
        raise judged(str(image), overlay, done.status, done.reason)
    return overlay


def _install_probe(overlays: Sequence[Path], work: Path, token: str) -> None:
    settings = choose().libguestfs_settings
    with Appliance(overlays, settings=settings, directory=work) as machine:
        storage = read_storage(machine)
        if any(volume.directory for volume in find_volumes(machine, machine, storage)):
            raise UsageError(
                "boot-windows",
                "a Windows is not booted here: nothing that can be put in tells what came up",
                hint="start the result on EC2, or in a virtual machine with a screen; its manifest"
                " says by which firmware",
            )
        mount_guest(machine, machine, storage)
        install(machine, token)
        machine.unmount()


def _command(overlays: Sequence[Path], work: Path, machine: Machine) -> list[str]:
    bus = machine.bus
    chipset = "pc" if bus is Bus.IDE else "q35"
    argv = [
        _QEMU, "-nodefaults", "-no-user-config", "-no-reboot",
        "-machine", f"{chipset},graphics=off", *choose().qemu_arguments, "-m", str(_MEMORY),
        # Without a screen to draw on, GRUB's gfxterm takes minutes.
        "-display", "none", "-vga", "std", "-serial", "stdio",
        "-sandbox", hypervisor.SANDBOX,
        "-netdev", "user,id=net0,restrict=on",
        # Without a ROM: nothing is started from the network on EC2.
        "-device", f"e1000e,netdev=net0,mac={_CARD},addr=0x1d,romfile=",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if machine.firmware is Firmware.UEFI:
        argv += _uefi(work)
    if bus is Bus.AHCI:
        argv += ["-device", "ahci,id=ahci"]
    order = [*range(len(overlays))]
    for place, number in enumerate(reversed(order) if machine.is_reversed else order):
        file = f"file={qmp.value(overlays[number])}"
        argv += ["-drive", f"if=none,id=disk{place},format=qcow2,cache=unsafe,{file}"]
        argv += ["-device", f"{_disk(bus, place)},drive=disk{place},bootindex={number + 1}"]
    return argv


def _disk(bus: Bus, place: int) -> str:
    match bus:
        case Bus.NVME:
            return f"nvme,serial=vol{place}"
        case Bus.IDE:
            return f"ide-hd,bus=ide.{place // 2},unit={place % 2}"
        case Bus.AHCI:
            return f"ide-hd,bus=ahci.{place}"
        case Bus.VIRTIO:
            return "virtio-blk-pci"


def _uefi(work: Path) -> list[str]:
    """Give OVMF with a private copy of its empty variable store."""
    code, variables = _firmware()
    private = work / _VARIABLES
    shutil.copyfile(variables, private)
    return [
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={qmp.value(code)}",
        "-drive", f"if=pflash,unit=1,format=raw,file={qmp.value(private)}",
    ]  # fmt: skip


def _firmware() -> tuple[Path, Path]:
    """Give OVMF and its empty variable store. Raises `HostError` ``ovmf-missing``."""
    for code, variables in OVMF:
        if code.is_file() and variables.is_file():
            return code, variables
    raise HostError(
        "ovmf-missing", "no UEFI firmware for QEMU was found", hint="install the package ovmf"
    )


def _follow(start: _Start, events: Events, token: str, timeout: float) -> BootReport:
    """Start the machine, and again where it restarts: Ubuntu's do after a try without initramfs.

    So does, once, one that labels its files for SELinux.
    """
    begun = time.monotonic()
    seen, starts, again = Console(token), 0, True
    while again and starts < _STARTS and time.monotonic() < begun + timeout:
        starts += 1
        console = Console(token)
        events.expect()
        _watch(start, console, begun + timeout)
        again = events.was_reset()
        # One that is cut short says less than the one before it.
        if starts == 1 or console.reached != "nothing":
            seen = console
    if again and starts == _STARTS and seen.verdict == "stopped":
        seen.verdict = "restart-loop"
    return _report(seen, starts, time.monotonic() - begun)


def _watch(start: _Start, console: Console, end: float) -> None:
    """Follow one start of the machine, up to a verdict, its end, or the moment `end`."""
    with open(os.memfd_create("said"), "w+b") as said:  # noqa: PTH123 - a descriptor
        machine = start(stderr=said)
        try:
            hypervisor.limit_growth(machine.pid)
            _listen(machine, console, end)
        finally:
            status = machine.poll()
            machine.kill()
            machine.communicate()
        if status:
            said.seek(0)
            why = said.read(_SAID).decode("utf-8", "replace").strip()
            how = f"ended with {status}" if status > 0 else f"was killed by signal {-status}"
            raise HostError(
                "qemu-failed",
                f"QEMU {how}: {why}",
                hint="run `converter doctor`; with CONVERTER_ACCEL=tcg it needs no /dev/kvm",
            )


def _listen(machine: subprocess.Popen[bytes], console: Console, end: float) -> None:
    while not console.is_final:
        if console.verdict is not None:
            end = min(end, time.monotonic() + _RESTART)
        left = end - time.monotonic()
        if left <= 0 or machine.stdout is None or not _ready(machine.stdout, left):
            return
        piece = os.read(machine.stdout.fileno(), _PIECE)
        if not piece:
            console.ended()
            with suppress(subprocess.TimeoutExpired):
                machine.wait(timeout=_RESTART)
            return
        console.feed(piece)


def _ready(stream: IO[bytes], seconds: float) -> bool:
    return bool(select.select([stream], [], [], seconds)[0])


def _report(console: Console, starts: int, seconds: float) -> BootReport:
    answers = console.answers
    source, _, fstype = (answers.get("root", [""])[0]).partition(" ")
    return BootReport(
        reached=console.reached,
        hint="" if console.reached == _UP else _HINTS.get(console.reached, _LOOK),
        starts=starts,
        seconds=round(seconds, 1),
        root={"source": source, "fstype": fstype},
        addresses=tuple(answers.get("address", [])),
        failed_units=tuple(answers.get("failed", [])),
        running_units=tuple(answers.get("running", [])),
        mounts=tuple(answers.get("mount", [])),
        state=answers.get("state", [""])[0],
        console_tail=console.tail,
    )
