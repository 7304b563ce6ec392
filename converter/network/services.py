"""Whether a network stack is installed and started, and whether the DHCP client it needs is there.

What is looked for are rows of data/linux.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from converter.data import load
from converter.guest import paths
from converter.guest.services import is_enabled
from converter.model import FileKind, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

_PROGRAMS: Final = ("/sbin", "/usr/sbin", "/usr/bin", "/bin")
_INITS: Final = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd", "/etc/rc[0-9S].d",
                 "/etc/rc.d/rc[0-9].d", "/etc/init.d/rc[0-9].d", "/etc/init/*.conf",
                 "/etc/runlevels/*")  # fmt: skip
# What a program is linked to by who wants it not to be run.
_NOTHING: Final = frozenset({"true", "false", "null", ":"})


def _row(stack: str) -> dict[str, Any]:
    row: dict[str, Any] = load("linux")["network"]["stacks"][stack]
    return row


def is_installed(guest: ReadableGuest, stack: str) -> bool:
    """Tell whether the programs of `stack` are there."""
    return any(paths.is_file(guest, path) for path in _row(stack)["programs"])


def is_started(guest: ReadableGuest, stack: str) -> bool:
    """Tell whether something starts `stack` at boot."""
    return _is_enabled(guest, _row(stack)["started_by"])


def _is_enabled(guest: ReadableGuest, names: Sequence[str]) -> bool:
    """Tell whether any of `names` is started, by a run level of OpenRC too (openrc-run(8))."""
    scripts = (name for name in names if "." not in name)
    return is_enabled(guest, names) or any(
        paths.glob(guest, f"/etc/runlevels/*/{name}") for name in scripts
    )


def has_known_init(guest: ReadableGuest) -> bool:
    """Tell whether what is started can be seen from files that are understood here."""
    return any(paths.glob(guest, pattern) for pattern in _INITS)


def service_of(stack: str) -> str:
    """Give the name of the service of `stack`, as users know it."""
    return str(_row(stack)["service"])


def others(guest: ReadableGuest) -> tuple[str, ...]:
    """Give the stacks that are started, but only named by us."""
    rows: dict[str, list[str]] = load("linux")["network"]["others"]
    return tuple(name for name, started_by in rows.items() if _is_enabled(guest, started_by))


def has_client(guest: ReadableGuest, programs: Iterable[str]) -> bool:
    """Tell whether any of the DHCP clients `programs` is there and can be run."""
    return any(
        _can_run(guest, f"{directory}/{name}") for name in programs for directory in _PROGRAMS
    )


def require_client(guest: RecordingGuest, stack: str) -> None:
    """Note an error when `stack` has no DHCP client to run."""
    row = load("linux")["dhcp_clients"][stack]
    if not has_client(guest, row["programs"]):
        guest.note(
            Finding(
                Severity.ERROR,
                "dhcp-client-missing",
                f"{stack} configures the network, but the guest has no DHCP client that can be run"
                f" ({', '.join(row['programs'])})",
                f"install {row['package']} in the machine and export it again",
            )
        )


def _can_run(guest: ReadableGuest, path: str) -> bool:
    if not paths.is_file(guest, path):
        return False
    real = paths.resolve(guest, path)
    stat = guest.lstat(real)
    return (
        stat is not None
        and stat.kind is FileKind.FILE
        and stat.mode & 0o111 != 0
        and real.rpartition("/")[2] not in _NOTHING
    )
