"""ifupdown: /etc/network/interfaces and the files it sources (interfaces(5)).

Any card gets DHCP by `allow-hotplug /e*`, a pattern over the names that exist, and a `mapping` that
gives every one of them the same stanza. (`auto /e*=…` would be shorter, but networking.service
then looks before udev has found the card; and hotplug cannot find a `/e*=…` name again.)

ifupdown before 0.8.20, ifupdown2 and ifupdown-ng know no patterns of names: there the first card
keeps the kernel's name (`names.keep_kernel_names`), and `eth0` gets DHCP.

Limits: what `pre-up` and the like do besides is not carried over; it is reported. Files are found
by shell patterns, not by the other expansions of wordexp(3).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import interfaces, shellvars
from converter.guest import paths
from converter.model import Finding, LinkKind, NetworkLink, NetworkStack, Severity
from converter.network import changes, names, services
from converter.network.links import base_of_name, is_card_name, kind_of_name, make_stack, on_cards
from converter.network.links import merge as merge_links

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

NAME: Final = "ifupdown"
CONFIG: Final = "/etc/network/interfaces"
# With dots in its name neither `source *` nor `source-directory` take it for a file of stanzas.
SCRIPT: Final = "/etc/network/.converter-any-interface.sh"
DEFAULTS: Final = "/etc/default/networking"
_HOTPLUG_RULES: Final = (
    "/lib/udev/rules.d/80-ifupdown.rules",
    "/usr/lib/udev/rules.d/80-ifupdown.rules",
)
_OTHER_IFUPDOWNS: Final = ("/usr/share/ifupdown2", "/etc/network/ifupdown2", "/lib/ifupdown-ng")
_TUNNELS: Final = frozenset({"ppp", "wvdial", "tunnel", "v4tunnel", "6to4"})
_OVS_TYPE: Final = "ovs-type"
# Links on a bridge of Open vSwitch's, not what it is made of.
_OVS_ABOVE: Final = frozenset({"OVSIntPort"})
_DYNAMIC: Final = frozenset({"dhcp", "bootp", "auto"})
_HOOKS: Final = ("pre-up", "up", "post-up")
_PATTERNS_SINCE: Final = (0, 8, 20)
_MOST_FILES: Final = 256
_PACKAGE: Final = re.compile(
    r"^Package: ifupdown\n(?:(?!Package:).+\n)*?Version: ([\d.]+)", re.MULTILINE
)
_FROM_DIRECTORY: Final = re.compile(r"[A-Za-z0-9_-]+")

_SCRIPT_TEXT: Final = """\
#!/bin/sh
# For the mapping in /etc/network/interfaces: every card has the stanza "primary".
echo primary
"""
_ANY_CARD: Final = f"""\
# DHCP on whatever network card this machine has (put in by converter).
allow-hotplug /e*
mapping e*
    script {SCRIPT}
iface primary inet dhcp
"""
_FIRST_CARD: Final = """\
# DHCP on the first network card (put in by converter).
auto eth0
iface eth0 inet dhcp
"""


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what ifupdown configures; None when it is not installed, or not started at boot."""
    if not services.is_installed(guest, NAME) or _is_switched_off(guest):
        return None
    files = _files(guest)
    parsed = [_parse(guest, path) for path in files]
    hotplug = any(paths.is_file(guest, path) for path in _HOTPLUG_RULES) and any(
        stanza.keyword == "allow-hotplug" for file in parsed for stanza in file.stanzas
    )
    if not services.is_started(guest, NAME) and not hotplug:
        return None
    return make_stack(NAME, files, _links(parsed))


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan DHCP on any card: stanzas of cards go; comments, the loopback and VPNs stay."""
    services.require_client(guest, NAME)
    _release_defaults(guest)
    block = _ANY_CARD if _knows_patterns(guest) else _FIRST_CARD
    if block is _ANY_CARD:
        reason = "maps whatever card there is to the one DHCP stanza"
        guest.write(SCRIPT, _SCRIPT_TEXT.encode(), code=changes.CODE, reason=reason, mode=0o755)
    else:
        names.keep_kernel_names(guest)
    _rewrite(guest, stack, block)


def let_go(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan that ifupdown configures no card."""
    _rewrite(guest, stack, "")


