"""Guests in memory with a bootloader, for tests of what is found and what is planned."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from converter.guest.memory import MemoryGuest, Node
from converter.guest.recording import RecordingGuest
from converter.guest.replay import replay
from converter.inspection.bootloader import inspect_bootloader
from converter.inspection.storage import Storage
from converter.model import Disk, FileKind, Filesystem, Mount, Partition, TableType
from converter.steps.step import Context
from tests.unit.samples import FACTS, LINUX

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.model import Bootloader, Finding, Plan
    from converter.steps.step import Step

ROOT = "8d3bf36e-2e5a-4e0f-9a9b-1f6d1f0e6a01"
BOOT = "5b6b1f2e-1111-2222-3333-444455556666"
SWAP = "4be2f1d2-55a1-4c3e-8d0a-5d9b0c3e6a02"
ESP = "ABCD-1234"
ESP_TYPE = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
XBOOTLDR_TYPE = "bc13c2ff-59e6-4262-a352-b275fd6f7172"
KERNEL = "6.1.0-13-amd64"
MIB = 1 << 20


def link(target: str) -> Node:
    return Node(FileKind.SYMLINK, target.encode())


@dataclass(frozen=True)
class Machine:
    """A guest on /dev/sda: 1 root, 2 swap, 3 /boot, 4 the ESP, as `mounted` says.

    `loader` is whose boot code its first sector has.
    """

    guest: MemoryGuest
    loader: str = "grub2"
    mounted: Mapping[str, int] = field(default_factory=lambda: {"/": 1})
    types: Mapping[int, str] = field(default_factory=dict)
    root_type: str = "ext4"

    @property
    def mounts(self) -> tuple[Mount, ...]:
        uuids = {1: ROOT, 3: BOOT, 4: ESP}
        return tuple(
            Mount(path, f"/dev/sda{number}", self._type(number), uuids[number])
            for path, number in self.mounted.items()
        )

    def _type(self, number: int) -> str:
        return {1: self.root_type, 2: "swap", 3: "ext4", 4: "vfat"}[number]

    @property
    def storage(self) -> Storage:
        uuids = {1: ROOT, 2: SWAP, 3: BOOT, 4: ESP}
        parts = tuple(
            Partition(
                n, n * MIB, MIB, self.types.get(n, ESP_TYPE if n == 4 else "83"), uuid=f"pu-{n}"
            )
            for n in uuids
        )
        disk = Disk("/dev/sda", 8 * MIB, TableType.GPT, "id", bool(self.loader), parts, self.loader)
        found = tuple(
            Filesystem(f"/dev/sda{n}", self._type(n), uuid, label=f"label{n}")
            for n, uuid in uuids.items()
        )
        return Storage((disk,), found, ())

    def inspect(self) -> tuple[Bootloader | None, tuple[Finding, ...]]:
        return inspect_bootloader(self.guest, self.storage, self.mounts, distribution="debian")

    def bootloader(self) -> Bootloader:
        found, _ = self.inspect()
        assert found is not None
        return found

    def findings(self) -> dict[str, Finding]:
        return {finding.code: finding for finding in self.inspect()[1]}

    def default(self) -> str:
        """Give the default entry's kernel; "" without one."""
        found, _ = self.inspect()
        return found.default.kernel if found is not None and found.default is not None else ""

    # --- steps ------------------------------------------------------------------------------------

    def plan(self, *steps: Step) -> Plan:
        esps = tuple(mount for mount in self.mounts if mount.device == "/dev/sda4")
        linux = replace(LINUX, bootloader=self.inspect()[0])
        facts = replace(FACTS, mounts=self.mounts, esps=esps, os=linux)
        recording = RecordingGuest(self.guest)
        for step in steps:
            if step.applies(facts):
                step.run(Context(recording, facts, self.storage))
        return recording.plan

    def convert(self, *steps: Step) -> Plan:
        """Plan and apply, and prove that then nothing is left to be done."""
        plan = self.plan(*steps)
        replay(plan, self.guest, progress=lambda _: None)
        again = self.plan(*steps)
        assert [(change.code, change) for change in again.changes] == []
        return plan

    def text(self, path: str) -> str:
        return self.guest.read(path).decode("utf-8", "surrogateescape")


def machine(
    files: Mapping[str, str | bytes | Node],
    *,
    loader: str = "grub2",
    mounted: Mapping[str, int] | None = None,
    types: Mapping[int, str] | None = None,
    root_type: str = "ext4",
) -> Machine:
    """Give a machine with kernels and initramfs images for the samples' entries, and `files`."""
    images = {
        f"/boot/{name}": b"\0"
        for name in (f"vmlinuz-{KERNEL}", f"initrd.img-{KERNEL}")
        if not any(path.startswith("/boot/vmlinuz") for path in files)
    }
    return Machine(
        MemoryGuest({**images, **files}),
        loader,
        mounted if mounted is not None else {"/": 1},
        types or {},
        root_type,
    )


def codes(plan: Plan, path: str) -> list[str]:
    """Give the codes of the changes of one file."""
    return [change.code for change in plan.changes if change.path == path]
