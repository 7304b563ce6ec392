"""netplan: /etc/netplan/*.yaml and the vendor's files (netplan(5)).

At every boot systemd makes files for networkd or NetworkManager from them (the renderer). All files
count together; one in /etc hides one of the vendor's with the same name. Instead of being edited,
the one that had the card is written anew: DHCP for every card, and what stays of all files, which
are links that need no card, and the renderer. The others that define links go.

networkd gets cards by the pattern `e*`. NetworkManager's renderer took no patterns before netplan
0.104: there an empty `match` is for every card.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from converter.formats import FormatError, yaml_tree
from converter.guest import paths
from converter.guest.services import is_masked
from converter.model import Finding, LinkKind, NetworkLink, NetworkStack, Severity
from converter.network import changes, services
from converter.network.links import kind_of_name, make_stack, merge, on_cards, primary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.guest.recording import RecordingGuest

NAME: Final = "netplan"
DIRECTORY: Final = "/etc/netplan"
OURS: Final = f"{DIRECTORY}/90-converter.yaml"
NETWORK_MANAGER: Final = "NetworkManager"
_NETWORKD: Final = "networkd"
_VENDOR: Final = ("/usr/lib/netplan", "/lib/netplan")
_HEAD: Final = "# DHCP on whatever network card this machine has (put in by converter).\n"
_HIDING: Final = "network: {version: 2}\n"
_MOST_FILES: Final = 64
_ID: Final = "any-card"
_KINDS: Final = {
    "ethernets": LinkKind.ETHERNET,
    "bonds": LinkKind.BOND,
    "bridges": LinkKind.BRIDGE,
    "vlans": LinkKind.VLAN,
    "wifis": LinkKind.WIRELESS,
    "modems": LinkKind.WIRELESS,
    "tunnels": LinkKind.OTHER,
    "vrfs": LinkKind.OTHER,
    "dummy-devices": LinkKind.OTHER,
    "virtual-ethernets": LinkKind.OTHER,
    "nm-devices": LinkKind.OTHER,
}
_TRUE: Final = frozenset({"true", "yes", "on", "1", "y"})
Trees = dict[str, yaml_tree.Tree]


def find(guest: ReadableGuest) -> NetworkStack | None:
    """Give what netplan configures; None when it is not installed or has no files."""
    if not services.is_installed(guest, NAME):
        return None
    files = _files(guest)
    trees, _ = _read(guest)
    return make_stack(NAME, files, _links(trees)) if files else None


def global_renderer(guest: ReadableGuest) -> str:
    """Give who configures what netplan's files do not say otherwise for; "" without netplan."""
    if not services.is_installed(guest, NAME) or not _files(guest):
        return ""
    return _renderer(_read(guest)[0])


def renderer(guest: ReadableGuest, stack: NetworkStack) -> str:
    """Give who configures the card that the default route goes over."""
    return _renderer_of_primary(_read(guest)[0], stack)


def to_dhcp(guest: RecordingGuest, stack: NetworkStack) -> None:
    """Plan one file with DHCP for every card, in the place of those that configured cards."""
    trees, unreadable = _read(guest)
    chosen = _renderer_of_primary(trees, stack)
    _require_renderer(guest, chosen)
    _note_unreadable(guest, unreadable)
    match = {"name": "e*"} if chosen == _NETWORKD else {}
    ours = {_ID: {"renderer": chosen, "match": match, "dhcp4": "true", "dhcp6": "true"}}
    kept = _kept(trees)
    kept["ethernets"] = {**kept.get("ethernets", {}), **ours}
    link = primary(stack)
    _replace(guest, trees, unreadable, links=kept, name=link.name if link else "")


def let_go(guest: RecordingGuest, _stack: NetworkStack) -> None:
    """Plan that netplan configures no card; who is to configure the rest stays as it is."""
    trees, unreadable = _read(guest)
    going = on_cards(_links(trees))
    if not unreadable and not going:
        return
    _note_unreadable(guest, unreadable)
    _replace(guest, trees, unreadable, links=_kept(trees), name=going[0].name if going else "")


def _replace(
    guest: RecordingGuest,
    trees: Trees,
    unreadable: dict[str, str],
    *,
    links: dict[str, Any],
    name: str,
) -> None:
    """Plan one file in the place of all that define links: the one that defined `name`, or ours.

    What is not said for one link alone stays as it is (the renderer).
    """
    network = {"version": "2", "renderer": _renderer(trees), **links}
    text = _HEAD + yaml_tree.dump({"network": network})
    defining = {
        path: {identifier for _, identifier, _ in _definitions({path: tree})}
        for path, tree in trees.items()
    }
    own = (path for path, names in defining.items() if name in names and path.startswith(DIRECTORY))
    target = next(own, OURS)
    changes.write(guest, target, text, mode=0o600)
    for path, names in defining.items():
        if path != target and names:
            _take_away(guest, path)
    for path in unreadable:
        _take_away(guest, path)


def _take_away(guest: RecordingGuest, path: str) -> None:
    """Plan that a file counts no more: it goes, but for a vendor's, which is hidden by another."""
    if path.startswith(DIRECTORY):
        changes.remove(guest, path)
    else:
        name = path.rpartition("/")[2]
        changes.write(guest, f"{DIRECTORY}/{name}", _HIDING, mode=0o600)