def _rewrite(guest: RecordingGuest, stack: NetworkStack, block: str) -> None:
    parsed = {path: interfaces.parse(_without_ours(guest, path)) for path in stack.files}
    kept = _kept(list(parsed.values()))
    _note_hooks(guest, parsed, kept)
    for path in stack.files:
        wanted = str(parsed[path].only(kept))
        _write(guest, path, wanted, block if path == stack.files[0] else "")
    if block and not stack.files:
        _write(guest, CONFIG, "", block)


def _without_ours(guest: ReadableGuest, path: str) -> str:
    text = paths.text(guest, path) or ""
    return text.replace(_ANY_CARD, "").replace(_FIRST_CARD, "")


def _write(guest: RecordingGuest, path: str, wanted: str, block: str) -> None:
    if block:
        wanted = f"{wanted.rstrip()}\n\n{block}" if wanted.strip() else block
    changes.write(guest, path, wanted)


def _kept(files: list[interfaces.Interfaces]) -> set[str]:
    """Give the names whose stanzas stay, and of what they inherit from."""
    links = _links(files)
    gone = {link.name for link in on_cards(links)}
    kept = {link.name for link in links if link.name not in gone} | {"lo"}
    stanzas = [stanza for file in files for stanza in file.ifaces]
    kept |= {stanza.name for stanza in stanzas if _is_loopback(stanza)}
    parents = {stanza.name: stanza.inherits for stanza in stanzas if stanza.inherits}
    for name in [*kept]:
        parent = parents.get(name, "")
        while parent and parent not in kept:
            kept.add(parent)
            parent = parents.get(parent, "")
    return kept


def _note_hooks(
    guest: RecordingGuest, files: dict[str, interfaces.Interfaces], kept: set[str]
) -> None:
    """Name the commands that were run with a card, and are not any more."""
    for path, file in files.items():
        for stanza in file.ifaces:
            commands = [" ".join(words) for name, words in stanza.options if name in _HOOKS]
            if stanza.name not in kept and commands:
                shown = "; ".join(commands)[:500]
                guest.note(
                    Finding(
                        Severity.WARNING,
                        "network-hook-dropped",
                        f"{path}: {stanza.name} ran commands that are not run any more: {shown}",
                        "where they are still wanted, add them to the stanza of the new card",
                    )
                )


# --- reading --------------------------------------------------------------------------------------


def _links(files: list[interfaces.Interfaces]) -> tuple[NetworkLink, ...]:
    allowed = {name.partition("=")[0] for file in files for name in file.allowed}
    members: dict[str, list[str]] = {}
    stanzas = [stanza for file in files for stanza in file.ifaces if not _is_loopback(stanza)]
    for stanza in stanzas:
        in_switch = () if _OVS_ABOVE & {*stanza.values(_OVS_TYPE)} else ("ovs-bridge",)
        for master in stanza.values("bond-master", *in_switch):
            members.setdefault(master, []).append(stanza.name)
    ours = any(file.allowed and "/e*" in file.allowed for file in files)
    return merge_links(_link(stanza, members, allowed, ours=ours) for stanza in stanzas)


def _link(
    stanza: interfaces.Stanza, members: dict[str, list[str]], allowed: set[str], *, ours: bool
) -> NetworkLink:
    ovs = stanza.values(_OVS_TYPE)
    kind, lower = _of_openvswitch(stanza, ovs[0]) if ovs else _made_of(stanza)
    static = stanza.values("address") if stanza.method not in _DYNAMIC else ()
    return NetworkLink(
        name=stanza.name,
        kind=kind,
        addresses=static[:1],
        dhcp=stanza.method == "dhcp",
        mac=next((word for word in stanza.values("hwaddress") if ":" in word), ""),
        lower=tuple(dict.fromkeys((*lower, *members.get(stanza.name, ())))),
        gateway=bool(stanza.values("gateway")),
        automatic=stanza.name in allowed or (ours and stanza.name == "primary"),
    )


