"""What is on the disks of libguestfs' appliance, found out by one script.

Its own calls would each wait for udev and start a program or two; a guest of one disk takes ten.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_SECTOR: Final = 512
# A GPT and its entries, the superblock of most filesystems.
HEAD: Final = 20 << 10
# One message of the appliance holds less than 4 MiB (guestfs(3), GUESTFS_MESSAGE_MAX).
_HEADS: Final = 64

# blkid(8) as libguestfs calls it. It ends with the first of its devices that it knows nothing of.
_SCRIPT: Final = """
udevadm settle
count=0
all=
look() {{
  read sectors < "/sys/class/block/$1/size"
  echo "device /dev/$1 $sectors"
  count=$((count + 1))
  all="$all /dev/$1"
}}
identify() {{
  echo "blkid /dev/$1"
  blkid -c /dev/null -p -o export "/dev/$1" || :
}}
for disk in {disks}; do
  look "$disk"
  whole="$disk"
  for part in "/sys/block/$disk/$disk"*; do
    [ -e "$part/partition" ] || continue
    whole=
    look "${{part##*/}}"
    identify "${{part##*/}}"
  done
  [ -z "$whole" ] || identify "$whole"
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


def script(disks: Sequence[str]) -> str:
    """Give the shell script that looks at `disks` (as /dev/sda) and what is on them."""
    names = " ".join(disk.removeprefix("/dev/") for disk in disks)
    return _SCRIPT.format(disks=names, heads=_HEADS, head=HEAD)


def parse(said: str, disks: Sequence[str]) -> Survey:
    """Read what the script for `disks` printed. Raises `ValueError` for anything else."""
    sizes: dict[str, int] = {}
    tags: dict[str, dict[str, str]] = {}
    probed = heads = ""
    for line in said.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "device":
            device, _, sectors = rest.partition(" ")
            sizes[device] = int(sectors) * _SECTOR
        elif word == "blkid":
            probed = rest
            tags[probed] = {}
        elif word == "heads":
            heads = rest
        elif probed and line:
            key, _, value = line.partition("=")
            tags[probed][key] = value
    if missing := [disk for disk in disks if disk not in sizes]:
        raise ValueError(f"nothing was said of {', '.join(missing)}")
    return Survey(
        disks=tuple((disk, sizes[disk]) for disk in disks),
        partitions=tuple(sorted(sizes.keys() - set(disks), key=lambda name: _order(name, disks))),
        tags=tags,
        heads=dict(_heads(heads, sizes)),
    )


def _order(name: str, disks: Sequence[str]) -> tuple[int, int]:
    found = re.fullmatch(r"(.*?)p?([0-9]+)", name)
    disk, number = (found[1], int(found[2])) if found else (name, 0)
    return (disks.index(disk) if disk in disks else len(disks), number)


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
