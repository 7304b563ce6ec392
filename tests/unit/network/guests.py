"""Guests by their network files, and what conversion makes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.network import inspect_network
from converter.inspection.storage import Storage
from converter.model import FileKind, Plan, Severity
from converter.steps import network
from converter.steps.step import Context
from tests.unit.samples import FACTS, LINUX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.model import Finding

Files = dict[str, str | bytes | Node]
WANTS = "/etc/systemd/system/multi-user.target.wants"


def link(target: str) -> Node:
    return Node(FileKind.SYMLINK, target.encode(), 0o777)


def program(data: bytes = b"\x7fELF") -> Node:
    return Node(FileKind.FILE, data, 0o755)


def started(unit: str) -> Files:
    """Give the files of a unit that systemd starts."""
    path = f"/usr/lib/systemd/system/{unit}"
    return {path: "[Unit]\n", f"{WANTS}/{unit}": link(path)}


DEFAULT_LINK = "[Match]\nOriginalName=*\n\n[Link]\nNamePolicy=keep kernel database path\n"
SYSTEMD: Files = {
    "/usr/lib/systemd/systemd": program(),
    "/usr/lib/systemd/network/99-default.link": DEFAULT_LINK,
}
IFUPDOWN: Files = {
    **SYSTEMD,
    **started("networking.service"),
    "/sbin/ifup": program(),
    "/sbin/dhclient": program(),
    "/var/lib/dpkg/status": "Package: ifupdown\nStatus: install ok installed\nVersion: 0.8.41\n",
}
NETWORKD: Files = {
    **SYSTEMD,
    **started("systemd-networkd.service"),
    "/usr/lib/systemd/systemd-networkd": program(),
}
NETWORKMANAGER: Files = {
    **SYSTEMD,
    **started("NetworkManager.service"),
    "/usr/sbin/NetworkManager": program(),
}


@dataclass(frozen=True)
class Converted:
    """A guest after its plan was done, and the plan."""

    guest: MemoryGuest
    plan: Plan

    @property
    def findings(self) -> tuple[Finding, ...]:
        return self.plan.findings

    @property
    def codes(self) -> set[str]:
        return {finding.code for finding in self.findings}

    @property
    def errors(self) -> list[str]:
        return [found.code for found in self.findings if found.severity is Severity.ERROR]

    def message(self, code: str) -> str:
        return "\n".join(found.message for found in self.findings if found.code == code)

    def text(self, path: str) -> str:
        return self.guest.read(path).decode("utf-8", "surrogateescape")

    def has(self, path: str) -> bool:
        return self.guest.lstat(path) is not None

    def is_masked(self, path: str) -> bool:
        return self.has(path) and self.guest.readlink(path) == "/dev/null"


def plan_of(guest: MemoryGuest, arguments: tuple[str, ...] = ()) -> Plan:
    boot = LINUX.bootloader
    assert boot is not None
    assert boot.default is not None
    boot = replace(boot, default=replace(boot.default, arguments=arguments))
    linux = replace(LINUX, networks=inspect_network(guest), bootloader=boot)
    recording = RecordingGuest(guest)
    network.STEP.run(Context(recording, replace(FACTS, os=linux), Storage((), (), ())))
    return recording.plan


def converted(files: Mapping[str, str | bytes | Node]) -> Converted:
    """Plan and do the conversion; then there must be nothing left to be done."""
    guest = MemoryGuest(files)
    plan = plan_of(guest)
    replay(plan, guest, progress=lambda _fraction: None)
    again = plan_of(guest)
    assert again.changes == ()
    assert all(change.code.startswith("network-") and change.reason for change in plan.changes)
    return Converted(guest, plan)
