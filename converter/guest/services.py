"""Which services a guest starts, by its files: systemd, System V init and Upstart.

systemd: a link in a `.wants` or `.requires` directory, none to /dev/null (systemd.unit(5));
System V: an `S` link in a run level's directory, wherever the distribution keeps them (init.d(7));
Upstart: a job file in /etc/init that is not manual (init(5)).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.guest import paths
from converter.model import FileKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.guest.protocol import ReadableGuest

UNITS: Final = "/etc/systemd/system"
UNIT_DIRECTORIES: Final = (
    UNITS,
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
)
SCRIPTS: Final = ("/etc/init.d", "/etc/rc.d/init.d")
JOBS: Final = "/etc/init"
# Debian; Red Hat; SUSE. Some of them are links to others.
_RUN_LEVELS: Final = (
    "/etc/rc[0-6S].d",
    "/etc/rc.d/rc[0-6S].d",
    "/etc/init.d/rc[0-6S].d",
    "/etc/init.d/boot.d",
)
_START_LEVELS: Final = re.compile(r".*/(?:rc[2-5S]|boot)\.d/[^/]*")
_MANUAL: Final = re.compile(r"^[ \t]*manual\b", re.MULTILINE)


def unit_directories(guest: ReadableGuest) -> tuple[str, ...]:
    """Give where systemd has its units from, first come, first served; each directory once.

    Where /lib is a link to /usr/lib, two of them are the same.
    """
    places: dict[str, str] = {}
    for directory in UNIT_DIRECTORIES:
        places.setdefault(paths.resolve(guest, directory), directory)
    return tuple(places.values())


def unit_file(guest: ReadableGuest, unit: str) -> str | None:
    """Give where systemd has `unit` from."""
    candidates = (f"{directory}/{unit}" for directory in unit_directories(guest))
    return next((path for path in candidates if guest.lstat(path) is not None), None)


def has_unit(guest: ReadableGuest, unit: str) -> bool:
    """Tell whether systemd has `unit`, or would make it from a System V script."""
    if unit_file(guest, unit) is not None:
        return True
    return unit.endswith(".service") and has_script(guest, unit.removesuffix(".service"))


def has_script(guest: ReadableGuest, name: str) -> bool:
    """Tell whether there is a System V script `name`."""
    return any(paths.is_file(guest, f"{directory}/{name}") for directory in SCRIPTS)


def is_masked(guest: ReadableGuest, unit: str) -> bool:
    """Tell whether `unit` cannot be started: it is empty, or a link to /dev/null."""
    path = f"{UNITS}/{unit}"
    stat = guest.lstat(path)
    if stat is None:
        return False
    if stat.kind is FileKind.SYMLINK:
        return guest.readlink(path) == "/dev/null"
    return stat.kind is FileKind.FILE and stat.size == 0


def start_links(guest: ReadableGuest, name: str) -> Iterator[str]:
    """Give the links by which System V init starts the script `name`."""
    for directory in _RUN_LEVELS:
        yield from paths.glob(guest, f"{directory}/S[0-9][0-9]{name}")


def is_enabled(guest: ReadableGuest, names: Iterable[str]) -> bool:
    """Tell whether any of `names` (units with their suffix, scripts and jobs without) is started.

    A unit that another one needs by a directive in its file is not found by this.
    """
    return any(
        _unit_is_enabled(guest, name) if "." in name else _script_is_enabled(guest, name)
        for name in names
    )


def _unit_is_enabled(guest: ReadableGuest, unit: str) -> bool:
    if is_masked(guest, unit):
        return False
    return any(
        unit in paths.names(guest, f"{directory}/{found}")
        for directory in unit_directories(guest)
        for found in paths.names(guest, directory)
        if found.endswith((".wants", ".requires"))
    )


def _script_is_enabled(guest: ReadableGuest, name: str) -> bool:
    job = paths.text(guest, f"{JOBS}/{name}.conf")
    if job is not None and re.search(r"^[ \t]*start\s+on\b", job, re.MULTILINE):
        override = paths.text(guest, f"{JOBS}/{name}.override") or ""
        return not _MANUAL.search(override)
    if is_masked(guest, f"{name}.service"):
        return False
    return any(_START_LEVELS.fullmatch(link) for link in start_links(guest, name))
