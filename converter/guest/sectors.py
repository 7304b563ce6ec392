"""How a disk of the appliance gets another partition table: by one script, all in its order.

Calls of libguestfs' own would do the same, and take three times as long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.guest.survey import FIND_DISK, SECTOR

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECES: Final = "/tmp/pieces"  # noqa: S108 - the appliance's
"""Where the script finds the bytes of all pieces, one after the other."""
WRITTEN: Final = "written"
USED: Final = "used"

# The kernel reads a table anew only where nothing has a partition open (BLKRRPART): RAID and LVM
# have, and hold it; udev has, for a moment, when a disk that was open for writing is closed, and
# would start a volume group at a moment of its own choosing. What it then finds out of the new
# partitions must be over before anybody looks: it reads the table once more for it.
_SCRIPT: Final = """
set -e
{find_disk}
find_disk {place}
read sectors < "/sys/class/block/$disk/size"
set -- "/sys/block/$disk"/holders/* "/sys/block/$disk/$disk"*/holders/* /sys/block/dm-*
for user; do
  [ ! -e "$user" ] || sectors=used
done
if [ "$sectors" != {sectors} ]; then
  echo {used}
  exit
fi
{{
{writes}
}} < {pieces}
result={written}
blockdev --rereadpt "/dev/$disk" || {{
  udevadm settle
  blockdev --rereadpt "/dev/$disk" || result={used}
}}
udevadm settle
echo "$result"
"""


def script(place: int, pieces: Sequence[tuple[int, bytes]], *, size: int) -> str:
    """Give the shell script that writes `pieces`: bytes, each at an offset of the disk at `place`.

    Each is on the disk before the next is begun; then the kernel has read the new table. Prints
    `WRITTEN`, or `USED` where the disk has not `size` bytes, something uses the partitions, or LVM
    may. Nothing was done then, or all but that the kernel read the table.
    """
    # dd leaves its input where the next one goes on.
    write = 'dd of="/dev/$disk" bs=64K iflag=fullblock,count_bytes oflag=seek_bytes status=none'
    writes = "\n".join(
        f"{write} conv=nocreat,notrunc,fsync count={len(data)} seek={offset}"
        for offset, data in pieces
    )
    return _SCRIPT.format(
        find_disk=FIND_DISK,
        place=place,
        sectors=size // SECTOR,
        writes=writes,
        pieces=PIECES,
        used=USED,
        written=WRITTEN,
    )
