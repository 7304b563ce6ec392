from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.guest.memory import MemoryGuest, Node
from converter.inspection.access import inspect_access
from converter.model import FileKind, Severity

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY = "ssh-ed25519 AAAA admin@host\n"
LINK = Node(FileKind.SYMLINK, b"x")
PASSWD = "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/usr/sbin/nologin\n"
GOOD: dict[str, str | Node] = {
    "/usr/sbin/sshd": "\x7fELF",
    "/etc/systemd/system/multi-user.target.wants/ssh.service": LINK,
    "/etc/passwd": f"{PASSWD}admin:x:1000:1000:,,,:/home/admin:/bin/bash\n",
    "/home/admin/.ssh/authorized_keys": KEY,
}
NO_KEY = {"/home/admin/.ssh/authorized_keys": "# none yet\n"}


def codes(files: Mapping[str, str | Node]) -> list[str]:
    findings = inspect_access(MemoryGuest({**GOOD, **files}))
    assert all(finding.severity is Severity.WARNING for finding in findings)
    return [finding.code for finding in findings]


def test_nothing_is_said_of_a_guest_that_can_be_reached() -> None:
    assert codes({}) == []


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"/etc/systemd/system/ssh.service": Node(FileKind.SYMLINK, b"/dev/null")},
         ["ssh-server-disabled"]),
        ({"/etc/ssh/sshd_not_to_be_run": ""}, ["ssh-server-disabled"]),
        ({"/etc/ssh/sshd_config": "Port 2222\n"}, ["ssh-port"]),
        ({"/etc/ssh/sshd_config": "Port 2222\nPort 22\n"}, []),
        ({"/etc/ssh/sshd_config": "ListenAddress 192.168.10.5\n"}, ["ssh-listen-address"]),
        ({"/etc/ssh/sshd_config": "ListenAddress 10.0.0.5:22\nListenAddress fe80::1\n"},
         ["ssh-listen-address"]),
        ({"/etc/ssh/sshd_config": "ListenAddress 10.0.0.5\nListenAddress 0.0.0.0:22\n"}, []),
        ({"/etc/ssh/sshd_config": "ListenAddress ::\n"}, []),
        ({"/etc/ssh/sshd_config": "ListenAddress [::]:22\n"}, []),
        ({"/etc/ssh/sshd_config": "AllowUsers x\nAllowUsers admin\n"}, []),
        (NO_KEY, ["ssh-no-key-user"]),
        ({"/etc/passwd": PASSWD, "/root/.ssh/authorized_keys": KEY}, ["ssh-no-key-user"]),
        ({"/etc/ssh/sshd_config": "AllowUsers root\n"}, ["ssh-no-key-user"]),
        ({"/etc/ssh/sshd_config": "DenyUsers adm*\n"}, ["ssh-no-key-user"]),
        ({"/etc/ssh/sshd_config": "AuthorizedKeysFile /keys/%u\n"}, ["ssh-no-key-user"]),
        ({"/etc/ssh/sshd_config": "AuthorizedKeysFile /keys/%u\n", "/keys/admin": KEY}, []),
        ({**NO_KEY, "/etc/ssh/sshd_config": "AuthorizedKeysCommand /usr/bin/sss_ssh %u\n"}, []),
        ({**NO_KEY, "/usr/bin/cloud-init": ""}, []),
        ({"/etc/ufw/ufw.conf": "ENABLED=yes\n", "/etc/ufw/user.rules": "*filter\n"},
         ["firewall-blocks-ssh"]),
        ({"/etc/ufw/ufw.conf": "ENABLED=no\n"}, []),
        ({"/etc/ufw/ufw.conf": "ENABLED=yes\n",
          "/etc/default/ufw": 'DEFAULT_INPUT_POLICY="ACCEPT"\n'}, []),
        ({"/etc/systemd/system/multi-user.target.wants/firewalld.service": LINK,
          "/usr/lib/firewalld/zones/public.xml": '<zone><service name="ssh"/></zone>'}, []),
        ({"/etc/systemd/system/multi-user.target.wants/firewalld.service": LINK,
          "/etc/firewalld/firewalld.conf": "DefaultZone=drop\n",
          "/usr/lib/firewalld/zones/drop.xml": '<zone target="DROP"/>'}, ["firewall-blocks-ssh"]),
        ({"/etc/sysconfig/iptables": ":INPUT DROP [0:0]\n"}, []),
        ({"/etc/sysconfig/iptables": ":INPUT DROP [0:0]\n",
          "/etc/systemd/system/basic.target.wants/iptables.service": LINK},
         ["firewall-blocks-ssh"]),
        ({"/etc/nftables.conf": "table inet f { chain i { type filter hook input priority 0;"
                                " policy drop; } }",
          "/etc/systemd/system/sysinit.target.wants/nftables.service": LINK},
         ["firewall-blocks-ssh"]),
    ],
)  # fmt: skip
def test_what_keeps_somebody_out(files: dict[str, str | Node], expected: list[str]) -> None:
    assert codes(files) == expected


def test_a_guest_without_a_server() -> None:
    (finding,) = inspect_access(MemoryGuest())
    assert finding.code == "ssh-server-missing"
    assert finding.hint
