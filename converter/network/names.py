"""Names of cards: what ties one to a MAC address or a place fits no other card, and goes.

udev's persistent-net rules and their generator (systemd before 209), .link files (systemd.link(5)),
/etc/iftab of ifrename and /etc/mactab of nameif. Rules and .link files that give every card a name
of their own go too, where what is configured for the cards of EC2 would not fit that name.

Where a network stack must know the name of the card beforehand, `keep_kernel_names` makes it
`eth0`: it turns predictable names off in the way that systemd documents, by masking their rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.formats import ini, udev_rules
from converter.guest import paths
from converter.network.links import is_card_name

if TYPE_CHECKING:
    from converter.guest.recording import RecordingGuest

_CODE: Final = "network-name-pin"
_REASON: Final = "names a card that is not there on EC2 by its address or place"
_RULES: Final = "/etc/udev/rules.d"
_LINKS: Final = "/etc/systemd/network"
_VENDOR_LINKS: Final = ("/usr/local/lib/systemd/network", "/usr/lib/systemd/network",
                        "/lib/systemd/network")  # fmt: skip
_VENDOR_RULES: Final = ("/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_TABLES: Final = ("/etc/iftab", "/etc/mactab")
# They write a rule for the first card they see, which then is the only one that is called eth0.
_GENERATORS: Final = ("75-persistent-net-generator.rules",)
# Keys of [Match] that name one card; anything else (Type=, Driver=) says what kind of card.
_PINNING: Final = ("MACAddress", "PermanentMACAddress", "Path")
# What in a rule means one machine's card: its address, its place, or a name it had before.
_MACHINE_KEYS: Final = frozenset({"KERNELS", "DEVPATH", "ID"})
_MACHINE_ATTRIBUTES: Final = frozenset({"address", "dev_id", "dev_port"})
_MACHINE_PROPERTIES: Final = frozenset({"ID_PATH", "ID_NET_NAME_MAC", "MATCHADDR", "MATCHID"})

_PREDICTABLE_RULES: Final = "80-net-name-slot.rules"
_DEFAULT_LINK: Final = "99-default.link"
_KERNEL_NAME_RULE: Final = "/etc/udev/rules.d/70-converter-kernel-names.rules"
_KERNEL_NAME_TEXT: Final = """\
# The first network card is eth0 also when the initramfs gave it another name (converter).
SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1", KERNEL=="en*", NAME="eth0"
"""


def release(guest: RecordingGuest) -> None:
    """Plan that no rule names a card by its address or place any more."""
    for path in paths.glob(guest, f"{_RULES}/*.rules"):
        _release_rules(guest, path)
    for name in _GENERATORS:
        if _is_vendors(guest, _VENDOR_RULES, name) or paths.is_file(guest, f"{_RULES}/{name}"):
            reason = "would tie the name of the first card it sees to the address of that card"
            guest.symlink("/dev/null", f"{_RULES}/{name}", code=_CODE, reason=reason)
    for path in paths.glob(guest, f"{_LINKS}/*.link"):
        if _link_pins(paths.text(guest, path) or ""):
            guest.remove(path, code=_CODE, reason=_REASON)
    for path in _TABLES:
        if paths.is_file(guest, path):
            guest.remove(path, code=_CODE, reason=_REASON)


def keep_kernel_names(guest: RecordingGuest) -> None:
    """Plan that the first card is called eth0, whatever is on the kernel's command line."""
    code = "network-kernel-name"
    reason = "the network is configured by the name of the card, which must be known: eth0"
    predictable = False
    for vendor, name, mask in (
        (_VENDOR_LINKS, _DEFAULT_LINK, f"{_LINKS}/{_DEFAULT_LINK}"),
        (_VENDOR_RULES, _PREDICTABLE_RULES, f"{_RULES}/{_PREDICTABLE_RULES}"),
    ):
        if _is_vendors(guest, vendor, name):
            predictable = True
            guest.symlink("/dev/null", mask, code=code, reason=reason)
    if predictable:
        data = _KERNEL_NAME_TEXT.encode()
        guest.write(_KERNEL_NAME_RULE, data, code=code, reason=reason)


def _is_vendors(guest: RecordingGuest, directories: tuple[str, ...], name: str) -> bool:
    return any(paths.is_file(guest, f"{directory}/{name}") for directory in directories)


def _release_rules(guest: RecordingGuest, path: str) -> None:
    if path == _KERNEL_NAME_RULE:
        return
    rules = udev_rules.parse(paths.text(guest, path) or "")
    wanted = rules.without(_pins)
    if wanted == rules:
        return
    if wanted.is_empty:
        guest.remove(path, code=_CODE, reason=_REASON)
    else:
        guest.write(path, paths.encode(str(wanted)), code=_CODE, reason=_REASON)


def _pins(rule: udev_rules.Rule) -> bool:
    """Tell whether a rule names a network card by what only the source's had, or like no other."""
    terms = rule.terms
    is_net = any(term.key == "SUBSYSTEM" and "net" in term.value.split("|") for term in terms)
    names = [term.value for term in terms if term.key == "NAME" and not term.matches]
    fixed = [name for name in names if name and not name.startswith(("%", "$"))]
    if not is_net or not fixed:
        return False
    return any(_is_of_machine(term) for term in terms) or not is_card_name(fixed)


def _is_of_machine(term: udev_rules.Term) -> bool:
    if not term.matches:
        return False
    if term.key in _MACHINE_KEYS:
        return True
    if term.key in {"ATTR", "ATTRS", "SYSFS"}:
        return term.attribute in _MACHINE_ATTRIBUTES and term.value not in {"0x0", "0"}
    return term.key == "ENV" and term.attribute in _MACHINE_PROPERTIES


def _link_pins(text: str) -> bool:
    """Tell whether a .link file names or addresses one card, or all cards in a way of their own."""
    unit = ini.parse(text)
    fixed = unit.get_all("Link", "Name")[-1:]
    if any(unit.get_all("Match", key) for key in _PINNING):
        return bool(fixed) or bool(unit.get("Link", "MACAddress"))
    kinds = unit.words("Match", "Type")
    if kinds and "ether" not in kinds:
        return False
    address = unit.get("Link", "MACAddress") or unit.get("Link", "MACAddressPolicy") == "random"
    return bool(address) or (bool(fixed) and not is_card_name(fixed))
