"""The guests that are tortured: real disks, as small as one can be that has to be changed.

Files and layout are those of a fixture (`tests.guests`), on ext4; and as much data that do not
compress as gives the copy something to do.
"""

from __future__ import annotations

import hashlib
import random
import tempfile
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from converter.guest.memory import Node
from converter.model import FileKind
from images.cache import digest, kept
from images.exports import write
from tests.guests import disks, harness, kernels, written
from tests.trees import read_tree

KINDS = ("raw", "vmdk-stream", "qcow2", "vhdx", "ova", "two-disks")
_DATA = 24 << 20
_SYSTEM = {
    "size": "256M",
    "boot": "grub2",
    "partitions": [
        {"size": "224M", "type": "linux", "fs": "ext4", "mount": "/", "active": True},
        {"size": "8M", "type": "swap", "fs": "swap", "mount": "swap"},
    ],
}
_SECOND = {
    "size": "64M",
    "partitions": [{"size": "48M", "type": "linux", "fs": "ext4", "mount": "/data"}],
}
_TABLE = """
/dev/sda1 /    ext4 errors=remount-ro 0 1
/dev/sda2 none swap sw                0 0
"""


@dataclass(frozen=True)
class Guest:
    """A guest in a container: what is given to `converter convert`."""

    kind: str
    paths: tuple[Path, ...]

    @property
    def disks(self) -> int:
        return disks_of(self.kind)

    def digest(self) -> str:
        """Give a digest of all bytes of the source."""
        content = hashlib.sha256()
        for path in self.paths:
            with path.open("rb") as file:
                content.update(hashlib.file_digest(file, "sha256").digest())
        return content.hexdigest()

    def at(self, directory: Path) -> Guest:
        """Give the same guest where `directory` is a copy, or another view, of its own."""
        return replace(self, paths=tuple(directory / path.name for path in self.paths))


def disks_of(kind: str) -> int:
    """Give how many disks the guest in a container of `kind` has."""
    return 2 if kind == "two-disks" else 1


def guest(kind: str) -> Guest:
    """Give the guest in a container of `kind`, made when it is not in the cache."""
    key = digest(
        *(Path(module) for module in (__file__, disks.__file__, kernels.__file__, written.__file__))
    )
    directory = kept(f"torture-{kind}-{key}", partial(_make, kind))
    paths = tuple(sorted(path for path in directory.iterdir() if path.name.startswith("guest")))
    return Guest(kind, paths)


def trees(directory: Path, name: str, number: int, *, work: Path) -> dict[str, str]:
    """Describe all files in the converted images of a guest with `number` disks."""
    found: dict[str, str] = {}
    for disk in range(number):
        image = directory / (f"{name}-{disk}.raw" if disk else f"{name}.raw")
        with tempfile.TemporaryDirectory(dir=work) as scratch:
            tree = read_tree(image, 1, Path(scratch))
        found |= {f"{disk}:{path}": description for path, description in tree.items()}
    return found


def _make(kind: str, directory: Path) -> None:
    if kind == "two-disks":
        for number, disk in enumerate(_disks(directory, second=True)):
            write(disk, "vmdk-sparse", directory).rename(directory / f"guest{number}.vmdk")
            disk.unlink()
        return
    (disk,) = _disks(directory, second=False)
    if kind == "raw":
        disk.rename(directory / "guest.raw")
        return
    write(disk, kind, directory)
    disk.unlink()


def _disks(directory: Path, *, second: bool) -> list[Path]:
    machine = harness.Fixture("torture", _fixture(second=second)).machine()
    noise = random.Random(0).randbytes(_DATA)  # noqa: S311
    for device in ("/dev/sda1", "/dev/sdb1")[: 2 if second else 1]:
        machine.contents(device).tree["/noise"] = Node(FileKind.FILE, data=noise, mode=0o644)
    return written.write(machine, directory)


def _fixture(*, second: bool) -> dict[str, Any]:
    data = harness.load("debian-12.7").data
    table = _TABLE + ("/dev/sdb1 /data ext4 defaults 0 2\n" if second else "")
    return {
        **data,
        "disks": [_SYSTEM, *([_SECOND] if second else [])],
        "files": {**data["files"], "/etc/fstab": table},
    }
