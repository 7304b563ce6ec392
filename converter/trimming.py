"""What the guest's filesystems do not use does not have to be in the result.

fstrim(8) in the appliance tells QEMU which blocks of a filesystem are free; the overlay notes them
as zero, and they become holes when it is laid over the copy. That costs by the size of what is
trimmed, so of a large disk only those stretches are that the copy has data in; and a second at the
least, so a filesystem is left alone where hardly anything is to be had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.source.reader import Reader, whole

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from converter.model import Disk, Facts

    # Where data begin and end.
    Stretches = Sequence[tuple[int, int]]

# Data that lie closer than this are trimmed at once: each time costs a quarter of a second.
_GRAIN: Final = 1 << 30
_MOST: Final = 16
# What the copy has more of a filesystem than that has in use, for it to be worth the while.
_WORTH: Final = 32 << 20
# A filesystem that cannot be trimmed in part is trimmed as a whole, or not at all where its disks
# are larger than this.
_LARGEST: Final = 256 << 30
# Filesystems whose blocks are those of the partition, in their order, for fstrim(8). Btrfs counts
# by addresses of its own, and ntfs-3g takes no range (ioctl.c, fstrim).
_IN_ORDER: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "vfat"})


@dataclass(frozen=True, slots=True)
class Trim:
    """Bytes of the filesystem at `path` in which all that is free is given up; None for all."""

    path: str
    start: int = 0
    length: int | None = None


def trims(facts: Facts, mounted: Mapping[str, str], images: Sequence[Path]) -> tuple[Trim, ...]:
    """Give what is to be trimmed of the filesystems that are `mounted`: devices, with their paths.

    `images` are copies of the disks, in their order.
    """
    places = dict(_partitions(facts.disks))
    types = {found.device: found.type for found in facts.filesystems}
    maps: dict[int, Stretches] = {}
    wanted: list[Trim] = []
    for device, path in mounted.items():
        if device in places:
            number, start, size = places[device]
            if number not in maps:
                maps[number] = _data(images[number])
            held = sum(length for _, length in _within(maps[number], start, size))
            if held - _used(facts, device) < _WORTH:
                continue
            if types.get(device) in _IN_ORDER:
                parts = _within(_grains(maps[number]), start, size)
                trimmed = [Trim(path, *part) for part in parts]
                wanted += trimmed if len(trimmed) <= _MOST else [Trim(path)]
                continue
        if _is_small(facts):
            wanted.append(Trim(path))
    return tuple(wanted)


def _used(facts: Facts, device: str) -> int:
    """Give how many bytes of the filesystem on `device` are in use; 0 where that is not known."""
    spaces = (mount.space for mount in facts.mounts if mount.device == device)
    return next((space.size - space.free for space in spaces if space is not None), 0)


def _partitions(disks: Iterable[Disk]) -> Iterator[tuple[str, tuple[int, int, int]]]:
    """Give the appliance's name of each partition and disk, the disk's number, start and size."""
    for number, disk in enumerate(disks):
        yield disk.device, (number, 0, disk.size)
        for part in disk.partitions:
            yield f"{disk.device}{part.number}", (number, part.start, part.size)


def _is_small(facts: Facts) -> bool:
    """Tell whether filesystems may be trimmed as a whole: what snapshots keep would be copied."""
    has_snapshots = any(volume.is_snapshot for volume in facts.volumes)
    return not has_snapshots and sum(disk.size for disk in facts.disks) <= _LARGEST


def _data(image: Path) -> Stretches:
    """Give where a sparse file has data."""
    with Reader(whole(image)) as reader:
        return [*reader.data(0, reader.length)]


def _grains(data: Stretches) -> Stretches:
    """Give `data` in whole grains."""
    found: list[tuple[int, int]] = []
    for first, last in data:
        start, end = first // _GRAIN * _GRAIN, -(-last // _GRAIN) * _GRAIN
        if found and start <= found[-1][1]:
            start = found.pop()[0]
        found.append((start, end))
    return found


def _within(data: Stretches, start: int, size: int) -> Iterator[tuple[int, int]]:
    """Give the parts of `data` in a partition: where they begin in it, and their lengths."""
    for first, last in data:
        begin, end = max(first, start), min(last, start + size)
        if begin < end:
            yield begin - start, end - begin
