from __future__ import annotations

from collections.abc import Mapping

import pytest

from converter.guest import services
from converter.guest.memory import MemoryGuest, Node
from converter.model import FileKind


def link(target: str) -> Node:
    return Node(FileKind.SYMLINK, target.encode())


Files = Mapping[str, str | bytes | Node]
SCRIPT: Files = {"/etc/init.d/sshd": "#!/bin/sh\n"}
SSHD: Files = {"/usr/lib/systemd/system/sshd.service": "[Unit]\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (SSHD, False),
        ({**SSHD, "/etc/systemd/system/multi-user.target.wants/sshd.service": link("x")}, True),
        ({**SSHD, "/usr/lib/systemd/system/basic.target.requires/sshd.service": link("x")}, True),
        (
            {
                **SSHD,
                "/etc/systemd/system/multi-user.target.wants/sshd.service": link("x"),
                "/etc/systemd/system/sshd.service": link("/dev/null"),
            },
            False,
        ),
        ({**SCRIPT, "/etc/rc2.d/S02sshd": link("../init.d/sshd")}, True),
        ({**SCRIPT, "/etc/rc.d/rc3.d/S55sshd": link("../../init.d/sshd")}, True),
        ({**SCRIPT, "/etc/init.d/rc5.d/S11sshd": link("../sshd")}, True),
        ({**SCRIPT, "/etc/rc2.d/K02sshd": link("../init.d/sshd")}, False),
        ({**SCRIPT, "/etc/rc6.d/S02sshd": link("../init.d/sshd")}, False),
        ({"/etc/rc2.d/S02sshd-agent": link("../init.d/sshd-agent")}, False),
        ({"/etc/init/sshd.conf": "start on runlevel [2345]\n"}, True),
        ({"/etc/init/sshd.conf": "# start on nothing\n"}, False),
        (
            {
                "/etc/init/sshd.conf": "start on runlevel [2345]\n",
                "/etc/init/sshd.override": "manual\n",
            },
            False,
        ),
        ({}, False),
    ],
)
def test_is_enabled(files: Files, *, expected: bool) -> None:
    assert services.is_enabled(MemoryGuest(files), ["sshd.service", "sshd"]) is expected


def test_units_come_from_scripts_too() -> None:
    guest = MemoryGuest({"/etc/init.d/vmware-tools": "#!/bin/sh\n", **SSHD})
    assert services.has_unit(guest, "vmware-tools.service")
    assert services.has_unit(guest, "sshd.service")
    assert not services.has_unit(guest, "vmware-tools.timer")
    assert not services.has_unit(guest, "other.service")


@pytest.mark.parametrize(
    ("node", "expected"),
    [(link("/dev/null"), True), ("", True), ("[Unit]\n", False), (link("x.service"), False)],
)
def test_is_masked(node: str | Node, *, expected: bool) -> None:
    guest = MemoryGuest({"/etc/systemd/system/x.service": node})
    assert services.is_masked(guest, "x.service") is expected
    assert not services.is_masked(guest, "y.service")
