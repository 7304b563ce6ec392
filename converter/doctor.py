"""Whether this machine can do the work, and what to install if not.

Imports nothing that may be missing: it has to work where nothing else does.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter import capacity, process
from converter.accelerator import choose
from converter.confinement import Confinement, describe
from converter.data import load
from converter.errors import ConversionError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LEAST_PYTHON: Final = (3, 11)
# The appliance is built once and takes this much; overlays hold changes only.
_LEAST_FREE: Final = 1 << 30
# Where an administrator's programs are: the appliance has them, whoever builds it.
_SYSTEM_PATH: Final = "/usr/sbin:/sbin"
_CACHE: Final = "/var/tmp"  # noqa: S108 - only looked at


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `hint` says what to do when it is not `ok`."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


def examine() -> tuple[Check, ...]:
    """Look at everything; nothing is changed but the cached answer about KVM."""
    table = load("host")
    return (
        _python(),
        *(_module(row) for row in table["modules"]),
        *(_tool(row) for row in table["tools"]),
        _firmware(table["firmware"]),
        _kernel(table["kernel"]),
        _space(),
        _memory(table["memory"]),
        _accelerator(),
        _confinement(),
    )


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    """Give the checks as a JSON document."""
    return {"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]}


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info >= _LEAST_PYTHON
    return Check("python", ok, version, "install Python 3.11 or newer")


def _module(row: Mapping[str, str]) -> Check:
    """Import it, `through` the module of ours that does, if only that one may.

    That it is found says nothing of the libraries it is bound to.
    """
    try:
        import_module(row.get("through", row["name"]))
    except ImportError as error:
        detail = f"needed for {row['purpose']}: {error}"
        return Check(row["name"], ok=False, detail=detail, hint=_packages(row))
    return Check(row["name"], ok=True, detail="can be imported")


def _tool(row: Mapping[str, str]) -> Check:
    path = shutil.which(row["name"], path=f"{os.environ.get('PATH', os.defpath)}:{_SYSTEM_PATH}")
    detail = path or f"needed for {row['purpose']}"
    return Check(row["name"], path is not None, detail, _packages(row))


def _firmware(row: Mapping[str, Any]) -> Check:
    found = [pair[0] for pair in row["pairs"] if all(Path(path).is_file() for path in pair)]
    detail = found[0] if found else f"needed for {row['purpose']}"
    return Check("ovmf", bool(found), detail, _packages(row))


def _kernel(row: Mapping[str, str]) -> Check:
    kernels = sorted(
        path for path in Path(row["directory"]).glob("vmlinuz-*") if os.access(path, os.R_OK)
    )
    detail = str(kernels[-1]) if kernels else f"needed for {row['purpose']}"
    return Check("kernel", bool(kernels), detail, _packages(row))


def _space() -> Check:
    hint = "set TMPDIR to a directory on a larger disk"
    # Where libguestfs keeps the appliance it built (guestfs(3)).
    cache = os.environ.get("LIBGUESTFS_CACHEDIR") or os.environ.get("TMPDIR") or _CACHE
    try:
        places = {place: shutil.disk_usage(place).free for place in (tempfile.gettempdir(), cache)}
    except OSError as error:
        return Check("space", ok=False, detail=str(error), hint=hint)
    detail = ", ".join(f"{free >> 20} MiB free in {place}" for place, free in places.items())
    return Check("space", min(places.values()) >= _LEAST_FREE, detail, hint)


def _memory(row: Mapping[str, int]) -> Check:
    """Say how many conversions fit at once."""
    each = row["conversion_mib"]
    free = capacity.memory() >> 20
    processors = capacity.processors()
    fit = free // each
    detail = (
        f"{free} MiB free: {fit} conversion(s) at once, of at most {each} MiB each;"
        f" {processors} processor(s)"
    )
    hint = "end what else is running, or give the machine more memory"
    return Check("memory", fit > 0, detail, hint)


def _accelerator() -> Check:
    """Say which it is; TCG is slow, but it is no lack."""
    try:
        found = choose()
    except UsageError as error:
        return Check("accelerator", ok=False, detail=error.message, hint=error.hint)
    return Check("accelerator", ok=True, detail=f"{found.kind.value}: {found.reason}")


def _confinement() -> Check:
    """Start a helper by it. What an old kernel has not is no lack: the work is done without."""
    try:
        process.run(["qemu-img", "--version"], confinement=Confinement())
    except ConversionError as error:
        return Check(
            "confinement",
            ok=False,
            detail=f"{describe()}: {error.message}",
            hint="have qemu-img as a package of the system: not a script, and nowhere but in /usr",
        )
    return Check("confinement", ok=True, detail=describe())


def _packages(row: Mapping[str, Any]) -> str:
    pip = f"pip install {row['pip']}, or " if "pip" in row else ""
    debian, fedora = row["debian"], row["fedora"]
    return f"{pip}apt-get install {debian} (Debian, Ubuntu); dnf install {fedora} (Fedora)"
