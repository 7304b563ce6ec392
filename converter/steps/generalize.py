"""What is a machine's own and not its image's is reset, if asked for (LNX-9, `--generalize`).

Nothing that is removed here is kept: the point is that it is gone. /etc/machine-id becomes an empty
file, so that a new one is made at boot; missing or "uninitialized" it would make systemd think that
this is the first boot of all, and enable and disable units anew (machine-id(5)).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import globs
from converter.guest import paths, services
from converter.inspection import cloud
from converter.model import FileKind, Finding, Severity
from converter.steps.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.recording import RecordingGuest
    from converter.model import Facts, Mount
    from converter.steps.step import Context

_CODE: Final = "generalize"
_LOGS: Final = "/var/log"
_CLOUD: Final = "/var/lib/cloud"
_DEPTH: Final = 12
_MOST_FILES: Final = 20000
# Of a unit that is for the first boot of all (systemd.unit(5)).
_FIRST_BOOT: Final = b"ConditionFirstBoot=yes"
_UNIT: Final = 64 << 10


def run(context: Context) -> None:
    """Plan that every instance made from the image is a machine of its own."""
    if not context.options.generalize:
        return
    guest = context.guest
    _machine_id(guest)
    _host_keys(guest, context.facts)
    _discard(guest, "dhcp_leases", "a lease is one machine's, and its network's")
    _discard(guest, "random_seeds", "two machines must not start with the same random numbers")
    _loader_seeds(guest, context.facts.esps)
    _logs(guest)
    _cloud_state(guest)


def _discard(guest: RecordingGuest, row: str, reason: str) -> None:
    for pattern in load("linux")["generalize"][row]:
        for path in paths.glob(guest, pattern):
            if paths.is_file(guest, path):
                guest.discard(path, code=_CODE, reason=reason)


def _machine_id(guest: RecordingGuest) -> None:
    reason = "every machine makes its own id at its first boot"
    guest.empty("/etc/machine-id", code=_CODE, reason=reason)
    dbus = guest.lstat("/var/lib/dbus/machine-id")
    if dbus is not None and dbus.kind is FileKind.FILE:
        guest.discard("/var/lib/dbus/machine-id", code=_CODE, reason=reason)


def _host_keys(guest: RecordingGuest, facts: Facts) -> None:
    """Plan that the SSH host keys are gone, where something makes new ones."""
    rows = ["dropbear_keys"]
    if _makes_host_keys(guest, facts):
        _discard(guest, "host_keys", "every machine makes its own host keys at its first boot")
    else:
        rows.append("host_keys")
    found = [
        path
        for row in rows
        for pattern in load("linux")["generalize"][row]
        for path in paths.glob(guest, pattern)
    ]
    if found:
        guest.note(
            Finding(
                Severity.WARNING,
                "ssh-host-keys-kept",
                f"{len(found)} SSH host key files are kept: nothing in this system makes new ones"
                " at boot, and the SSH server does not start without",
                "install cloud-init in the machine, or make new ones in every instance (`rm"
                " /etc/ssh/ssh_host_*; dpkg-reconfigure openssh-server`, or dropbearkey)",
            )
        )


def _makes_host_keys(guest: RecordingGuest, facts: Facts) -> bool:
    makers = load("linux")["generalize"]["host_key_makers"]
    loader = facts.linux.bootloader
    arguments = loader.default.arguments if loader and loader.default else ()
    if cloud.is_active(guest, arguments) or any(_is_maker(guest, path) for path in makers):
        return True
    # The System V scripts of EL and SUSE do it themselves; Debian's does not.
    scripts = [f"{directory}/sshd" for directory in services.SCRIPTS]
    return any("keygen" in (paths.text(guest, script) or "") for script in scripts)


def _is_maker(guest: RecordingGuest, path: str) -> bool:
    """Tell whether a unit or program is there that may run: this is no first boot to systemd."""
    return paths.is_file(guest, path) and _FIRST_BOOT not in guest.head(path, length=_UNIT)


def _loader_seeds(guest: RecordingGuest, esps: tuple[Mount, ...]) -> None:
    """systemd-boot keeps a random seed beside its configuration."""
    for esp in esps:
        path = f"{esp.path}/loader/random-seed"
        if paths.is_file(guest, path):
            guest.discard(path, code=_CODE, reason="every machine makes its own random seed")


def _logs(guest: RecordingGuest) -> None:
    kept, old = (load("linux")["generalize"][row] for row in ("kept_logs", "old_logs"))
    reason = "logs tell of another machine"
    for path in _files(guest, _LOGS):
        name = path.rpartition("/")[2]
        if any(globs.matches(name, pattern) for pattern in kept):
            continue
        if any(globs.matches(name, pattern) for pattern in old):
            guest.discard(path, code=_CODE, reason=reason)
        else:
            # Whoever writes it expects it with its owner, mode and label.
            guest.empty(path, code=_CODE, reason=reason)


def _cloud_state(guest: RecordingGuest) -> None:
    """Plan what `cloud-init clean` does: all its state is gone but seeds."""
    for name in paths.names(guest, _CLOUD):
        path = f"{_CLOUD}/{name}"
        stat = guest.lstat(path)
        if name == "seed" or stat is None:
            continue
        found = [path] if stat.kind is not FileKind.DIRECTORY else _files(guest, path, links=True)
        for item in tuple(found):
            guest.discard(item, code=_CODE, reason="cloud-init must take it for a new instance")


def _files(guest: RecordingGuest, top: str, *, links: bool = False) -> Iterator[str]:
    """Give the files below a directory, and its links if asked for; links are not followed."""
    wanted = {FileKind.FILE, FileKind.SYMLINK} if links else {FileKind.FILE}
    todo = [(top, 0)]
    count = 0
    while todo and count < _MOST_FILES:
        directory, depth = todo.pop()
        for name in paths.names(guest, directory):
            path = f"{directory}/{name}"
            stat = guest.lstat(path)
            if stat is not None and stat.kind is FileKind.DIRECTORY and depth < _DEPTH:
                todo.append((path, depth + 1))
            elif stat is not None and stat.kind in wanted:
                count += 1
                yield path


def _applies(_facts: Facts) -> bool:
    return True


STEP: Final = Step("generalize", "reset what is one machine's own, if asked for", _applies, run)
