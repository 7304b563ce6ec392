"""What is on the disks of libguestfs' appliance, found out by one script.

Its own calls would each wait for udev and start a program or two; a guest of one disk takes ten.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SECTOR: Final = 512
# A GPT and its entries, the superblock of most filesystems.
HEAD: Final = 20 << 10
# One message of the appliance holds less than 4 MiB (guestfs(3), GUESTFS_MESSAGE_MAX).
_HEADS: Final = 64

# The kernel may find disks in any order, and scripts see its names; the calls of libguestfs have
# the disks in theirs, as /dev/sda and so on. Each is a target of its own of one SCSI bus.
FIND_DISK: Final = """
find_disk() {
  set -- /sys/bus/scsi/devices/*:0:"$1":0/block/*
  disk="${1##*/}"
}
"""
"""A shell function that sets `disk` to the kernel's name (sda) of the disk at a place (0)."""

# blkid(8) as libguestfs calls it. It ends with the first of its devices that it knows nothing of.
_SCRIPT: Final = """
{find_disk}
count=0
all=
look() {{
  read sectors < "/sys/class/block/$1/size"
  echo "device $2 $sectors"
  count=$((count + 1))
  all="$all /dev/$1"
}}
identify() {{
  echo "blkid $2"
  blkid -c /dev/null -p -o export "/dev/$1" || :
}}
for place in {places}; do
  find_disk "$place"
  look "$disk" "$place"
  whole="$disk"
  for part in "/sys/block/$disk/$disk"*; do
    [ -e "$part/partition" ] || continue
    whole=
    read number < "$part/partition"
    look "${{part##*/}}" "$place.$number"
    identify "${{part##*/}}" "$place.$number"
  done
  [ -z "$whole" ] || identify "$whole" "$place"
done
if [ "$count" -le {heads} ]; then
  echo "heads $(head -q -c {head} $all | base64 -w 0)"
fi
"""


@dataclass(frozen=True, slots=True)
class Survey:
    """Disks and partitions with their sizes in bytes, disks and numbers in their order.

    `tags` are blkid(8)'s of every partition, and of every disk without one; `heads` are the first
    `HEAD` bytes of devices, as far as they could be read.
    """

    disks: tuple[tuple[str, int], ...]
    partitions: tuple[str, ...]
    tags: Mapping[str, Mapping[str, str]]
    heads: Mapping[str, bytes]

    def read(self, device: str, offset: int, length: int) -> bytes | None:
        """Give bytes of `device`, fewer at its end; None where they are not known here."""
        head = self.heads.get(device)
        if head is None:
            return None
        is_whole = len(head) < HEAD
        return head[offset : offset + length] if is_whole or offset + length <= HEAD else None


def names(count: int) -> tuple[str, ...]:
    """Give what libguestfs calls its disks, by their places: /dev/sda to /dev/sdz, /dev/sdaa."""
    found = []
    for place in range(count):
        letters, left = "", place + 1
        while left:
            left, letter = divmod(left - 1, 26)
            letters = chr(ord("a") + letter) + letters
        found.append(f"/dev/sd{letters}")
    return tuple(found)


def script(count: int) -> str:
    """Give the shell script that looks at so many disks and what is on them."""
    places = " ".join(map(str, range(count)))
    return _SCRIPT.format(find_disk=FIND_DISK, places=places, heads=_HEADS, head=HEAD)


def parse(said: str, disks: Sequence[str]) -> Survey:
    """Read what the script for `disks` printed. Raises `ValueError` for anything else."""
    sizes: dict[str, int] = {}
    tags: dict[str, dict[str, str]] = {}
    probed = heads = ""
    for line in said.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "device":
            place, _, sectors = rest.partition(" ")
            sizes[_name(place, disks)] = int(sectors) * SECTOR
        elif word == "blkid":
            probed = _name(rest, disks)
            tags[probed] = {}
        elif word == "heads":
            heads = rest
        elif probed and line:
            key, _, value = line.partition("=")
            tags[probed][key] = value
    if missing := [disk for disk in disks if disk not in sizes]:
        raise ValueError(f"nothing was said of {', '.join(missing)}")
    partitions = [
        sorted(
            (name for name in sizes if name.rstrip("0123456789") == disk and name != disk),
            key=lambda name: int(name.removeprefix(disk)),
        )
        for disk in disks
    ]
    return Survey(
        disks=tuple((disk, sizes[disk]) for disk in disks),
        partitions=tuple(chain.from_iterable(partitions)),
        tags=tags,
        heads=dict(_heads(heads, sizes)),
    )


def _name(place: str, disks: Sequence[str]) -> str:
    """Give what libguestfs calls the disk at a place (3), or its partition of a number (3.1)."""
    disk, _, number = place.partition(".")
    if int(disk) >= len(disks):
        raise ValueError(f"{place}: there is no such disk")
    return f"{disks[int(disk)]}{number}"


def _heads(text: str, sizes: Mapping[str, int]) -> Iterator[tuple[str, bytes]]:
    """Take apart the first bytes of all devices; none where one could not be read."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error:
        return
    lengths = {device: min(size, HEAD) for device, size in sizes.items()}
    if len(data) != sum(lengths.values()):
        return
    for device, length in lengths.items():
        yield device, data[:length]
        data = data[length:]
