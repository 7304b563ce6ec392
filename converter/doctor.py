"""Whether this machine can do the work, and what to install if not."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter.accelerator import choose
from converter.boot import OVMF
from converter.data import load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAST_PYTHON: Final = (3, 11)
# The appliance is built once and takes this much; overlays hold changes only.
_LEAST_FREE: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `hint` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def examine() -> tuple[Check, ...]:
    """Look at everything; nothing is changed but the cached answer about KVM."""
    return (
        _python(),
        _guestfs(),
        *(_tool(row) for row in load("host")["tools"]),
        _firmware(),
        _kernel(),
        _space(),
        _accelerator(),
    )


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Give the checks as a JSON document."""
    return {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info >= _LEAST_PYTHON
    return Check("python", ok, version, "install Python 3.11 or newer")


def _guestfs() -> Check:
    found = importlib.util.find_spec("guestfs")
    return Check(
        "guestfs",
        found is not None,
        "libguestfs' Python binding is there" if found else "cannot be imported",
        _packages({"debian": "python3-guestfs", "fedora": "python3-libguestfs"})
        + "; it belongs to the system's Python: use a virtual environment with its site packages",
    )


def _tool(row: Mapping[str, str]) -> Check:
    path = shutil.which(row["name"])
    return Check(row["name"], path is not None, path or f"for {row['purpose']}", _packages(row))


def _firmware() -> Check:
    found = next((code for code, variables in OVMF if code.is_file() and variables.is_file()), None)
    return Check(
        "ovmf",
        found is not None,
        str(found or "needed to boot by UEFI"),
        _packages({"debian": "ovmf", "fedora": "edk2-ovmf"}),
    )


def _kernel() -> Check:
    kernels = sorted(path for path in Path("/boot").glob("vmlinuz-*") if os.access(path, os.R_OK))
    return Check(
        "kernel",
        bool(kernels),
        str(kernels[-1]) if kernels else "libguestfs needs a kernel in /boot that it can read",
        _packages({"debian": "linux-image-amd64", "fedora": "kernel-core"})
        + ", or make it readable: chmod 0644 /boot/vmlinuz-*",
    )


def _space() -> Check:
    base = tempfile.gettempdir()
    free = shutil.disk_usage(base).free
    return Check(
        "space",
        free >= _LEAST_FREE,
        f"{free >> 20} MiB free in {base}",
        "set TMPDIR to a larger disk",
    )


def _accelerator() -> Check:
    """Say which it is; TCG is slow, but it is no lack."""
    found = choose()
    return Check("accelerator", ok=True, detail=f"{found.kind.value}: {found.reason}")


def _packages(row: Mapping[str, str]) -> str:
    return f"apt-get install {row['debian']} (Debian, Ubuntu); dnf install {row['fedora']} (Fedora)"
