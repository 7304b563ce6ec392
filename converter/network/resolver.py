"""/etc/resolv.conf and what writes it (resolv.conf(5)): name servers of the source are not reached.

Most stacks' DHCP clients write the file themselves. networkd leaves that to systemd-resolved, and
NetworkManager can be told to leave the file alone (`dns=none`): then name servers of private
networks that were put in by hand give way to the resolver that every VPC has.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import ini
from converter.guest import paths
from converter.guest.services import is_enabled
from converter.model import FileKind, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from converter.formats.ini import Ini
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

PATH: Final = "/etc/resolv.conf"
_RESOLVED: Final = "../run/systemd/resolve"
# Where drop-ins of resolved.conf(5) lie, the later ones before the earlier of the same name.
_RESOLVED_CONF: Final = "systemd/resolved.conf"
_RESOLVED_TOPS: Final = ("/usr/lib", "/usr/local/lib", "/etc")
_OFF: Final = frozenset({"no", "false", "0", "off", "n", "f"})
_CODE: Final = "network-resolver"
_SERVER: Final = re.compile(r"^([ \t]*nameserver[ \t]+)(\S+)[^\n]*\n?", re.MULTILINE)
_DHCLIENT: Final = ("/etc/dhcp/dhclient.conf", "/etc/dhclient.conf", "/etc/dhcp3/dhclient.conf")
_SUPERSEDED: Final = re.compile(
    r"^[ \t]*(?:supersede|prepend)[ \t]+domain-name-servers[ \t]+([^;\n]+)", re.MULTILINE
)
_RESOLVCONF: Final = "/etc/resolvconf/resolv.conf.d"


def release(guest: RecordingGuest, *, is_written: bool) -> None:
    """Plan that names are resolved on EC2; `is_written` tells that a DHCP client sees to it."""
    if not is_written or _is_fixed(guest):
        if is_enabled(guest, ["systemd-resolved.service"]):
            _to_resolved(guest)
        else:
            _to_vpc(guest)
    _note_fixed(guest)


def _is_fixed(guest: ReadableGuest) -> bool:
    """Tell whether servers of the source are in a file that no DHCP client can write to."""
    return _has_servers(guest) and guest.is_immutable(PATH)


def _has_servers(guest: ReadableGuest) -> bool:
    """Tell whether servers of the source are in a file that is no link."""
    stat = guest.lstat(PATH)
    if stat is None or stat.kind is not FileKind.FILE:
        return False
    text = paths.text(guest, PATH) or ""
    return bool(_of_source(match[2] for match in _SERVER.finditer(text)))


def _to_resolved(guest: RecordingGuest) -> None:
    """Plan that the C library asks resolved, not servers that someone put into a file."""
    if _has_servers(guest):
        reason = "its name servers are not reached from EC2; systemd-resolved knows those there"
        # Without its listener the program cannot be asked, only the servers that it was told of.
        name = "stub-resolv.conf" if _listens(guest) else "resolv.conf"
        guest.symlink(f"{_RESOLVED}/{name}", PATH, code=_CODE, reason=reason)


def _listens(guest: ReadableGuest) -> bool:
    """Tell whether systemd-resolved answers at 127.0.0.53."""
    said = [unit.get("Resolve", "DNSStubListener") for _, unit in _resolved(guest)]
    return next(filter(None, reversed(said)), "yes").lower() not in _OFF


def _resolved(guest: ReadableGuest) -> Iterable[tuple[str, Ini]]:
    """Give the configuration of systemd-resolved: the main file, and drop-ins by their names."""
    main = [f"{top}/{_RESOLVED_CONF}" for top in _RESOLVED_TOPS]
    drop_ins = {
        name: f"{file}.d/{name}"
        for file in main
        for name in paths.names(guest, f"{file}.d")  # a link to /dev/null hides others, too
        if name.endswith(".conf")
    }
    used = [path for path in main if paths.is_file(guest, path)][-1:]
    for path in (*used, *(drop_ins[name] for name in sorted(drop_ins))):
        yield path, ini.parse(paths.text(guest, path) or "")


def _to_vpc(guest: RecordingGuest) -> None:
    """Plan the VPC's resolver in the place of the source's; nobody writes the file at boot."""
    text = paths.text(guest, PATH)
    if text is None:
        return
    found = [match[2] for match in _SERVER.finditer(text)]
    if not _of_source(found):
        return
    kept = _SERVER.sub(lambda match: "" if _of_source([match[2]]) else match[0], text)
    gap = "" if not kept or kept.endswith("\n") else "\n"
    wanted = f"{kept}{gap}nameserver {load('linux')['network']['resolver']}\n"
    reason = "its name servers are not reached from EC2, and no DHCP client writes it"
    guest.write(PATH, paths.encode(wanted), code=_CODE, reason=reason)


def _note_fixed(guest: RecordingGuest) -> None:
    """Name servers of the source that are asked besides those of DHCP: each costs a time-out."""
    for path, servers in _fixed(guest):
        wrong = _of_source(servers)
        if wrong:
            guest.note(
                Finding(
                    Severity.WARNING,
                    "network-dns-fixed",
                    f"{path} names the name server {', '.join(wrong)}, which may not be reached"
                    " from EC2; it was left as it is",
                    "take it out, or see that the server is reached (VPN, Route 53 Resolver)",
                )
            )


def _fixed(guest: ReadableGuest) -> Iterable[tuple[str, list[str]]]:
    for path in _DHCLIENT:
        for found in _SUPERSEDED.findall(paths.text(guest, path) or ""):
            yield path, re.split(r"[\s,]+", found.strip())
    for path in (f"{_RESOLVCONF}/head", f"{_RESOLVCONF}/base", f"{_RESOLVCONF}/tail"):
        yield path, [match[2] for match in _SERVER.finditer(paths.text(guest, path) or "")]
    for path, unit in _resolved(guest):
        yield path, [word.partition("#")[0] for word in unit.words("Resolve", "DNS")]


def _of_source(servers: Iterable[str]) -> list[str]:
    """Give those of `servers` that are addresses of a private network, not of this machine."""
    found = []
    vpc = load("linux")["network"]["resolver"]
    for server in servers:
        try:
            address = ipaddress.ip_address(server.partition("%")[0])
        except ValueError:
            continue
        if not address.is_loopback and not address.is_global and server != vpc:
            found.append(server)
    return found
