"""Names of disks that depend on the machine they are in, and which disk each of them means.

The kernel numbers disks in the order it finds them, and links in /dev/disk/by-path and by-id come
from the controller and from serial numbers: none of it is on the disks. What tells which is which:
where the root filesystem was found, that a line of fstab fits what is on a partition, and that
disks are given in the order the guest had them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from converter.model import Disk, Filesystem

# SCSI/SATA, IDE, virtio and Xen disks have letters.
_LETTERED: Final = re.compile(r"(/dev/(?:sd|hd|vd|xvd)([a-z]{1,3}))([0-9]{0,3})")
_NUMBERED: Final = (
    re.compile(r"(/dev/nvme([0-9]{1,3})n([0-9]{1,3}))(?:p([0-9]{1,3}))?"),
    re.compile(r"(/dev/cciss/c([0-9]{1,3})d([0-9]{1,3}))(?:p([0-9]{1,3}))?"),
    re.compile(r"(/dev/mmcblk([0-9]{1,3})())(?:p([0-9]{1,3}))?"),
)
_LINKED: Final = re.compile(
    r"(/dev/disk/(?:by-path|by-id|by-diskseq)/(?!dm-|md-|lvm-pv-uuid-).+?)(?:-part([0-9]{1,3}))?"
)
# Far more than the disks of any guest: a limit for one that wants to keep us busy.
_NAME_LIMIT: Final = 1000
_BY_ID: Final = "/dev/disk/by-id/"
_BY_ID_TAG: Final = "ID="
# Words of fstab for what blkid(8) calls otherwise; ext4's driver mounts its elder brothers.
_KINDS: Final = {
    **dict.fromkeys(("ext2", "ext3", "ext4", "ext4dev"), "ext"),
    **dict.fromkeys(("vfat", "msdos", "umsdos"), "fat"),
    **dict.fromkeys(("ntfs", "ntfs3", "ntfs-3g", "fuseblk"), "ntfs"),
    **dict.fromkeys(("swap", "swsuspend"), "swap"),
}


@dataclass(frozen=True, slots=True)
class DiskName:
    """A name taken apart: the disk's own, the partition (0 is all of it), its place if it has one.

    Names of one disk differ between families: kernel names, paths, and serial numbers.
    """

    disk: str
    partition: int
    place: int | None = None

    @property
    def family(self) -> str:
        """What kind of name it is."""
        return "kernel" if self.place is not None else self.disk.split("/")[3]


@dataclass(frozen=True, slots=True)
class Use:
    """How the guest uses a device: as what type (fstab's word), and for what (a mount point)."""

    spec: str
    type: str
    path: str = ""


def parse(spec: str) -> DiskName | None:
    """Take apart a name that depends on the machine; None for any other."""
    if spec.startswith(_BY_ID_TAG):
        spec = _BY_ID + spec.removeprefix(_BY_ID_TAG)
    if found := _LETTERED.fullmatch(spec):
        return DiskName(found[1], int(found[3] or 0), _letters(found[2]))
    for pattern in _NUMBERED:
        if found := pattern.fullmatch(spec):
            # Namespaces are counted from 1, units of a controller from 0.
            unit = int(found[3] or 0) - (1 if "nvme" in found[1] else 0)
            return DiskName(found[1], int(found[4] or 0), int(found[2]) + max(unit, 0))
    if found := _LINKED.fullmatch(spec):
        return DiskName(found[1], int(found[2] or 0))
    return None


def _letters(text: str) -> int:
    """Give the place that a disk's letters stand for: a = 0, z = 25, aa = 26."""
    index = 0
    for letter in text:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def kind_of(word: str) -> str:
    """Give the word that all names of one type of filesystem share."""
    return _KINDS.get(word, word)


class _Matching:
    """Names being matched with disks; of one family, no two names mean the same disk."""

    def __init__(
        self,
        disks: Sequence[Disk],
        filesystems: Iterable[Filesystem],
        known: Mapping[str, str],
        claimed: Mapping[str, str],
    ) -> None:
        self._disks = disks
        self._filesystems = {found.device: found for found in filesystems}
        self._claimed = claimed
        self._uses: dict[str, list[tuple[int, Use]]] = {}
        self._places: set[str] = set()
        self._taken: dict[str, set[str]] = {}
        self.names: dict[str, DiskName] = {}
        self.found: dict[str, str] = {}
        for disk, device in known.items():
            name = parse(disk)
            if name is not None:
                self.take(name, device)

    def add(self, name: DiskName, use: Use) -> None:
        """Note one use of a partition of the disk `name`."""
        self.names.setdefault(name.disk, name)
        self._uses.setdefault(name.disk, []).append((name.partition, use))
        if use.path:
            self._places.add(use.path)

    def take(self, name: DiskName, device: str) -> None:
        """Hold that `name` means the disk `device`."""
        self.found[name.disk] = device
        # A disk has several links in by-id, and one name of any other family.
        if name.family != "by-id":
            self._taken.setdefault(name.family, set()).add(device)

    def fitting(self, name: DiskName) -> list[Disk]:
        """Give the disks that no other name of its family means, and that can be `name`."""
        taken = self._taken.get(name.family, set())
        free = [disk for disk in self._disks if disk.device not in taken]
        uses = self._uses[name.disk]
        return [disk for disk in free if all(self._fits(disk, *use) for use in uses)]

    def likely(self, name: DiskName) -> list[Disk]:
        """Give those of `fitting` on which nothing was mounted last where it is not used now."""
        uses = [(number, use) for number, use in self._uses[name.disk] if use.path != "/"]
        return [
            disk
            for disk in self.fitting(name)
            if all(self._last(disk, number) in ("", use.path) for number, use in uses)
        ]

    def _last(self, disk: Disk, number: int) -> str:
        found = self._filesystems.get(f"{disk.device}{number or ''}")
        return found.last_mounted if found else ""

    def _fits(self, disk: Disk, number: int, use: Use) -> bool:
        if number and all(partition.number != number for partition in disk.partitions):
            return False
        device = f"{disk.device}{number or ''}"
        if self._claimed.get(device, use.path) != use.path:
            return False
        # Mounted last where another line mounts something: it is that line's.
        last = self._last(disk, number)
        if last != use.path and last in self._places:
            return False
        found = self._filesystems.get(device)
        kind = kind_of(found.type) if found else ""
        return (
            use.type == ""
            or (use.type in ("auto", "none") and kind != "")
            or (kind_of(use.type) == kind)
        )


def assign(
    disks: Sequence[Disk],
    filesystems: Iterable[Filesystem],
    uses: Iterable[Use],
    known: Mapping[str, str],
    claimed: Mapping[str, str],
) -> dict[str, str]:
    """Give the disk (by the appliance's name) that each name in `uses` means, where that is clear.

    `known` are those that are certain, `claimed` devices that the guest uses by other names, and
    for what. A name with a place means the disk at that place, if that is free and fits; else it,
    like any other, means the one disk that is left and fits.
    """
    matching = _Matching(disks, filesystems, known, claimed)
    for use in uses:
        name = parse(use.spec)
        if name is not None and len(matching.names) < _NAME_LIMIT:
            matching.add(name, use)
    names = sorted(matching.names.values(), key=lambda name: name.disk)
    for name in names:
        at_place = disks[name.place] if name.place is not None and name.place < len(disks) else None
        if name.disk not in matching.found and at_place in matching.fitting(name):
            matching.take(name, disks[name.place or 0].device)
    for name in names:
        likely = matching.likely(name)
        if name.disk not in matching.found and len(likely) == 1:
            matching.take(name, likely[0].device)
    return matching.found
