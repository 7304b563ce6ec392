from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestError
from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.storage import Storage
from converter.model import FileKind, Mount, Plan
from converter.steps import generalize
from converter.steps.step import Context, Options
from tests.unit.samples import FACTS

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_BOOT = "[Unit]\nConditionFirstBoot=yes\n"
KEYS = {"/etc/ssh/ssh_host_rsa_key": "PRIVATE", "/etc/ssh/ssh_host_rsa_key.pub": "ssh-rsa AAAA"}


def plan(guest: MemoryGuest, *, asked: bool = True) -> Plan:
    facts = replace(FACTS, esps=(Mount("/efi", "/dev/sda9", "vfat"),))
    recording = RecordingGuest(guest)
    context = Context(recording, facts, Storage((), (), ()), Options(generalize=asked))
    generalize.STEP.run(context)
    return recording.plan


def made(guest: MemoryGuest) -> Plan:
    done = plan(guest)
    replay(done, guest, progress=lambda _fraction: None)
    assert plan(guest).changes == ()
    return done


def guest(files: Mapping[str, str | bytes | Node]) -> MemoryGuest:
    return MemoryGuest({"/etc/machine-id": "0123456789abcdef0123456789abcdef\n", **files})


def test_nothing_is_reset_unless_asked_for() -> None:
    assert plan(guest(KEYS), asked=False) == Plan(())


def test_the_machine_id_is_empty_and_there() -> None:
    found = guest({"/var/lib/dbus/machine-id": "0123\n"})
    made(found)
    assert found.read("/etc/machine-id") == b""
    assert found.lstat("/var/lib/dbus/machine-id") is None


def test_a_link_to_the_machine_id_stays() -> None:
    found = guest({"/var/lib/dbus/machine-id": Node(FileKind.SYMLINK, b"/etc/machine-id")})
    made(found)
    assert found.readlink("/var/lib/dbus/machine-id") == "/etc/machine-id"


@pytest.mark.parametrize(
    "maker",
    [
        {"/usr/bin/cloud-init": ""},
        {"/usr/lib/systemd/system/sshd-keygen@.service": "[Unit]\n"},
        {"/usr/sbin/sshd-gen-keys-start": "#!/bin/sh\n"},
        {"/etc/rc.d/init.d/sshd": "do_rsa_keygen() {\n"},
        {"/usr/lib/systemd/system/sshd-keygen.service": FIRST_BOOT, "/usr/bin/cloud-init": ""},
    ],
)
def test_host_keys_go_where_new_ones_are_made(maker: Mapping[str, str]) -> None:
    found = guest({**KEYS, **maker, "/etc/ssh/sshd_config": "Port 22\n"})
    done = made(found)
    assert found.list("/etc/ssh") == ("sshd_config",)
    assert done.findings == ()
    assert not any("PRIVATE" in diff for diff in done.diffs)


@pytest.mark.parametrize(
    "files",
    [
        # Debian without cloud-init: the package makes them once, when it is installed.
        {"/etc/init.d/ssh": "#!/bin/sh\ncheck_config\n"},
        # Debian 13: a machine whose id is empty is not at its first boot.
        {"/usr/lib/systemd/system/sshd-keygen.service": FIRST_BOOT},
        {
            "/usr/bin/cloud-init": "",
            "/etc/systemd/system/cloud-init.service": Node(FileKind.SYMLINK, b"/dev/null"),
        },
        {"/usr/bin/cloud-init": "", "/etc/cloud/cloud-init.disabled": ""},
    ],
)
def test_host_keys_stay_where_nothing_makes_new_ones(files: Mapping[str, str | Node]) -> None:
    found = guest({**KEYS, **files})
    done = made(found)
    assert found.read("/etc/ssh/ssh_host_rsa_key") == b"PRIVATE"
    assert [finding.code for finding in done.findings] == ["ssh-host-keys-kept"]


