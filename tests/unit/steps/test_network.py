"""The network step: what is said where nothing can be done, and what it does not touch."""

from __future__ import annotations

import pytest

from converter.guest.memory import MemoryGuest
from tests.unit.network.guests import (
    IFUPDOWN,
    SYSTEMD,
    Files,
    converted,
    link,
    plan_of,
    program,
    started,
)

STATIC = "auto ens192\niface ens192 inet static\n address 10.0.0.5/24\n gateway 10.0.0.1\n"


@pytest.mark.parametrize("unit", ["connman.service", "dhcpcd.service"])
def test_stacks_that_are_only_named_are_left_alone(unit: str) -> None:
    done = converted({**SYSTEMD, **started(unit)})
    assert done.codes == {"network-stack-other"}
    assert unit.partition(".")[0] in done.message("network-stack-other")
    assert done.plan.changes == ()


def test_a_guest_that_nothing_is_known_of_is_warned_of() -> None:
    done = converted({"/etc/hostname": "web\n"})
    assert done.codes == {"network-stack-unknown"}
    assert done.errors == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("ip=10.0.0.5::10.0.0.1:255.255.255.0:web:ens192:none",), True),
        (("ifname=lan0:00:50:56:9a:12:34",), True),
        (("ip=dhcp",), False),
        (("ip=off", "net.ifnames=0", "biosdevname=0", "quiet"), False),
        ((), False),
    ],
)
def test_cards_on_the_kernels_command_line_are_named(
    words: tuple[str, ...], *, named: bool
) -> None:
    plan = plan_of(MemoryGuest({**IFUPDOWN, "/etc/network/interfaces": STATIC}), words)
    assert ("network-kernel-argument" in {found.code for found in plan.findings}) is named


def test_every_change_keeps_the_original() -> None:
    files: Files = {
        **IFUPDOWN,
        "/etc/network/interfaces": STATIC,
        "/etc/udev/rules.d/70-persistent-net.rules": (
            'SUBSYSTEM=="net", ATTR{address}=="00:50:56:9a:12:34", NAME="ens192"\n'
        ),
    }
    done = converted(files)
    for directory, name in (
        ("/etc/network", "interfaces"),
        ("/etc/udev/rules.d", "70-persistent-net.rules"),
    ):
        assert done.text(f"{directory}/.{name}.converter-orig") == files[f"{directory}/{name}"]


def test_a_service_of_openrc_is_started_by_its_run_level() -> None:
    files: Files = {
        "/sbin/ifup": program(),
        "/sbin/udhcpc": program(),
        "/etc/init.d/networking": program(),
        "/etc/runlevels/boot/networking": link("/etc/init.d/networking"),
        "/etc/network/interfaces": STATIC.replace("ens192", "eth0"),
    }
    done = converted(files)
    assert done.errors == []
    assert "iface eth0 inet dhcp" in done.text("/etc/network/interfaces")


def test_where_the_init_is_not_known_nothing_is_refused() -> None:
    done = converted({"/sbin/ifup": program(), "/etc/network/interfaces": STATIC})
    assert done.codes == {"network-service-disabled"}
    assert done.errors == []
