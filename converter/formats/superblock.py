"""Whether a filesystem was unmounted cleanly, and where it was mounted last, by its own words.

Sources: Linux Documentation/filesystems/ext4/super.rst; "XFS Algorithms & Data Structures", 3rd
edition, 11 (superblock) and 14 (journaling log); Btrfs documentation, "On-disk format"; JFS Layout.
What is asked for is always a few sectors, and nothing in them is followed without a bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.formats import FormatError, ntfs

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]

_SECTOR: Final = 512
_EXT_64BIT: Final = 1 << 7
# Blocks of 64 KiB.
_EXT_LARGEST: Final = 6
_XFS_RECORD: Final = b"\xfe\xed\xba\xbe"
# A log record and its header: at most 256 KiB, and 8 sectors.
_XFS_WINDOW: Final = 256 << 10 | 4 << 10
_XFS_UNMOUNT: Final = 0x20
_XFS_LOG_LIMIT: Final = 2 << 30


@dataclass(frozen=True, slots=True)
class State:
    """`is_dirty`: its journal must be replayed; `has_errors`: the kernel met damage in it.

    `devices`: on how many it is.
    """

    is_dirty: bool = False
    has_errors: bool = False
    last_mounted: str = ""
    devices: int = 1


def read_state(kind: str, read: Read) -> State:
    """Read the state of a filesystem of the type `kind`; what is not understood counts as clean.

    `read` gives bytes of the device by offset and length, fewer at its end.
    """
    match kind:
        case "ext2" | "ext3" | "ext4":
            return _ext(read(1024, 1024))
        case "xfs":
            return State(is_dirty=_xfs_is_dirty(read))
        case "btrfs":
            return _btrfs(read(64 << 10, 4096))
        case "ntfs":
            return _ntfs(read)
        case "jfs":
            block = read(32 << 10, 4096)
            return State(is_dirty=block[:4] == b"JFS1" and any(block[40:44]))
    return State()


def size(kind: str, read: Read) -> int:
    """Give how many bytes of its device a filesystem, or a physical volume of LVM, takes.

    0 where that is not known; `kind` is as in `read_state`, or LVM2_member (lvm2, pv_header).
    """
    match kind:
        case "ext2" | "ext3" | "ext4":
            block = read(1024, 1024).ljust(1024, b"\0")
            high = _little(block, 336, 4) if _little(block, 96, 4) & _EXT_64BIT else 0
            return (_little(block, 4, 4) | high << 32) << 10 + min(block[24], _EXT_LARGEST)
        case "xfs":
            block = read(0, 16)
            return _number(block, 4, 4) * _number(block, 8, 8)
        case "btrfs":
            return _little(read(64 << 10, 4096), 201 + 8, 8)  # of the superblock's dev_item
        case "ntfs":
            block = read(0, _SECTOR)
            return _little(block, 40, 8) * _little(block, 11, 2)
        case "LVM2_member":
            return _volume_size(read)
    return 0


def _volume_size(read: Read) -> int:
    for sector in range(4):
        label = read(_SECTOR * sector, _SECTOR)
        if label.startswith(b"LABELONE"):
            at = _little(label, 20, 4)
            return _little(label, at + 32, 8)
    return 0


def _ntfs(read: Read) -> State:
    try:
        state = ntfs.read_state(read)
    except FormatError:
        return State(has_errors=True)
    return State(is_dirty=state.is_dirty, has_errors=state.has_errors)


def _ext(block: bytes) -> State:
    if len(block) < 1024 or block[56:58] != b"\x53\xef":
        return State()
    state, incompatible = block[58], block[96]
    place = block[136:200].partition(b"\0")[0].decode("utf-8", "replace")
    return State(
        is_dirty=bool(incompatible & 4) or not state & 1,
        has_errors=bool(state & 2),
        last_mounted=place if place.startswith("/") else "",
    )


def _btrfs(block: bytes) -> State:
    if block[64:72] != b"_BHRfS_M":
        return State()
    return State(is_dirty=any(block[96:104]), devices=int.from_bytes(block[136:144], "little"))


def _little(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "little")


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")


def _xfs_is_dirty(read: Read) -> bool:
    """Tell whether the log ends otherwise than with the record that unmounting writes."""
    block = read(0, _SECTOR)
    start, size = _xfs_log(block)
    if not 2 * _SECTOR <= size <= _XFS_LOG_LIMIT:
        return False
    sectors = size // _SECTOR

    def cycle(sector: int) -> int:
        data = read(start + sector * _SECTOR, 8)
        return _number(data, 4 if data[:4] == _XFS_RECORD else 0, 4)

    first = cycle(0)
    if not first:
        return False  # never written
    head = _first(sectors, lambda sector: cycle(sector) != first)
    begin = max(0, head - _XFS_WINDOW // _SECTOR)
    window = read(start + begin * _SECTOR, (head - begin) * _SECTOR)
    return not _ends_with_unmount(window)


def _xfs_log(block: bytes) -> tuple[int, int]:
    """Give where the log is on the device and its size, in bytes; size 0 if it is elsewhere."""
    if len(block) < _SECTOR or block[:4] != b"XFSB" or block[124] > 31:
        return 0, 0
    block_size, place = _number(block, 4, 4), _number(block, 48, 8)
    group, inside = place >> block[124], place & ((1 << block[124]) - 1)
    start = (group * _number(block, 84, 4) + inside) * block_size
    return start, _number(block, 96, 4) * block_size if place else 0


def _first(count: int, is_later: Callable[[int], bool]) -> int:
    """Give the first number below `count` that is later; `count` if none is."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if is_later(middle):
            high = middle
        else:
            low = middle + 1
    return low


def _ends_with_unmount(window: bytes) -> bool:
    for at in range(len(window) - len(window) % _SECTOR - _SECTOR, -1, -_SECTOR):
        if window[at : at + 4] == _XFS_RECORD:
            break
    else:
        return False
    header = window[at : at + _SECTOR]
    length, size = _number(header, 12, 4), _number(header, 320, 4)
    headers = max(1, -(-size // (32 << 10))) if _number(header, 8, 4) & 2 else 1
    body = at + headers * _SECTOR
    whole = length and body + -(-length // _SECTOR) * _SECTOR == len(window)
    return bool(whole) and _number(header, 40, 4) == 1 and bool(window[body + 9] & _XFS_UNMOUNT)
