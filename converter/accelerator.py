"""Which accelerator QEMU can really use here: KVM, or TCG.

That /dev/kvm opens says little: on nested and para-virtual hosts guests hang under it. So a kernel
is started under KVM, and only when it gets as far as looking for its root within seconds is KVM
used. The answer holds until the host is started again and is kept in the cache.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from converter import process
from converter.errors import ConversionError, UsageError

log = logging.getLogger(__name__)

VARIABLE: Final = "CONVERTER_ACCEL"
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_DEVICE: Final = Path("/dev/kvm")
_LIMIT: Final = 8.0
# The kernel's own last words when it has no root filesystem: by then it ran for real.
_RAN: Final = b"Kernel panic - not syncing: VFS: Unable to mount root fs"


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
        """What QEMU is given for it."""
        if self.kind is Kind.KVM:
            return ("-accel", "kvm", "-cpu", "host")
        return ("-accel", "tcg,thread=multi", "-cpu", "max")

    @property
    def libguestfs_settings(self) -> dict[str, str]:
        """The environment variables that make libguestfs use it (guestfs(3))."""
        return {
            "LIBGUESTFS_BACKEND": "direct",
            "LIBGUESTFS_BACKEND_SETTINGS": f"force_{self.kind.value}",
        }


def choose() -> Accelerator:
    """Give the accelerator: as CONVERTER_ACCEL says, else as found out since the host's start."""
    forced = os.environ.get(VARIABLE)
    if forced:
        if forced not in list(Kind):
            raise UsageError(
                "accelerator-unknown",
                f"{VARIABLE}={forced}: no such accelerator",
                hint="kvm or tcg",
            )
        return Accelerator(Kind(forced), f"{VARIABLE} says so")
    cache = _cache()
    known = _remembered(cache)
    if known is not None:
        return known
    found = _probe()
    log.debug("accelerator: %s (%s)", found.kind, found.reason)
    _remember(cache, found)
    return found


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "converter" / "accelerator"


def _boot_id() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _remembered(cache: Path) -> Accelerator | None:
    try:
        boot, kind, reason = cache.read_text(encoding="utf-8").split("\n", 2)
    except (OSError, ValueError):
        return None
    if boot != _boot_id() or kind not in list(Kind):
        return None
    return Accelerator(Kind(kind), reason)


def _remember(cache: Path, found: Accelerator) -> None:
    """Keep the answer; a cache that cannot be written only costs the next run a probe."""
    staged = cache.with_name(f"{cache.name}.{os.getpid()}")
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(f"{_boot_id()}\n{found.kind.value}\n{found.reason}", encoding="utf-8")
        staged.replace(cache)
    except OSError as error:
        log.debug("%s: %s", cache, error)


def _probe() -> Accelerator:
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return Accelerator(Kind.TCG, f"{_DEVICE} is not there or not for this user")
    kernels = [path for path in Path("/boot").glob("vmlinuz-*") if os.access(path, os.R_OK)]
    if not kernels:
        return Accelerator(Kind.TCG, "no kernel in /boot can be read to try KVM with")
    kernel = max(kernels, key=lambda path: path.stat().st_mtime)
    if _runs(kernel):
        return Accelerator(Kind.KVM, f"{kernel.name} ran under it")
    return Accelerator(Kind.TCG, f"{kernel.name} did not run under KVM within {_LIMIT:g} s")


def _runs(kernel: Path) -> bool:
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-accel", "kvm", "-cpu", "host", "-m", "256", "-serial", "stdio", "-kernel", str(kernel),
        "-append", "console=ttyS0 panic=-1",
    ]  # fmt: skip
    try:
        return _RAN in process.run(argv, timeout=_LIMIT, check=False).stdout
    except ConversionError as error:
        log.debug("kvm probe: %s", error.message)
        return False