def test_dropbear_s_keys_stay_and_are_told() -> None:
    found = guest({"/etc/dropbear/dropbear_rsa_host_key": b"\0", "/usr/bin/cloud-init": ""})
    assert [finding.code for finding in made(found).findings] == ["ssh-host-keys-kept"]


def test_a_log_is_not_read_for_being_emptied() -> None:
    class Unread(MemoryGuest):
        def digest(self, path: str) -> str:
            raise AssertionError(path)

    found = Unread({"/etc/machine-id": "0" * 32, "/var/log/lastlog": "x", "/var/log/a.gz": "y"})
    made(found)
    assert found.list("/var/log") == ("lastlog",)
    done = plan(guest({"/var/log/lastlog": "x"}))
    with pytest.raises(GuestError) as caught:
        replay(done, guest({"/var/log/lastlog": "more"}), progress=lambda _: None)
    assert caught.value.code == "plan-outdated"
    assert "found 4 bytes, expected 1 bytes" in caught.value.message


def test_leases_and_seeds_go() -> None:
    found = guest(
        {
            "/var/lib/dhcp/dhclient.eth0.leases": "lease {}\n",
            "/var/lib/NetworkManager/internal-1-eth0.lease": "ADDRESS=1\n",
            "/var/lib/NetworkManager/NetworkManager.state": "[main]\n",
            "/var/lib/systemd/random-seed": b"\1" * 512,
            "/efi/loader/random-seed": b"\1" * 512,
            "/efi/loader/loader.conf": "timeout 3\n",
        }
    )
    made(found)
    assert found.list("/var/lib/dhcp") == ()
    assert found.list("/var/lib/NetworkManager") == ("NetworkManager.state",)
    assert found.list("/var/lib/systemd") == ()
    assert found.list("/efi/loader") == ("loader.conf",)


def test_logs_are_emptied_and_old_ones_go() -> None:
    found = guest(
        {
            "/var/log/syslog": "a line\n",
            "/var/log/syslog.1": "a line\n",
            "/var/log/apt/history.log.2.gz": b"\x1f\x8b",
            "/var/log/messages-20240101": "a line\n",
            "/var/log/journal/0123/system.journal": b"LPKSHHRH",
            "/var/log/large": b"x" * (5 << 20),
            "/var/log/mysql/mysql-bin.000001": b"\xfebin",
            "/var/log/mysql/mysql-bin.index": "/var/log/mysql/mysql-bin.000001\n",
            "/var/log/mysql/error.log": "a line\n",
            "/var/log/link": Node(FileKind.SYMLINK, b"/etc/passwd"),
            "/etc/passwd": "root\n",
        }
    )
    made(found)
    assert found.list("/var/log") == ("apt", "journal", "large", "link", "mysql", "syslog")
    assert found.read("/var/log/mysql/mysql-bin.000001") == b"\xfebin"
    assert found.read("/var/log/mysql/mysql-bin.index").endswith(b".000001\n")
    assert found.read("/var/log/mysql/error.log") == b""
    assert found.read("/var/log/syslog") == b""
    assert found.read("/var/log/large") == b""
    assert found.list("/var/log/apt") == ()
    assert found.list("/var/log/journal/0123") == ()
    assert found.read("/etc/passwd") == b"root\n"


def test_cloud_init_starts_anew_with_its_seed() -> None:
    found = guest(
        {
            "/var/lib/cloud/seed/nocloud/meta-data": "instance-id: x\n",
            "/var/lib/cloud/instance": Node(FileKind.SYMLINK, b"/var/lib/cloud/instances/x"),
            "/var/lib/cloud/instances/x/obj.pkl": b"\x80",
            "/var/lib/cloud/instances/x/sem/config_ssh": "1\n",
            "/var/lib/cloud/data/instance-id": "x\n",
        }
    )
    made(found)
    assert found.lstat("/var/lib/cloud/instance") is None
    assert found.list("/var/lib/cloud/data") == ()
    assert found.list("/var/lib/cloud/instances/x/sem") == ()
    assert found.read("/var/lib/cloud/seed/nocloud/meta-data") == b"instance-id: x\n"
