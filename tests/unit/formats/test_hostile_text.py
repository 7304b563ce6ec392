"""Text of a guest that is made to take time: all of it is read in the time of any other."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from converter.formats import (
    FormatError,
    firewall,
    grub_parser,
    mdadm,
    nash,
    sshd_config,
    udev_rules,
)
from converter.guest.memory import MemoryGuest
from converter.guest.recording import RecordingGuest
from converter.guest.services import is_enabled
from converter.inspection.cloud import datasource_list
from converter.inspection.network import inspect_network
from converter.network import ifupdown
from converter.source import vmdk_descriptor
from tests.unit.network.guests import IFUPDOWN

if TYPE_CHECKING:
    from collections.abc import Callable

_LENGTH = 100_000


def _terms(text: str) -> None:
    for rule in udev_rules.parse(text).rules:
        assert rule.terms == ()


def _job(text: str) -> None:
    assert not is_enabled(MemoryGuest({"/etc/init/x.conf": text}), ["x"])


def _override(text: str) -> None:
    files = {"/etc/init/x.conf": "start on x\n", "/etc/init/x.override": text}
    assert is_enabled(MemoryGuest(files), ["x"])


def _dpkg_status(text: str) -> None:
    files = {**IFUPDOWN, "/etc/network/interfaces": "", "/var/lib/dpkg/status": text}
    guest = RecordingGuest(MemoryGuest(files))
    for stack in inspect_network(guest):
        ifupdown.to_dhcp(guest, stack)


def _arrays(text: str) -> None:
    assert mdadm.on_any_disk(text, lambda _name: "1")


def _nash(text: str) -> None:
    nash.with_modules(text, ["/lib/a.ko"])


def _grub(text: str) -> None:
    with suppress(FormatError):
        grub_parser.parse(text)


def _descriptor(text: str) -> None:
    assert vmdk_descriptor.parse("a.vmdk", text.encode()).extents == ()


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (_terms, "A" * _LENGTH),
        (_terms, "A{" * (_LENGTH // 2)),
        (_terms, " \\\n" * _LENGTH),
        (firewall.nftables_lets_ssh_in, "hook input" + "\n" * _LENGTH),
        (firewall.nftables_lets_ssh_in, "hook input policy drop " + "dport {" * (_LENGTH // 7)),
        (_job, "\n" * _LENGTH),
        (_override, "\n" * _LENGTH),
        (_dpkg_status, "Package: ifupdown\n" * (_LENGTH // 18)),
        (datasource_list, "datasource_list: [\n" * (_LENGTH // 19)),
        (_arrays, f"ARRAY /dev/md0 UUID=1 devices=a{' ' * _LENGTH}x\n"),
        (_grub, "${" * _LENGTH),
        (_grub, f'echo "{"${" * _LENGTH}"\n'),
        (_descriptor, "# Disk DescriptorFile\n" + "\n" * _LENGTH),
        (_nash, f"#!/bin/nash\nmount{' ' * _LENGTH}x\nmkrootdev /dev/sda1\n"),
    ],
    ids=lambda value: value if callable(value) else value[:20],
)
def test_it_takes_no_time(read: Callable[[str], object], text: str) -> None:
    start = time.process_time()
    read(text)
    assert time.process_time() - start < 2


def test_what_is_included_has_bounds() -> None:
    asked = []

    def nothing(pattern: str) -> list[str]:
        asked.append(pattern)
        return []

    sshd_config.parse("Include x\n" * _LENGTH, include=nothing)
    assert len(asked) <= 256
    found = sshd_config.parse("Include x\nPort 2\n", include=lambda _: ["Port 1\n"] * _LENGTH)
    assert found.keys() == {"port"}
    assert len(found["port"]) <= 256
