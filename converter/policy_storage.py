"""What is refused for how a guest's filesystems are laid out, and for a lack of room on them.

FS-4 asks for room before anything is written: for what a plan writes, and for as much on the root
and on a separate /boot as the guest's own tools need when they make the next initramfs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.inspection.roots import SEVERAL_MESSAGE
from converter.model import (
    AppendFile,
    ConvertTable,
    CopyFile,
    CopyIn,
    DeleteKey,
    DeleteValue,
    Finding,
    InstallPackage,
    MakeDirectory,
    MakeLink,
    Policy,
    RemoveFile,
    SetValue,
    Severity,
    WriteFile,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from converter.model import Change, Facts, Mount, Plan

_MB: Final = 1_000_000
# What has to be free whatever is written (SPEC, FS-4): bytes by mount point, and inodes.
_LEAST: Final = {"/": 100 * _MB, "/boot": 50 * _MB}
_LEAST_ELSEWHERE: Final = 10 * _MB
_LEAST_INODES: Final = 100
_BLOCK: Final = 4096
# Programs are copied by name; boot loaders have 1 to 3 MiB.
_PROGRAM: Final = 4 << 20


def subvolumes(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """FS-2: the service takes Btrfs without subvolumes only."""
    used = sorted(mount.path for mount in facts.mounts if mount.subvolume)
    if used:
        yield _not_in_service(
            policy,
            "btrfs-subvolumes",
            f"{', '.join(used)}: on Btrfs subvolumes, which the service does not take",
        )


def other_systems(facts: Facts, policy: Policy) -> Iterator[Finding]:
    """FS-3: beside the system that is started the service takes no other."""
    if facts.other_roots:
        message = (
            f"there is another system: {', '.join(facts.other_roots)}; the one that the boot loader"
            " starts is converted"
        )
        if policy is Policy.AWS:
            hint = "export the machine with only the disk of the system that is to be converted"
            yield Finding(Severity.ERROR, "other-systems", message, hint, SEVERAL_MESSAGE)
        else:
            hint = "remove the other from the boot loader's menu in the result"
            yield Finding(Severity.WARNING, "other-systems", message, hint, SEVERAL_MESSAGE)


def _not_in_service(policy: Policy, code: str, message: str) -> Finding:
    refused = policy is Policy.AWS
    hint = "use --policy open to convert it nonetheless" if refused else ""
    return Finding(Severity.ERROR if refused else Severity.INFO, code, message, hint)


def room(facts: Facts, _policy: Policy) -> Iterator[Finding]:
    """FS-4: what has to be free before it is known what will be written."""
    for mount in facts.mounts:
        if mount.path in _LEAST:
            yield from _lack(mount, _Need(_LEAST[mount.path], _LEAST_INODES))


def needed_disks(facts: Facts, device: str) -> frozenset[str]:
    """Give the disks without which `device` is not there.

    Of those of a mirror one is needed; that is the first disk, if it is among them.
    """
    below = {array.device: array.members for array in facts.arrays}
    below |= {
        volume.device: group.members
        for volume in facts.volumes
        for group in facts.groups
        if group.name == volume.group
    }
    members = below.get(device)
    if members is None:
        names = (disk.device for disk in facts.disks)
        return frozenset(name for name in names if re.fullmatch(rf"{name}p?\d*", device))
    parts = [needed_disks(facts, member) for member in members]
    if parts and any(a.device == device and a.level == "raid1" for a in facts.arrays):
        return min(parts, key=lambda disks: disks != {facts.disks[0].device})
    return frozenset().union(*parts)


def judge_room(facts: Facts, plan: Plan) -> tuple[Finding, ...]:
    """Give the filesystems that `plan` would fill; those that `room` told are left out."""
    mounts = list(dict.fromkeys([*facts.mounts, *facts.esps]))
    needs: dict[Mount, _Need] = {}
    for change in plan.changes:
        if isinstance(change, ConvertTable):
            continue
        # Where a package's files go is not known exactly; most of them below /usr.
        place = "/usr" if isinstance(change, InstallPackage) else change.path
        mount = _mount_of(mounts, place)
        needs[mount] = needs.get(mount, _Need()) + _need_of(change)
    found: list[Finding] = []
    for mount, need in needs.items():
        told = mount.path in _LEAST and any(_lack(mount, _Need(_LEAST[mount.path], _LEAST_INODES)))
        if not told:
            found += _lack(mount, need.at_least(_least_of(mount)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Need:
    size: int = 0
    inodes: int = 0

    def __add__(self, other: _Need) -> _Need:
        return _Need(self.size + other.size, self.inodes + other.inodes)

    def at_least(self, size: int) -> _Need:
        """Give the need with a reserve, for what filesystems keep about files."""
        return _Need(max(size, self.size + self.size // 10), self.inodes)


def _least_of(mount: Mount) -> int:
    # EFI system partitions are small, and hold few files.
    return 0 if mount.type == "vfat" or mount.path in _LEAST else _LEAST_ELSEWHERE


def _mount_of(mounts: Iterable[Mount], path: str) -> Mount:
    """Give the filesystem that `path`, without links, is on."""
    inside = [mount for mount in mounts if f"{path}/".startswith(f"{mount.path.rstrip('/')}/")]
    return max(inside, key=lambda mount: len(mount.path))


def _need_of(change: Change) -> _Need:
    """Give the room that `change` takes, at most."""
    match change:
        case WriteFile():
            kept = len(change.data) if change.backup else 0
            return _files(len(change.data), kept)
        case AppendFile():
            kept = change.size if change.backup else 0
            return _files(len(change.data), kept)
        case CopyFile() | CopyIn():
            size = change.size if isinstance(change, CopyIn) else _PROGRAM
            return _files(size, size if change.backup else 0)
        case RemoveFile() | MakeLink() | MakeDirectory():
            return _Need(_BLOCK, 1)
        case SetValue() | DeleteValue() | DeleteKey() | ConvertTable():
            return _Need()  # a hive that is kept is counted in what Windows must have free
        case InstallPackage():
            # Its file is in the guest, too, while it is installed.
            return _files(change.size, change.payload.stat().st_size) + _Need(0, len(change.files))


def _files(*sizes: int) -> _Need:
    blocks = sum(-(-size // _BLOCK) for size in sizes)
    return _Need(blocks * _BLOCK, len(sizes))


def _lack(mount: Mount, need: _Need) -> Iterator[Finding]:
    if mount.space is None:
        return
    free, inodes = mount.space.free, mount.space.inodes
    if free < need.size:
        yield _too_little(mount, f"{free / _MB:.1f} MB are", f"{need.size / _MB:.1f} MB")
    if inodes is not None and inodes < need.inodes:
        yield _too_little(mount, f"{inodes} inodes are", f"{need.inodes}")


def _too_little(mount: Mount, free: str, needed: str) -> Finding:
    return Finding(
        Severity.ERROR,
        "space-too-little",
        f"{mount.path} ({mount.device}): {free} free, {needed} are needed",
        "make room in the machine (old kernels and package caches are a good start), or make the"
        " filesystem larger, and export it again",
    )
