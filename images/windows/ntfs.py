"""NTFS volumes, made and filled without root: mkntfs, and wimlib, which knows how to write one.

What mkntfs leaves out of a boot sector is put in here: Windows' signature, and code that says that
it was started (`vbr.asm`).

Limits: every file has the access list that wimlib gives one that has none (all for everyone, from
the root down); Windows' own are narrower.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from converter import process
from images.windows.programs import assembled
from images.windows.tree import Link

if TYPE_CHECKING:
    from pathlib import Path

    from images.windows.tree import Files

_SECTOR: Final = 512
_CLUSTER: Final = 4096
_RECORD: Final = 1024
# From the jump to the end of the BPB: the jump is the code's, the rest is the volume's.
_BPB: Final = slice(3, 0x54)
_VOLUME: Final = 3
_VOLUME_INFORMATION: Final = 0x70
_IS_DIRTY: Final = 1


def make(volume: Path, files: Files, *, size: int, start: int, label: str) -> None:
    """Make the file `volume`: an NTFS with `files`, for `size` bytes from `start` of a disk."""
    with volume.open("wb") as file:
        file.truncate(size)
    process.run(
        [
            "mkntfs", "--quick", "--force", "--quiet", "--cluster-size", str(_CLUSTER),
            "--sector-size", str(_SECTOR), "--heads", "255", "--sectors-per-track", "63",
            "--partition-start", str(start // _SECTOR), "--label", label, str(volume),
        ]
    )  # fmt: skip
    _fill(volume, files)


def _fill(volume: Path, files: Files) -> None:
    tree = volume.with_suffix(".tree")
    write_tree(tree, files)
    # An empty configuration: wimlib leaves page files out by itself.
    empty, archive = volume.with_suffix(".cfg"), volume.with_suffix(".wim")
    empty.touch()
    process.run(
        [
            "wimlib-imagex", "capture", str(tree), str(archive), "C", f"--config={empty}",
            "--compress=none", "--threads=1", "--no-acls",
        ]
    )  # fmt: skip
    process.run(["wimlib-imagex", "apply", str(archive), "1", str(volume)])
    archive.unlink()


def write_tree(tree: Path, files: Files) -> None:
    """Write `files` below the directory `tree`."""
    tree.mkdir()
    for name, data in files.items():
        path = tree / name
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        elif isinstance(data, Link):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(data.target)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def put_boot_code(volume: Path) -> None:
    """Make the boot sectors those of a volume that Windows made."""
    code = assembled("vbr")
    with volume.open("r+b") as file:
        bpb = file.read(_SECTOR)[_BPB]
        sector = code[: _BPB.start] + bpb + code[_BPB.stop :]
        file.seek(0)
        file.write(sector)
        # The copy in the last sector is one of the first sector alone.
        file.seek(-_SECTOR, 2)
        file.write(sector[:_SECTOR])


def mark_dirty(volume: Path) -> None:
    """Set the flag that has Windows check the volume at its next start, in both copies."""
    with volume.open("r+b") as file:
        boot = file.read(_SECTOR)
        for at in struct.unpack_from("<QQ", boot, 0x30):
            place = at * _CLUSTER + _VOLUME * _RECORD
            file.seek(place)
            record = bytearray(file.read(_RECORD))
            _set_flag(record)
            file.seek(place)
            file.write(record)


def _set_flag(record: bytearray) -> None:
    """Set the flag in `$Volume`'s record: before the places that fixups have exchanged."""
    (at,) = struct.unpack_from("<H", record, 0x14)
    while True:
        kind, length = struct.unpack_from("<II", record, at)
        if kind == _VOLUME_INFORMATION:
            (value,) = struct.unpack_from("<H", record, at + 0x14)
            where = at + value + 10
            if where % _SECTOR >= _SECTOR - 2:
                raise RuntimeError("the flags are where a fixup is")
            struct.pack_into("<H", record, where, _IS_DIRTY)
            return
        at += length
