"""Rules as the distributions' own files have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import firewall

EL6 = """\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
-A INPUT -m state --state ESTABLISHED,RELATED -j ACCEPT
-A INPUT -p icmp -j ACCEPT
-A INPUT -i lo -j ACCEPT
-A INPUT -m state --state NEW -m tcp -p tcp --dport 22 -j ACCEPT
-A INPUT -j REJECT --reject-with icmp-host-prohibited
COMMIT
"""
EL5 = """\
:INPUT ACCEPT [0:0]
:RH-Firewall-1-INPUT - [0:0]
-A INPUT -j RH-Firewall-1-INPUT
-A RH-Firewall-1-INPUT -i lo -j ACCEPT
-A RH-Firewall-1-INPUT -m state --state NEW -m tcp -p tcp --dport 22 -j ACCEPT
-A RH-Firewall-1-INPUT -j REJECT --reject-with icmp-host-prohibited
"""
SSH_LINE = "--dport 22 -j ACCEPT"


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (EL6, True),
        (EL6.replace("--dport 22 ", "--dport 80 "), False),
        (EL6.replace("--dport 22 ", "-s 10.0.0.0/8 --dport 22 "), False),
        (EL6.replace("-p tcp --dport 22", "-p tcp -m multiport --dports 80,20:30"), True),
        (EL6.replace("-A", "[12:345] -A"), True),
        (EL5, True),
        (EL5.replace("--dport 22", "--dport 443"), False),
        (":INPUT DROP [0:0]\n", False),
        (":INPUT ACCEPT [0:0]\n-A INPUT -p tcp --dport 25 -j DROP\n", True),
        (":INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\n", False),
        (":INPUT DROP [0:0]\n-A INPUT -j ACCEPT\n", True),
        (":INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n-A FORWARD -j REJECT\n", True),
        ("", True),
    ],
)
def test_iptables(rules: str, *, expected: bool) -> None:
    assert firewall.iptables_lets_ssh_in(rules) is expected


NFT = """\
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        iif lo accept
        tcp dport PORTS accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
}
"""


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (NFT.replace("PORTS", "22"), True),
        (NFT.replace("PORTS", "ssh"), True),
        (NFT.replace("PORTS", "{ 80, 22 }"), True),
        (NFT.replace("PORTS", "1-1024"), True),
        (NFT.replace("PORTS", "443"), False),
        (NFT.replace("        tcp dport PORTS", "        # tcp dport 22"), False),
        (
            NFT.replace("input priority filter; policy drop", "input priority 0; policy accept"),
            True,
        ),
        (
            "table inet filter {\n chain input {\n  type filter hook input priority 0;\n }\n}\n",
            True,
        ),
        ("", True),
    ],
)
def test_nftables(rules: str, *, expected: bool) -> None:
    assert firewall.nftables_lets_ssh_in(rules) is expected


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in", True),
        ("allow any any 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 80,22 0.0.0.0/0 any 0.0.0.0/0 in", True),
        ("allow tcp 22 0.0.0.0/0 any 10.0.0.0/8 in", False),
        ("deny tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow udp 22 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("route:allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in", False),
        ("allow", False),
    ],
)
def test_ufw(rule: str, *, expected: bool) -> None:
    text = f"*filter\n### RULES ###\n\n### tuple ### {rule}\n-A ufw-user-input -j ACCEPT\n"
    assert firewall.ufw_lets_ssh_in(text) is expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ('<?xml version="1.0" encoding="utf-8"?>\n<zone><service name="ssh"/></zone>', True),
        ('<zone><port protocol="tcp" port="20-30"/></zone>', True),
        ('<zone target="ACCEPT"/>', True),
        ('<zone target="DROP"><service name="http"/></zone>', False),
        ('<zone><port protocol="udp" port="22"/></zone>', False),
        ("<zone>", False),
        ('<!DOCTYPE z [<!ENTITY a "b">]><zone><service name="ssh"/>&a;</zone>', False),
        ("", False),
    ],
)
def test_firewalld(zone: str, *, expected: bool) -> None:
    assert firewall.firewalld_zone_lets_ssh_in(zone) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('FW_SERVICES_EXT_TCP="ssh"\n', True),
        ('FW_SERVICES_EXT_TCP="80 22"\n', True),
        ('FW_CONFIGURATIONS_EXT="apache2 sshd"\n', True),
        ('FW_SERVICES_EXT_TCP="http"\nFW_SERVICES_INT_TCP="ssh"\n', False),
        ("", False),
    ],
)
def test_susefirewall(text: str, *, expected: bool) -> None:
    assert firewall.susefirewall_lets_ssh_in(text) is expected


@given(st.text(max_size=200))
def test_any_text_is_judged(text: str) -> None:
    firewall.iptables_lets_ssh_in(text)
    firewall.nftables_lets_ssh_in(text)
    firewall.ufw_lets_ssh_in(text)
    firewall.firewalld_zone_lets_ssh_in(text)
    firewall.susefirewall_lets_ssh_in(text)
