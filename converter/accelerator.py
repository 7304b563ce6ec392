"""Which accelerator QEMU can really use here: KVM, or TCG.

That /dev/kvm opens says little: on nested and para-virtual hosts guests hang under it. So a kernel
is started under KVM, and only when it gets as far as looking for its root within seconds is KVM
used. What came of that trial holds until the host is started again and is kept in the cache; what
is missing for a trial (rights, a kernel, QEMU) may be there the next time, and is not.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from converter import cache, process
from converter.errors import ConversionError, UsageError

log = logging.getLogger(__name__)

VARIABLE: Final = "CONVERTER_ACCEL"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DEVICE: Final = Path("/dev/kvm")
_KERNELS: Final = Path("/boot")
_QEMU: Final = "qemu-system-x86_64"
_LIMIT: Final = 8.0
_LONGEST: Final = 4096
# The kernel's own last words when it has no root filesystem: by then it ran for real.
_RAN: Final = b"Kernel panic - not syncing: VFS: Unable to mount root fs"
# What is slow when emulated, and no guest needs: deep page tables; "fast" string instructions,
# which QEMU does byte by byte (where a page once held code, a millisecond for each); AES and
# carry-less multiplication, whose drivers test themselves at length.
_PROCESSOR: Final = "max,la57=off,erms=off,aes=off,pclmulqdq=off"
# The same for the appliance, whose processor libguestfs chooses: 297 is "erms", by its place in
# CPUID (kernel-parameters: clearcpuid; names came with Linux 5.17). An emulated processor does not
# speculate, so nothing of it needs to be mitigated.
_APPLIANCE: Final = "mitigations=off clearcpuid=297"


class Kind(StrEnum):
    """QEMU's accelerators, by its names."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """The accelerator to use, and why."""

    kind: Kind
    reason: str

    @property
    def qemu_arguments(self) -> tuple[str, ...]:
        """What QEMU is given for it; a second processor would slow emulation down."""
        if self.kind is Kind.KVM:
            return ("-accel", "kvm", "-cpu", "host", "-smp", "2")
        return ("-accel", "tcg", "-cpu", _PROCESSOR, "-smp", "1")

    @property
    def libguestfs_settings(self) -> dict[str, str]:
        """The environment variables that make libguestfs use it (guestfs(3))."""
        settings = {
            "LIBGUESTFS_BACKEND": "direct",
            "LIBGUESTFS_BACKEND_SETTINGS": f"force_{self.kind.value}",
        }
        if self.kind is Kind.TCG:
            settings["LIBGUESTFS_APPEND"] = _APPLIANCE
        return settings


def choose() -> Accelerator:
    """Give the accelerator: as CONVERTER_ACCEL says, else as found out since the host's start.

    Raises `UsageError` ``accelerator-unknown`` for another value of CONVERTER_ACCEL.
    """
    forced = os.environ.get(VARIABLE)
    if forced:
        if forced not in list(Kind):
            raise UsageError(
                "accelerator-unknown",
                f"{VARIABLE}={forced}: no such accelerator",
                hint="kvm or tcg",
            )
        return Accelerator(Kind(forced), f"{VARIABLE} says so")
    kernel = _newest_kernel()
    lack = _lack(kernel)
    if kernel is None or lack:
        return Accelerator(Kind.TCG, lack)
    kept, boot = _kept(), _boot_id()
    found = _remembered(kept, boot)
    if found is None:
        found = _try(kernel)
        log.debug("accelerator: %s (%s)", found.kind, found.reason)
        _remember(kept, boot, found)
    return found


def _newest_kernel() -> Path | None:
    kernels = [path for path in _KERNELS.glob("vmlinuz-*") if os.access(path, os.R_OK)]
    return max(kernels, key=lambda path: path.stat().st_mtime, default=None)


def _lack(kernel: Path | None) -> str:
    """Say what KVM cannot be tried without, "" when it can be tried."""
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} is not there or not for this user"
    if kernel is None:
        return f"no kernel in {_KERNELS} can be read to try KVM with"
    if shutil.which(_QEMU) is None:
        return f"{_QEMU} is not installed"
    return ""


def _kept() -> Path | None:
    """Give where the answer is kept, None for a user without a home."""
    directory = cache.directory()
    return None if directory is None else directory / "accelerator"


def _boot_id() -> str:
    """Give what is another after each start of the host, "" where it cannot be told."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


def _remembered(kept: Path | None, boot: str) -> Accelerator | None:
    if kept is None or not boot:
        return None
    try:
        known, kind, reason = _read_own(kept).split("\n", 2)
        return Accelerator(Kind(kind), reason) if known == boot else None
    except (OSError, ValueError):
        return None


def _read_own(path: Path) -> str:
    """Read a small file, if it is this user's: anybody else's is not believed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ValueError(f"{path}: is not a file of this user")
        return file.read(_LONGEST).decode()


def _remember(kept: Path | None, boot: str, found: Accelerator) -> None:
    """Keep the answer; a cache that cannot be written only costs the next run a trial."""
    if kept is None or not boot:
        return
    staged = kept.with_name(f"{kept.name}.{os.getpid()}")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            staged.write_text(f"{boot}\n{found.kind.value}\n{found.reason}", encoding="utf-8")
            staged.replace(kept)
        finally:
            staged.unlink(missing_ok=True)
    except OSError as error:
        log.debug("%s: %s", kept, error)


def _try(kernel: Path) -> Accelerator:
    """Start `kernel` under KVM and see whether it gets anywhere."""
    argv = [
        _QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-accel", "kvm", "-cpu", "host", "-m", "256", "-serial", "stdio", "-kernel", str(kernel),
        "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip
    try:
        done = process.run(argv, timeout=_LIMIT, check=False)
    except ConversionError as error:
        log.debug("kvm trial: %s", error.message)
        return Accelerator(Kind.TCG, f"{kernel.name} did not run under KVM within {_LIMIT:g} s")
    if _RAN in done.stdout:
        return Accelerator(Kind.KVM, f"{kernel.name} ran under it")
    log.debug("kvm trial: %s", done.reason)
    return Accelerator(Kind.TCG, f"{kernel.name} did not come far enough under KVM")
