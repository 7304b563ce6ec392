"""The appliance's QEMU, confined: it reads the guest's filesystems' bytes, and may fall for them.

libguestfs composes QEMU's command line and starts it. It is given `confinement.launcher` instead,
which takes everything away that QEMU does not need and becomes QEMU; and QEMU's own filter of
system calls on top, as a second look at the same (qemu(1), -sandbox).
"""

from __future__ import annotations

import itertools
import logging
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from converter import confinement
from converter.confinement import Confinement, launcher, linked
from converter.data import load
from converter.errors import ConversionError, writing_failed

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
# What QEMU takes in addresses beside the machine's memory: 1 GiB is for translated code, and up to
# 64 threads have stacks and arenas.
_ADDRESSES: Final = 8 << 30
_KVM: Final = Path("/dev/kvm")
# The command in which libguestfs names its QEMU has fewer bytes before that, and fewer behind it.
_BESIDE: Final = 256
# What has a backslash before it between double quotes (sh(1)).
_ESCAPED: Final = '$`\\"'
# What is written at once, and a few times that.
_REQUEST: Final = 4 << 20


def machine(
    disks: Sequence[Path], directory: Path, *, memory: int, read: Sequence[Path] = ()
) -> Confinement:
    """Give what a QEMU may touch whose `disks` are overlays that are made in `directory`.

    It reads what lies there, or links there lead to, and `read`. The machine's `memory` is in MiB.
    """
    scratch = directory / "scratch"
    scratch.mkdir(mode=0o700, exist_ok=True)
    return Confinement(
        read=(*linked(directory), *read),
        written=(*disks, _KVM),
        scratch=scratch,
        limits={"as": _ADDRESSES + (memory << 20)},
    )


def confine(
    handle: Any,  # noqa: ANN401 - libguestfs' binding has no types
    disks: Sequence[Path],
    *,
    directory: Path,
    fixed: Path | None,
) -> bool:
    """Have libguestfs start its QEMU confined; tells whether that can be.

    `fixed` is the directory of the appliance, None for libguestfs' own. What is allowed is told in
    a file, not in the environment: that belongs to every thread, and each may start an appliance.
    """
    handle.config("-sandbox", SANDBOX)
    if not confinement.starts_by_itself():
        log.debug("QEMU is not confined: %s cannot be executed", confinement.LAUNCHER)
        return False
    appliance = _own_appliance(handle) if fixed is None else linked(fixed)
    link = directory / "qemu"
    memory = handle.get_memsize()
    try:
        allowed = machine(disks, directory, memory=memory, read=appliance)
        words = allowed.options(handle.get_hv())
        data = b"".join(os.fsencode(word) + b"\0" for word in words)
        link.with_suffix(launcher.OPTIONS).write_bytes(data)
        link.unlink(missing_ok=True)
        link.symlink_to(confinement.LAUNCHER)
    except OSError as error:
        raise writing_failed(link, error, code="overlay-failed") from error
    handle.set_hv(spelled(link.absolute()))
    return True


def spelled(path: Path) -> str:
    """Give the path of a QEMU with so many slashes that libguestfs stays in its own memory.

    libguestfs asks QEMU by a shell's command what it can (lib/qemu.c, generic_qmp_test). It puts
    that together in a buffer of 256 bytes which is doubled when it is full; but it looks before a
    word whether it is, not whether the word still fits, and what does not is written over what lies
    behind (lib/command.c, add_string; in 1.48 as in its newest). Only the path, in quotes, is added
    byte by byte: so it ends where the rest of the command comes to no such end.
    """
    name = str(path)
    size = len('""') + len(os.fsencode(name)) + sum(map(name.count, _ESCAPED))
    rest = 2 * _BESIDE - 1
    far = next(n for n in itertools.count(size) if n.bit_length() == (n + rest).bit_length())
    return f"{path.parent}{'/' * (1 + far - size)}{path.name}"


def _own_appliance(handle: Any) -> tuple[Path, ...]:  # noqa: ANN401
    """Give where libguestfs keeps the appliance that it makes, and where it looks for others."""
    made = Path(handle.get_cachedir()) / f".guestfs-{os.geteuid()}"
    return (made, *map(Path, handle.get_path().split(":")))


def limit_growth(qemu: int) -> None:
    """Let no file of the process `qemu` get larger than an overlay may, whatever the guest does.

    That is a bad disk to it, or its end. Our own limit may be lower still.
    """
    most = load("limits")["overlay"]["bytes"]
    _, given = resource.getrlimit(resource.RLIMIT_FSIZE)
    if given == resource.RLIM_INFINITY or most < given:
        with suppress(ProcessLookupError):  # it ended meanwhile
            resource.prlimit(qemu, resource.RLIMIT_FSIZE, (most, most))


def check_growth(overlays: Sequence[Path], *, hint: str) -> None:
    """Raise `ConversionError` ``overlay-endless`` when one came near that limit."""
    most = load("limits")["overlay"]["bytes"]
    largest = max(overlay.stat().st_size for overlay in overlays)
    if largest > most - _REQUEST:
        raise ConversionError(
            "overlay-endless",
            f"{largest} bytes were written over a disk of the guest, more than is let",
            hint=hint,
        )