def _require_renderer(guest: RecordingGuest, chosen: str) -> None:
    """Note an error where what netplan hands the card to cannot be started."""
    stack = "networkd" if chosen == _NETWORKD else "networkmanager"
    unit = services.service_of(stack)
    # netplan itself starts networkd; NetworkManager has to be started.
    if is_masked(guest, unit) or (chosen != _NETWORKD and not services.is_started(guest, stack)):
        guest.note(
            Finding(
                Severity.ERROR,
                "network-service-disabled",
                f"netplan leaves the network card to {chosen}, but {unit} is not started",
                f"enable {unit} in the machine (systemctl unmask, enable) and export it again",
            )
        )


def _note_unreadable(guest: RecordingGuest, unreadable: dict[str, str]) -> None:
    for path, fault in unreadable.items():
        guest.note(
            Finding(
                Severity.WARNING,
                "netplan-file-unreadable",
                f"{path}: {fault}; netplan reads nothing beside it, so it was taken away",
                "the original is kept beside it under a hidden name",
            )
        )


# --- reading --------------------------------------------------------------------------------------


def _files(guest: ReadableGuest) -> tuple[str, ...]:
    """Give the files that count, in the order they are read."""
    found: dict[str, str] = {}
    for directory in (DIRECTORY, *_VENDOR):
        for path in paths.glob(guest, f"{directory}/*.yaml"):
            if paths.is_file(guest, path):
                found.setdefault(path.rpartition("/")[2], path)
    return tuple(path for _, path in sorted(found.items()))


def _read(guest: ReadableGuest) -> tuple[Trees, dict[str, str]]:
    """Read every file: what it says, or what is wrong with it."""
    trees: Trees = {}
    unreadable: dict[str, str] = {}
    for number, path in enumerate(_files(guest)):
        try:
            if number >= _MOST_FILES:
                raise FormatError(f"is one of more than {_MOST_FILES} files")  # noqa: TRY301
            trees[path] = _parse(paths.text(guest, path) or "")
        except FormatError as error:
            unreadable[path] = str(error)[:300]
    return trees, unreadable


@lru_cache(maxsize=_MOST_FILES)
def _parse(text: str) -> yaml_tree.Tree:
    """Read a file; the same ones are asked for again while planning."""
    return yaml_tree.parse(text)


def _definitions(trees: Trees) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Give every link: the section it is in, its id, and what is said of it."""
    for tree in trees.values():
        for section in _KINDS:
            for identifier, definition in yaml_tree.mapping(tree, "network", section).items():
                if identifier not in {"renderer", "version"}:
                    yield section, identifier, yaml_tree.mapping(definition)


def _renderer(trees: Trees) -> str:
    found = [yaml_tree.word(tree, "network", "renderer") for tree in trees.values()]
    return next((name for name in reversed(found) if name), _NETWORKD)


def _renderer_of_primary(trees: Trees, stack: NetworkStack) -> str:
    link = primary(stack)
    for section, identifier, definition in _definitions(trees):
        if link is not None and identifier == link.name:
            own = yaml_tree.word(definition, "renderer")
            sections = (yaml_tree.word(t, "network", section, "renderer") for t in trees.values())
            return own or next(filter(None, sections), "") or _renderer(trees)
    return _renderer(trees)


def _links(trees: Trees) -> Sequence[NetworkLink]:
    return merge(_link(*found) for found in _definitions(trees))


def _link(section: str, identifier: str, definition: dict[str, Any]) -> NetworkLink:
    kind = _KINDS[section]
    if section == "ethernets" and kind_of_name(_matched(identifier, definition)) is LinkKind.OTHER:
        kind = LinkKind.OTHER
    lower = (*yaml_tree.words(definition, "interfaces"), *yaml_tree.words(definition, "link"))
    routes = definition.get("routes")
    targets = [yaml_tree.word(r, "to") for r in routes] if isinstance(routes, list) else []
    default = any(to in {"default", "0.0.0.0/0", "::/0"} for to in targets)
    return NetworkLink(
        name=identifier,
        kind=kind,
        addresses=yaml_tree.words(definition, "addresses"),
        dhcp=yaml_tree.word(definition, "dhcp4").lower() in _TRUE,
        mac=yaml_tree.word(definition, "match", "macaddress"),
        lower=lower,
        gateway=default or bool(yaml_tree.word(definition, "gateway4")),
    )


def _matched(identifier: str, definition: dict[str, Any]) -> str:
    """Give the name that a definition is for: its id, unless it matches otherwise."""
    match = definition.get("match")
    if match is None:
        return identifier
    return yaml_tree.word(definition, "match", "name")


def _kept(trees: Trees) -> dict[str, Any]:
    """Give what stays of all files: links that need no card, and settings of the whole."""
    gone = {link.name for link in on_cards(_links(trees))}
    kept: dict[str, Any] = {}
    for section, identifier, definition in _definitions(trees):
        if identifier not in gone:
            links = kept.setdefault(section, {})
            links[identifier] = {**links.get(identifier, {}), **definition}
    return kept
