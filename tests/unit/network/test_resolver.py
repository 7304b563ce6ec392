"""resolv.conf(5): name servers of the source's network give way, and nothing else does."""

from __future__ import annotations

import pytest

from converter.guest.memory import Node
from converter.model import FileKind
from tests.unit.network.guests import IFUPDOWN, NETWORKD, NETWORKMANAGER, converted, link, started

PATH = "/etc/resolv.conf"
OLD = "# by hand\nsearch example.com\nnameserver 10.0.0.2\nnameserver 192.168.1.1\noptions rotate\n"
VPC = "nameserver 169.254.169.253\n"


def test_networkd_alone_writes_no_resolv_conf() -> None:
    done = converted({**NETWORKD, PATH: OLD})
    assert done.text(PATH) == f"# by hand\nsearch example.com\noptions rotate\n{VPC}"


def test_servers_that_are_reached_from_anywhere_stay() -> None:
    for text in (
        "nameserver 8.8.8.8\n",
        "nameserver 127.0.0.53\n",
        "nameserver ::1\n",
        VPC,
        "",
        "x",
    ):
        assert converted({**NETWORKD, PATH: text}).text(PATH) == text
    mixed = converted({**NETWORKD, PATH: "nameserver 10.0.0.2\nnameserver 8.8.8.8"})
    assert mixed.text(PATH) == f"nameserver 8.8.8.8\n{VPC}"


def test_private_ipv6_servers_go_too() -> None:
    text = "nameserver fd00::53\nnameserver fe80::1%ens192\n"
    assert converted({**NETWORKD, PATH: text}).text(PATH) == VPC


def test_resolved_is_asked_where_it_runs() -> None:
    done = converted({**NETWORKD, **started("systemd-resolved.service"), PATH: OLD})
    assert done.guest.readlink(PATH) == "../run/systemd/resolve/stub-resolv.conf"
    assert done.text("/etc/.resolv.conf.converter-orig") == OLD


def test_no_client_writes_to_what_is_immutable() -> None:
    fixed = Node(FileKind.FILE, OLD.encode(), is_immutable=True)
    done = converted({**IFUPDOWN, PATH: fixed})
    assert "nameserver 169.254.169.253\n" in done.text(PATH)
    assert "nameserver 10." not in done.text(PATH)
    fixed = Node(FileKind.FILE, b"nameserver 9.9.9.9\n", is_immutable=True)
    assert converted({**IFUPDOWN, PATH: fixed}).text(PATH) == "nameserver 9.9.9.9\n"


@pytest.mark.parametrize(
    ("files", "name"),
    [
        ({"/etc/systemd/resolved.conf": "no"}, "resolv.conf"),
        ({"/etc/systemd/resolved.conf.d/dns.conf": "False"}, "resolv.conf"),
        ({"/usr/lib/systemd/resolved.conf.d/a.conf": "no"}, "resolv.conf"),
        ({"/usr/lib/systemd/resolved.conf": "no"}, "resolv.conf"),
        ({"/etc/systemd/resolved.conf": "yes", "/usr/lib/systemd/resolved.conf": "no"}, ""),
        ({"/etc/systemd/resolved.conf": "udp"}, ""),
        (
            {
                "/etc/systemd/resolved.conf": "no",
                "/usr/lib/systemd/resolved.conf.d/b.conf": "yes",
            },
            "",
        ),
        (
            {
                "/usr/lib/systemd/resolved.conf.d/a.conf": "no",
                "/etc/systemd/resolved.conf.d/a.conf": "yes",
            },
            "",
        ),
    ],
)
def test_resolved_may_not_listen(files: dict[str, str], name: str) -> None:
    settings = {path: f"[Resolve]\nDNSStubListener={value}\n" for path, value in files.items()}
    done = converted({**NETWORKD, **started("systemd-resolved.service"), PATH: OLD, **settings})
    assert done.guest.readlink(PATH) == f"../run/systemd/resolve/{name or 'stub-resolv.conf'}"


@pytest.mark.parametrize("target", ["../run/systemd/resolve/stub-resolv.conf", "/run/resolvconf/x"])
def test_a_link_is_left_to_who_writes_it(target: str) -> None:
    done = converted({**NETWORKD, **started("systemd-resolved.service"), PATH: link(target)})
    assert done.guest.readlink(PATH) == target
    assert converted({**NETWORKD, PATH: link(target)}).guest.readlink(PATH) == target


def test_other_dhcp_clients_write_the_file_themselves() -> None:
    assert converted({**IFUPDOWN, PATH: OLD}).text(PATH) == OLD
    assert converted({**NETWORKMANAGER, PATH: OLD}).text(PATH) == OLD


@pytest.mark.parametrize("line", ["dns=none", "rc-manager=unmanaged"])
def test_networkmanager_can_be_told_not_to(line: str) -> None:
    conf = {"/etc/NetworkManager/conf.d/90-dns.conf": f"[main]\n{line}\n"}
    assert VPC in converted({**NETWORKMANAGER, **conf, PATH: OLD}).text(PATH)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/dhcp/dhclient.conf", "supersede domain-name-servers 10.0.0.2, 8.8.8.8;\n"),
        ("/etc/dhcp/dhclient.conf", "  prepend domain-name-servers 10.0.0.2;\n"),
        ("/etc/resolvconf/resolv.conf.d/head", "nameserver 10.0.0.2\n"),
        ("/etc/systemd/resolved.conf", "[Resolve]\nDNS=10.0.0.2#dns.example.com 8.8.8.8\n"),
        ("/etc/systemd/resolved.conf.d/x.conf", "[Resolve]\nDNS=10.0.0.2\n"),
    ],
)
def test_servers_that_are_asked_besides_are_named(path: str, text: str) -> None:
    done = converted({**IFUPDOWN, path: text})
    assert f"{path} names the name server 10.0.0.2," in done.message("network-dns-fixed")
    assert done.text(path) == text


def test_servers_in_comments_are_not() -> None:
    text = "#supersede domain-name-servers 10.0.0.2;\n"
    assert converted({**IFUPDOWN, "/etc/dhcp/dhclient.conf": text}).findings == ()