def _made_of(stanza: interfaces.Stanza) -> tuple[LinkKind, tuple[str, ...]]:
    """Tell what a stanza's link is, and what it is made of, by its options and its name."""
    options = {name for name, _ in stanza.options}
    none = {"none"}
    if "bridge-ports" in options:
        ports = stanza.values("bridge-ports")
        return LinkKind.BRIDGE, () if set(ports) <= none else ports
    if options & {"bond-slaves", "slaves", "bond-mode", "bond-miimon"}:
        slaves = stanza.values("bond-slaves", "slaves")
        return LinkKind.BOND, tuple(name for name in slaves if name not in none)
    base = stanza.values("vlan-raw-device")[:1] or tuple(filter(None, [base_of_name(stanza.name)]))
    if base:
        return LinkKind.VLAN, base
    if stanza.method in _TUNNELS:
        return LinkKind.TUNNEL, ()
    if any(name.startswith(("wpa-", "wireless-")) for name in options):
        return LinkKind.WIRELESS, ()
    return kind_of_name(stanza.name), ()


def _of_openvswitch(stanza: interfaces.Stanza, kind: str) -> tuple[LinkKind, tuple[str, ...]]:
    """Tell what a link of Open vSwitch's is (its README.Debian)."""
    if kind == "OVSBridge":
        return LinkKind.BRIDGE, stanza.values("ovs-ports")
    if kind == "OVSBond":
        return LinkKind.BOND, stanza.values("ovs-bonds")
    if kind in _OVS_ABOVE:
        return LinkKind.VLAN, stanza.values("ovs-bridge")
    return kind_of_name(stanza.name), ()


def _is_loopback(stanza: interfaces.Stanza) -> bool:
    return stanza.method == "loopback" or re.fullmatch(r"lo(:.*)?", stanza.name) is not None


def _files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give the main file and what it sources, nested ones too, each once, by their real names."""
    found: dict[str, None] = {}
    waiting = [CONFIG]
    while waiting and len(found) < _MOST_FILES:
        path = waiting.pop(0)
        if not paths.is_file(guest, path):
            continue
        real = paths.resolve(guest, path)
        if real not in found:
            found[real] = None
            waiting += _sourced(guest, path)
    return tuple(found)


def _sourced(guest: ReadableGuest, path: str) -> Iterator[str]:
    directory = path.rpartition("/")[0]
    for source in _parse(guest, path).sources:
        pattern = source.pattern
        absolute = pattern if pattern.startswith("/") else f"{directory}/{pattern}"
        for place in paths.glob(guest, absolute):
            if not source.directory:
                yield place
                continue
            names_there = paths.names(guest, place)
            yield from (f"{place}/{n}" for n in names_there if _FROM_DIRECTORY.fullmatch(n))


def _parse(guest: ReadableGuest, path: str) -> interfaces.Interfaces:
    return interfaces.parse(paths.text(guest, path) or "")


def _knows_patterns(guest: ReadableGuest) -> bool:
    if any(paths.kind(guest, path) is not None for path in _OTHER_IFUPDOWNS):
        return False
    status = paths.text(guest, "/var/lib/dpkg/status", limit=64 << 20) or ""
    entry = _PACKAGE.search(status)
    if entry is None:
        return False
    return tuple(int(part) for part in re.findall(r"\d{1,6}", entry[1])[:3]) >= _PATTERNS_SINCE


# --- /etc/default/networking ----------------------------------------------------------------------


def _is_switched_off(guest: ReadableGuest) -> bool:
    text = paths.text(guest, DEFAULTS)
    return text is not None and shellvars.parse(text).get("CONFIGURE_INTERFACES") == "no"


def _release_defaults(guest: RecordingGuest) -> None:
    """Plan that no card is left out or waited for that ifupdown was told of by its name."""
    text = paths.text(guest, DEFAULTS)
    if text is None:
        return
    wanted = shellvars.parse(text)
    if is_card_name((wanted.get("EXCLUDE_INTERFACES") or "").split()):
        wanted = wanted.with_value("EXCLUDE_INTERFACES", "")
    if wanted.get("WAIT_ONLINE_IFACE"):
        wanted = wanted.with_value("WAIT_ONLINE_IFACE", "")
    if wanted.get("WAIT_ONLINE_ADDRESS") and wanted.get("WAIT_ONLINE_METHOD") != "ifup":
        wanted = wanted.with_value("WAIT_ONLINE_METHOD", "ifup")
    reason = "cards and addresses of the source network would be waited for"
    guest.write(DEFAULTS, paths.encode(str(wanted)), code="network-wait", reason=reason)
