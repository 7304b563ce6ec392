"""Volumes of NTFS, as much of each as its state is read from: field by field, after ntfs.h.

The boot sector and Windows' code behind it; the master file table's records of the journal and of
the volume itself; the two restart pages of the journal.
"""

from __future__ import annotations

import struct

from tests.unit.disk.ntfs_samples import boot_sector, windows_code

CLUSTER = 4096
RECORD = 1024
MFT = 4 * CLUSTER
LOG = 8 * CLUSTER
PAGE = 4096
DIRTY = 0x0001
# Of a journal: nobody uses it, or the first client does; the volume was unmounted.
NOBODY, CLIENT, CLEAN = 0xFFFF, 0, 0x0002

Pieces = dict[int, bytes]


def protect(data: bytes, *, at: int, number: int = 0x1234) -> bytes:
    """Give what is written: the last two bytes of each sector tell that it was."""
    count = len(data) // 512
    written = bytearray(data)
    saved = struct.pack("<H", number)
    for end in range(512, len(data) + 1, 512):
        saved += data[end - 2 : end]
        written[end - 2 : end] = struct.pack("<H", number)
    struct.pack_into("<HH", written, 4, at, count + 1)
    written[at : at + len(saved)] = saved
    return bytes(written)


def resident(kind: int, content: bytes) -> bytes:
    size = 24 + -(-len(content) // 8) * 8
    header = struct.pack("<IIBBHHHIHH", kind, size, 0, 0, 24, 0, 0, len(content), 24, 0)
    return (header + content).ljust(size, b"\0")


def outside(kind: int, runs: bytes) -> bytes:
    """Give an attribute whose content lies where `runs` say."""
    size = 64 + -(-len(runs) // 8) * 8
    header = struct.pack("<IIBBHHHQQH", kind, size, 1, 0, 64, 0, 0, 0, 0, 64).ljust(64, b"\0")
    return (header + runs).ljust(size, b"\0")


def record(*attributes: bytes) -> bytes:
    data = bytearray(RECORD)
    data[:4] = b"FILE"
    struct.pack_into("<H", data, 20, 56)
    body = b"".join(attributes) + struct.pack("<II", 0xFFFFFFFF, 0)
    data[56 : 56 + len(body)] = body
    return protect(bytes(data), at=48)


def restart_page(*, lsn: int, in_use: int = NOBODY, flags: int = CLEAN) -> bytes:
    data = bytearray(PAGE)
    data[:4] = b"RSTR"
    struct.pack_into("<IIH", data, 16, PAGE, PAGE, 48)
    struct.pack_into("<QHHHH", data, 48, lsn, 1, NOBODY, in_use, flags)
    return protect(bytes(data), at=30)


def log_run(cluster: int = LOG // CLUSTER) -> bytes:
    """Give the run of a journal of 16 clusters."""
    return b"\x21\x10" + cluster.to_bytes(2, "little", signed=True) + b"\0"


def volume(  # the defaults are those of a volume that was unmounted
    sectors: int = 2048,
    *,
    flags: int = 0,
    log: bytes | None = None,
    pages: tuple[bytes, bytes] | None = None,
    windows: bool = True,
    hidden: int = 0,
) -> Pieces:
    """Give a volume's pieces by their offsets; `log` is the journal's $DATA."""
    boot = bytearray(boot_sector(sectors - 1, hidden=hidden))
    struct.pack_into("<Q", boot, 48, MFT // CLUSTER)
    struct.pack_into("<b", boot, 64, -10)
    information = resident(0x70, bytes(8) + struct.pack("<BBH", 3, 1, flags))
    journal = record(resident(0x10, bytes(48)), log or outside(0x80, log_run()))
    first, second = pages or (restart_page(lsn=5), restart_page(lsn=4))
    return {
        0: bytes(boot) + (windows_code() if windows else b""),
        MFT + 2 * RECORD: journal,
        MFT + 3 * RECORD: record(resident(0x10, bytes(48)), information),
        LOG: first,
        LOG + PAGE: second,
        (sectors - 1) * 512: bytes(boot),
    }


def joined(pieces: Pieces) -> bytes:
    """Give a volume as it is on its partition."""
    data = bytearray(max(at + len(piece) for at, piece in pieces.items()))
    for at, piece in pieces.items():
        data[at : at + len(piece)] = piece
    return bytes(data)
