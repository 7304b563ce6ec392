"""The appliance, laid out so that it starts quickly.

libguestfs has supermin(1) make an appliance of the host's own kernel and programs. Where QEMU
emulates, unpacking that kernel takes a third of the start; so it is unpacked once, and libguestfs
is given a "fixed appliance" (guestfs(3)) with the kernel as it is in memory. What cannot be had
this way libguestfs does by itself: this only saves time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final

from converter import cache, process
from converter.errors import ConversionError
from converter.formats import FormatError, linux_image

log = logging.getLogger(__name__)

_MARK: Final = "README.fixed"
_PARTS: Final = ("kernel", "initrd", "root")
_TIMEOUT: Final = 600.0


def prepare(search_path: str, *, work: Path) -> Path | None:
    """Give the directory of such an appliance, made from the parts in libguestfs' `search_path`.

    `work` is for what supermin leaves when it is killed. None where there is none, and libguestfs
    is to do as it would.
    """
    parts = next((p for p in map(_parts, search_path.split(":")) if p.is_dir()), None)
    base = cache.directory()
    if parts is None or base is None:
        return None
    try:
        return _prepare(parts, base / "appliance", work)
    except (ConversionError, FormatError, OSError) as error:
        log.debug("no appliance of our own: %s", error)
        return None


def _parts(directory: str) -> Path:
    return Path(directory) / "supermin.d"


def _prepare(parts: Path, base: Path, work: Path) -> Path | None:
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not cache.is_own(base):
        log.debug("%s: is not this user's alone", base)
        return None
    built = base / "built"
    _sweep(built)
    process.run(
        [
            "env", f"TMPDIR={work.absolute()}", "supermin", "--build", "--if-newer",
            "--lock", str(base / "lock"), "--copy-kernel", "-f", "ext2",
            "--host-cpu", platform.machine(), str(parts), "-o", str(built),
        ],
        timeout=_TIMEOUT,
    )  # fmt: skip
    for part in _PARTS:
        # Their times are what supermin goes by; the kernel has the one that it was installed with.
        os.utime(built / part)
    image = (built / "kernel").read_bytes()
    target = base / hashlib.sha256(image).hexdigest()[:16]
    if not target.is_dir():
        _make(target, built, linux_image.kernel(image))
    return target


def _sweep(built: Path) -> None:
    """Remove what supermin left where it was killed: it makes an appliance beside the old one."""
    for left in built.parent.glob(f"{built.name}.*"):
        with contextlib.suppress(OSError):
            if time.time() - left.lstat().st_mtime > 2 * _TIMEOUT:
                shutil.rmtree(left)


def _make(target: Path, built: Path, kernel: bytes) -> None:
    if not linux_image.starts_by_itself(kernel):
        raise FormatError("QEMU cannot start this kernel by itself")
    staging = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
    try:
        (staging / "kernel").write_bytes(kernel)
        for part in _PARTS[1:]:
            (staging / part).symlink_to(Path(os.pardir, built.name, part))
        (staging / _MARK).write_text("An appliance for libguestfs, made by converter.\n", "utf-8")
        # Another process may have been quicker.
        if not target.is_dir():
            staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
