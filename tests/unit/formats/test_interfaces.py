"""interfaces(5): what ifupdown reads, and that everything else survives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.formats import interfaces

PIECES = st.sampled_from([
    "auto lo\n", "iface lo inet loopback\n", "iface eth0 inet static\n", "\taddress 10.0.0.5/24\n",
    "# comment\n", "# comment \\\n", "\n", "source /etc/network/interfaces.d/*\n", "auto eth0 \\\n",
    "source-directory interfaces.d\n", "mapping eth0\n", "  script /bin/x\n", "allow-hotplug /e*\n",
    "\\\n", " \\", "rename eth0=lan0\n", "\udcff\n", "iface\n", "no-scripts eth0\n", "auto\x85lo\n",
])  # fmt: skip
FILES = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=60))


@given(FILES)
def test_a_file_survives_byte_for_byte(text: str) -> None:
    assert str(interfaces.parse(text)) == text


@given(FILES)
def test_taking_interfaces_away_is_done_once_and_leaves_comments(text: str) -> None:
    parsed = interfaces.parse(text)
    once = str(parsed.only({"lo"}))
    assert str(interfaces.parse(once).only({"lo"})) == once
    assert {stanza.name for stanza in interfaces.parse(once).ifaces} <= {"lo"}
    comments = [line for line in text.split("\n") if line.startswith("# comment")]
    assert all(comment in once for comment in comments if not text.count("\\"))


def test_stanzas_have_names_families_methods_and_options() -> None:
    file = interfaces.parse(
        "auto lo eth0\nallow-hotplug eth1\n"
        "iface eth0 inet static\n  address 10.0.0.5/24\n  bridge_ports eth1 eth2\n"
        "iface eth1 inet6 auto\n"
    )
    first, second = file.ifaces
    assert (first.name, first.family, first.method) == ("eth0", "inet", "static")
    assert first.options == (("address", ("10.0.0.5/24",)), ("bridge-ports", ("eth1", "eth2")))
    assert first.values("bridge-ports") == ("eth1", "eth2")
    assert (second.family, second.method) == ("inet6", "auto")
    assert file.allowed == ("lo", "eth0", "eth1")


@pytest.mark.parametrize(
    ("text", "inherits", "method"),
    [
        ("iface eth0 inet static inherits lan\n", "lan", "static"),
        ("iface eth0 inherits lan\n", "lan", ""),
        ("iface eth0 inet dhcp inherits\n", "", "dhcp"),
        ("iface inherits inet dhcp\n", "", "dhcp"),
        ("iface eth0\n", "", ""),
        ("iface\n", "", ""),
    ],
)
def test_a_stanza_can_inherit(text: str, inherits: str, method: str) -> None:
    (stanza,) = interfaces.parse(text).ifaces
    assert (stanza.inherits, stanza.method) == (inherits, method)


def test_a_comment_is_not_continued() -> None:
    # ifquery of ifupdown 0.8.41 reads both lines after the comment.
    file = interfaces.parse("# old \\\nauto eth0\niface eth0 inet dhcp\n")
    assert file.allowed == ("eth0",)


def test_a_line_is_continued_without_a_blank_and_past_what_looks_like_a_comment() -> None:
    file = interfaces.parse("auto eth\\\n0 \\\n# eth1\niface eth0 \\\n inet dhcp\n")
    assert file.allowed == ("eth0", "#", "eth1")
    assert file.ifaces[0].method == "dhcp"


def test_only_the_very_last_character_continues_a_line() -> None:
    file = interfaces.parse("auto eth0 \\ \niface eth1 inet dhcp\n")
    assert [stanza.name for stanza in file.ifaces] == ["eth1"]
    # ... be it escaped or not.
    file = interfaces.parse("iface eth0 inet dhcp\n up echo \\\\\nauto eth1\n")
    assert file.allowed == ()


def test_blanks_are_those_of_the_c_locale() -> None:
    file = interfaces.parse("auto\teth0\x0beth1\r\niface eth0\u00a0x inet dhcp\r\n")
    assert file.allowed == ("eth0", "eth1")
    assert file.ifaces[0].name == "eth0\u00a0x"


def test_sources_are_files_or_directories() -> None:
    file = interfaces.parse("source /a/* b\nsource-directory c\nsource-dir d\nsource\n")
    assert [(source.pattern, source.directory) for source in file.sources] == [
        ("/a/*", False),
        ("b", False),
        ("c", True),
        ("d", True),
    ]


def test_only_keeps_the_loopback_sources_and_comments() -> None:
    text = (
        "garbage that ifupdown refuses\n# first\nsource /etc/network/interfaces.d/*\n\n"
        "auto lo eth0\nallow-hotplug eth0\n"
        "iface lo inet loopback\n\tup ip route add 10.0.0.0/8 dev lo\n\n"
        "# the card\niface eth0 inet static\n\taddress 10.0.0.5\n\t# note\n\tgateway 10.0.0.1\n"
        "mapping eth0\n\tscript /bin/x\nrename eth0=lan0\nno-auto-down eth0 lo\n"
    )
    assert str(interfaces.parse(text).only({"lo"})) == (
        "# first\nsource /etc/network/interfaces.d/*\n\nauto lo\n"
        "iface lo inet loopback\n\tup ip route add 10.0.0.0/8 dev lo\n\n"
        "# the card\n\t# note\nno-auto-down lo\n"
    )


def test_a_hostile_file_is_read_in_time_that_follows_its_size() -> None:
    for text in ("\\\n" * 5_000, "iface x\n" * 5_000, "auto \\\n" * 5_000, "\\" * 100_000):
        assert str(interfaces.parse(text)) == text
        assert interfaces.parse(text).allowed is not None


@pytest.mark.parametrize("end", ["", "auto a", "\\"])
def test_blank_lines_are_one(end: str) -> None:
    text = "\n \n\t\n" * 1000
    file = interfaces.parse(f"{text}auto lo\n{text}{end}")
    assert str(file) == f"{text}auto lo\n{text}{end}"
    assert [line.text for line in file.head] == [text]
    assert file.stanzas[0].lines[1].text == text
    assert file.allowed == (("lo", "a") if end == "auto a" else ("lo",))
