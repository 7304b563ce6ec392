"""Whether firewall rules, as they are kept in files, let SSH in from anywhere.

A judgement from text, for a warning and nothing else: rules are not evaluated. Known are the forms
of iptables-save(8), nft(8), ufw's tuples (ufw-framework(8)), firewalld.zone(5) and SuSEfirewall2.
"""

from __future__ import annotations

import re
from typing import Final

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

SSH_PORT: Final = 22
_SSH_WORDS: Final = frozenset({"ssh", "22"})
_TO_CHAIN: Final = re.compile(r"^-A INPUT -j ([\w-]+)\s*$", re.MULTILINE)
_PORTS: Final = re.compile(r"--(?:dport|dports|destination-port)\s+(\S+)")
# Rules for one source or one card.
_SOME_ONLY: Final = re.compile(r"\s(?:-s|--source|-i|--in-interface) (?!0\.0\.0\.0/0)")
# What a chain ends with, or does to what no rule took.
_CLOSING: Final = re.compile(
    r"\bpolicy\s+drop\b|^[ \t]*(?:counter[ \t]+)?(?:drop|reject)\b", re.MULTILINE
)
_NFT_PORTS: Final = re.compile(r"\bdport\s+(\{[^{}]{0,2000}\}|\S+)([^\n;]*)")
_FW_SERVICES: Final = re.compile(r'^FW_(?:SERVICES|CONFIGURATIONS)_EXT(?:_TCP)?="([^"\n]*)"', re.M)


def _names_ssh(ports: str) -> bool:
    """Tell whether a list of ports (`22`, `ssh`, `20:30`, `{ 22, 80 }`, `1-1024`) has SSH's."""
    for item in re.split(r"[,{}\s]+", ports):
        if item.lower() in _SSH_WORDS:
            return True
        ends = re.fullmatch(r"(\d{1,5})[:-](\d{1,5})", item)
        if ends and int(ends[1]) <= SSH_PORT <= int(ends[2]):
            return True
    return False


def iptables_lets_ssh_in(text: str) -> bool:
    """Judge the rules that iptables-save wrote."""
    closed = bool(re.search(r"^:INPUT (?:DROP|REJECT)\b", text, re.MULTILINE))
    chains = {"INPUT", *_TO_CHAIN.findall(text)}
    for line in text.splitlines():
        rule = re.sub(r"^\s*(?:\[\d+:\d+\] )?", "", line)
        match = re.match(r"-A (\S+) (.*)", rule)
        if match is None or match[1] not in chains or _SOME_ONLY.search(rule):
            continue
        ports = _PORTS.search(rule)
        named = ports is not None and _names_ssh(ports[1])
        if match[2].rstrip() == "-j ACCEPT" or (named and re.search(r"-j ACCEPT\b", rule)):
            return True
        closed = closed or bool(re.match(r"-j (?:DROP|REJECT)\b", match[2]))
    return not closed


def nftables_lets_ssh_in(text: str) -> bool:
    """Judge a file of nft(8): a chain on the input hook that drops must accept the port."""
    bare = re.sub(r"#[^\n]*", "", text)
    inputs = [block for block in bare.split("}") if re.search(r"\bhook\s+input\b", block)]
    if not any(_CLOSING.search(block) for block in inputs):
        return True
    return any(_names_ssh(match[1]) and "accept" in match[2] for match in _NFT_PORTS.finditer(bare))


def ufw_lets_ssh_in(rules: str) -> bool:
    """Judge user.rules: `### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in`."""
    for line in rules.splitlines():
        words = line.removeprefix("### tuple ###").split()
        if not line.startswith("### tuple ###") or len(words) < 6:
            continue
        action, protocol, port, _, _, source = words[:6]
        if action.partition(":")[0].split("_")[0] not in ("allow", "limit"):
            continue
        anywhere = source in ("0.0.0.0/0", "::/0", "any")
        if anywhere and protocol in ("tcp", "any") and (port == "any" or _names_ssh(port)):
            return True
    return False


def firewalld_zone_lets_ssh_in(text: str) -> bool:
    """Judge a zone; one that cannot be read is taken to be closed."""
    try:
        zone = ElementTree.fromstring(text)
    except (ElementTree.ParseError, DefusedXmlException, ValueError):
        return False
    if zone.get("target") == "ACCEPT":
        return True
    if any(item.get("name") == "ssh" for item in zone.iterfind("service")):
        return True
    return any(
        item.get("protocol") == "tcp" and _names_ssh(item.get("port") or "")
        for item in zone.iterfind("port")
    )


def susefirewall_lets_ssh_in(text: str) -> bool:
    """Judge /etc/sysconfig/SuSEfirewall2: the services of the external zone."""
    listed = " ".join(_FW_SERVICES.findall(text))
    return "sshd" in listed.split() or _names_ssh(listed)
