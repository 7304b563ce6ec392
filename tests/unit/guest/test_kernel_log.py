"""What the kernel's log tells of disks that did not do what was asked of them."""

from __future__ import annotations

import pytest

from converter.guest.kernel_log import Fault, fault

# As Linux 6.1 and 4.19 print them: block/blk-core.c.
READ = (
    "[   12.3] I/O error, dev sda, sector 2048 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2"
)
WRITE = "[   12.4] I/O error, dev sda, sector 8 op 0x1:(WRITE) flags 0x800 phys_seg 1 prio class 2"
FULL = "[   12.5] critical space allocation error, dev sdb, sector 8 op 0x1:(WRITE) flags 0x800"
MEDIUM = "[   12.6] critical medium error, dev sda, sector 8 op 0x0:(READ) flags 0x0"
OLD = "[   12.7] print_req_error: I/O error, dev sda, sector 8"
HARMLESS = """\
[    1.0] sd 2:0:0:0: [sda] 8388608 512-byte logical blocks: (4.29 GB/4.00 GiB)
[    2.0] EXT4-fs (sda1): mounted filesystem with ordered data mode
[    3.0] sda1: attempt to access beyond end of device
[    4.0] EXT4-fs error (device sda1): ext4_lookup:1815: inode #2: comm guestfsd: deleted inode
[    4.5] I/O error, dev dm-1, sector 0 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 2
[    4.6] Buffer I/O error on dev md127, logical block 0, async page read
[    4.7] BTRFS: device label I/O error, dev sda, sector 0 devid 1 transid 6 /dev/sda1
[    5.0] critical target error, dev sda, sector 8 op 0x3:(DISCARD) flags 0x800
"""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("", None),
        (HARMLESS, None),
        (READ, Fault.READ),
        (MEDIUM, Fault.READ),
        (WRITE, Fault.WRITE),
        (OLD, Fault.WRITE),
        (f"<3>{OLD}", Fault.WRITE),
        (READ.replace("] ", "][   T12] "), Fault.READ),
        (FULL, Fault.NO_ROOM),
        (f"{HARMLESS}{READ}\n{WRITE}\n", Fault.WRITE),
        (f"{READ}\n{WRITE}\n{FULL}\n{HARMLESS}", Fault.NO_ROOM),
    ],
)
def test_the_worst_that_the_disks_did_is_told(said: str, found: Fault | None) -> None:
    assert fault(said) is found
