"""ifcfg files of SUSE's systems: /etc/sysconfig/network (ifcfg(5), routes(5)).

They are read by wicked (SLE 12 and 15, Leap), which brings its own DHCP client, and by the
`network` script of SLE 11, which runs dhcpcd. Both know a card by its name, which is in the name of
the file: the first card keeps the kernel's name (`names.keep_kernel_names`), and ifcfg-eth0 asks
for an address. Routes for cards go, and name servers that netconfig(8) was told of.

Limits: wicked's own XML configuration is not read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import shellvars
from converter.guest import paths
from converter.guest.services import UNITS
from converter.model import FileKind, LinkKind, NetworkLink, NetworkStack
from converter.network import changes, names, services
from converter.network.links import base_of_name, kind_of_name, make_stack, merge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.formats.shellvars import ShellVars
    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

WICKED: Final = "wicked"
SCRIPT: Final = "ifcfg-suse"
DIRECTORY: Final = "/etc/sysconfig/network"
OURS: Final = f"{DIRECTORY}/ifcfg-eth0"
SETTINGS: Final = f"{DIRECTORY}/config"
_FIRST_CARD: Final = """\
# DHCP on the first network card (put in by converter).
BOOTPROTO='dhcp'
STARTMODE='auto'
"""
_DYNAMIC: Final = ("dhcp", "auto")
_AUTOMATIC: Final = frozenset({"auto", "onboot", "boot", "on", "hotplug", "ifplugd", "nfsroot", ""})
_ADDRESS: Final = re.compile(r"IPADDR\w*")
_IGNORED: Final = ("~", ".old", ".bak", ".orig", ".rpmnew", ".rpmsave", ".rpmorig", ".scpmbackup")
_ALIAS: Final = f"{UNITS}/network.service"
_WICKED_UNIT: Final = "wicked.service"


def find_wicked(guest: ReadableGuest) -> NetworkStack | None:
    """Give what wicked configures; None when it is not installed, or not started at boot."""
    alias = guest.lstat(_ALIAS)
    if not services.is_installed(guest, WICKED) or not _has_directory(guest):
        return None
    if alias is not None and alias.kind is FileKind.SYMLINK:
        # NetworkManager takes the same alias where it is used instead.
        started = guest.readlink(_ALIAS).rpartition("/")[2] == _WICKED_UNIT
    else:
        started = services.is_started(guest, WICKED)
    return _stack(guest, WICKED) if started else None


def find_script(guest: ReadableGuest) -> NetworkStack | None:
    """Give what the `network` script configures; None when it is not started, or wicked's alias."""
    if services.is_installed(guest, WICKED) or not _has_directory(guest):
        return None
    settings = shellvars.parse(paths.text(guest, SETTINGS) or "")
    by_networkmanager = settings.get("NETWORKMANAGER") == "yes"
    started = services.is_started(guest, SCRIPT) and not by_networkmanager
    return _stack(guest, SCRIPT) if started else None


def _has_directory(guest: ReadableGuest) -> bool:
    return paths.is_directory(guest, DIRECTORY)


def _stack(guest: ReadableGuest, name: str) -> NetworkStack:
    files = _files(guest)
    return make_stack(name, files, merge(_links(guest, files)))


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan one file with DHCP for the first card; those of the source's cards go."""
    if stack.name == SCRIPT:
        services.require_client(guest, SCRIPT)
    names.keep_kernel_names(guest)
    _release(guest, stack, except_for=OURS)
    changes.write(guest, OURS, _FIRST_CARD)


def let_go(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan that no ifcfg file configures a card."""
    _release(guest, stack)


def _release(guest: RecordingGuest, stack: NetworkStack, *, except_for: str = "") -> None:
    """Plan that the files of cards and the routes over them go."""
    links = dict(zip(stack.files, _links(guest, stack.files), strict=True))
    beside = ("ifroute-", "ifrule-")
    changes.remove_ifcfg(guest, links, beside=beside, except_for=except_for)
    changes.remove(guest, f"{DIRECTORY}/routes")
    _release_settings(guest)


def _release_settings(guest: RecordingGuest) -> None:
    """Plan that the name servers are those that DHCP gives."""
    text = paths.text(guest, SETTINGS)
    if text is None:
        return
    wanted = shellvars.parse(text)
    if wanted.get("NETCONFIG_DNS_STATIC_SERVERS"):
        wanted = wanted.with_value("NETCONFIG_DNS_STATIC_SERVERS", "")
    if (wanted.get("NETCONFIG_DNS_POLICY") or "auto") in {"STATIC", "STATIC_FALLBACK"}:
        wanted = wanted.with_value("NETCONFIG_DNS_POLICY", "auto")
    for key in ("MANDATORY_DEVICES", "LINK_REQUIRED"):
        if wanted.get(key) and wanted.get(key) not in {"no", "auto"}:
            wanted = wanted.with_value(key, "")
    if str(wanted) != text:
        reason = "name servers and cards of the source network are not there on EC2"
        guest.write(SETTINGS, paths.encode(str(wanted)), code=changes.CODE, reason=reason)


# --- reading --------------------------------------------------------------------------------------


def _files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give every file that is read, the loopback's left out."""
    return tuple(
        path
        for path in paths.glob(guest, f"{DIRECTORY}/ifcfg-*")
        if not path.endswith((*_IGNORED, "/ifcfg-lo")) and paths.is_file(guest, path)
    )


def _links(guest: ReadableGuest, files: Iterable[str]) -> list[NetworkLink]:
    return [_link(path, shellvars.parse(paths.text(guest, path) or "")) for path in files]


def _link(path: str, file: ShellVars) -> NetworkLink:
    name = path.rpartition("/ifcfg-")[2]
    return NetworkLink(
        name=name,
        kind=_kind(name, file),
        addresses=tuple(
            item.value for item in file.assignments if _has_address(item.name, item.value)
        ),
        dhcp=(file.get("BOOTPROTO") or "").lower().startswith(_DYNAMIC),
        mac=file.get("LLADDR") or "",
        lower=tuple(_lower(name, file)),
        gateway=bool(file.get("GATEWAY")),
        automatic=(file.get("STARTMODE") or "").lower() in _AUTOMATIC,
    )


def _has_address(name: str, value: str) -> bool:
    return _ADDRESS.fullmatch(name) is not None and bool(value)


def _kind(name: str, file: ShellVars) -> LinkKind:
    if file.get("BONDING_MASTER") == "yes" or file.get("TEAM_RUNNER"):
        return LinkKind.BOND
    if file.get("BRIDGE") == "yes":
        return LinkKind.BRIDGE
    if file.get("ETHERDEVICE") or base_of_name(name):
        return LinkKind.VLAN
    if file.get("TUNNEL") and (file.get("TUNNEL") or "") not in {"tun", "tap"}:
        return LinkKind.TUNNEL
    if any(item.name.startswith("WIRELESS") for item in file.assignments):
        return LinkKind.WIRELESS
    return kind_of_name(name)


def _lower(name: str, file: ShellVars) -> Iterator[str]:
    for item in file.assignments:
        if re.fullmatch(r"BONDING_SLAVE_?\d*|TEAM_PORT_DEVICE_?\d*", item.name) and item.value:
            yield item.value
        elif item.name in {"BRIDGE_PORTS", "ETHERDEVICE"}:
            yield from item.value.split()
    if base_of_name(name):
        yield base_of_name(name)
