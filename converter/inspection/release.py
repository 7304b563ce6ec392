"""Which distribution a guest is, which version of it, and its name, from the files that say so.

os-release(5) comes first. Systems from before it (RHEL 5 and 6, SLES 11, Debian 6) have a file of
their own in /etc. Rebuilds of another system keep that one's files too, so their own is asked
before it: the order is that of `[[releases]]` in data/linux.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import shellvars
from converter.guest import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest

_OS_RELEASE: Final = ("/etc/os-release", "/usr/lib/os-release")
# What os-release(5) allows in ID.
_IDENTIFIER: Final = re.compile(r"[a-z0-9._-]{1,64}")
# No such file is longer; patterns are not tried on more.
_LONGEST: Final = 1024
_LONGEST_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Release:
    """A distribution by its ID of os-release(5), its version, and both as people read them.

    `point_release` is the exact version where the distribution counts it as the same version with
    its updates in (Debian 12.7 is Debian 12).
    """

    distribution: str = "linux"
    version: str = ""
    pretty_name: str = ""
    point_release: str = ""


def identify(guest: ReadableGuest) -> Release:
    """Read what the mounted `guest` says that it is; if it says nothing, it is "linux"."""
    older = tuple(_older(guest))
    found = _os_release(guest)
    if found is None:
        return older[0] if older else Release()
    return _completed(found, [entry for entry in older if entry.distribution == found.distribution])


def hostname(guest: ReadableGuest) -> str:
    """Give the name the guest gives itself at boot; "" if it has none of its own.

    hostname(5); SUSE before systemd has /etc/HOSTNAME, RHEL a variable in /etc/sysconfig/network.
    """
    for path in ("/etc/hostname", "/etc/HOSTNAME"):
        lines = (paths.text(guest, path) or "").splitlines()
        names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if names:
            return names[0][:_LONGEST_NAME]
    network = shellvars.parse(paths.text(guest, "/etc/sysconfig/network") or "")
    return (network.get("HOSTNAME") or "")[:_LONGEST_NAME]


def _os_release(guest: ReadableGuest) -> Release | None:
    for path in _OS_RELEASE:
        found = paths.text(guest, path)
        if found is None:
            continue
        variables = shellvars.parse(found)
        identifier = (variables.get("ID") or "").lower()
        if _IDENTIFIER.fullmatch(identifier):
            version, name = (variables.get(key) or "" for key in ("VERSION_ID", "PRETTY_NAME"))
            return Release(identifier, version[:_LONGEST_NAME], name[:_LONGEST_NAME])
    return None


def _completed(found: Release, older: list[Release]) -> Release:
    """Add what os-release leaves out: CentOS says "7" for 7.9, Debian's testing says nothing."""
    exact = next((o for o in older if o.version.startswith(f"{found.version}.")), None)
    if found.version and exact is not None:
        return replace(
            found,
            version=found.version if exact.point_release else exact.version,
            point_release=exact.point_release,
        )
    return found if found.version or not older else replace(found, version=older[0].version)


def _older(guest: ReadableGuest) -> Iterator[Release]:
    """Give what the files from before os-release(5) say, the most telling first."""
    for row in load("linux")["releases"]:
        content = paths.text(guest, row["path"])
        text = (content or "")[:_LONGEST].strip()
        match = re.match(row["pattern"], text)
        if content is None or match is None:
            continue
        version = ".".join(number for number in match.groups() if number not in (None, "0"))
        name = row.get("name", "").format(version) or text.partition("\n")[0]
        point = version if row.get("point_release") and version[:1].isdigit() else ""
        yield Release(row["distribution"], version, name, point)
