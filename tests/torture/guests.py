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
from typing import TYPE_CHECKING, Any

from converter import process
from converter.model import FileKind
from images.cache import digest, kept
from images.exports import write
from tests.guests import disks, harness, kernels
from tests.trees import read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from converter.guest.memory import Node
    from tests.guests.disks import Part
    from tests.guests.machine import Device

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
    key = digest(*(Path(module) for module in (__file__, disks.__file__, kernels.__file__)))
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
    data = _fixture(second=second)
    machine = harness.Fixture("torture", data).machine()
    made = []
    for name, disk in machine._disks.items():
        image = directory / f"{name[5:]}.img"
        with image.open("wb") as file:
            file.truncate(disk.size)
            for sector, content in disk.sectors.items():
                file.seek(sector * disks.SECTOR)
                file.write(content)
        for part in disk.parts:
            _fill(image, part, machine._devices[f"{name}{part.number}"])
        made.append(image)
    return made


def _fixture(*, second: bool) -> dict[str, Any]:
    data = harness.load("debian-12.7").data
    table = _TABLE + ("/dev/sdb1 /data ext4 defaults 0 2\n" if second else "")
    return {
        **data,
        "disks": [_SYSTEM, *([_SECOND] if second else [])],
        "files": {**data["files"], "/etc/fstab": table},
    }


def _fill(image: Path, part: Part, device: Device) -> None:
    """Make a filesystem, or swap space, in a partition."""
    with tempfile.TemporaryDirectory(dir=image.parent) as scratch:
        made = Path(scratch, "partition")
        with made.open("wb") as file:
            file.truncate(part.size)
        if device.found.type == "swap":
            process.run(["mkswap", "-U", device.found.uuid, str(made)])
        else:
            tree = Path(scratch, "tree")
            tree.mkdir()
            _unfold(device.tree, tree)
            (tree / "noise").write_bytes(random.Random(0).randbytes(_DATA))  # noqa: S311
            options = ["-q", "-F", "-U", device.found.uuid, "-d", str(tree)]
            process.run(["mkfs.ext4", *options, str(made)])
        at = [f"seek={part.start // disks.MIB}", "bs=1M", "conv=sparse,notrunc", "status=none"]
        process.run(["dd", f"if={made}", f"of={image}", *at])


def _unfold(tree: Mapping[str, Node], directory: Path) -> None:
    for path, node in sorted(tree.items()):
        place = directory / path.lstrip("/")
        if node.kind is FileKind.SYMLINK:
            place.symlink_to(node.data.decode())
        elif node.kind is FileKind.DIRECTORY:
            place.mkdir(exist_ok=True)
            place.chmod(node.mode)
        else:
            place.write_bytes(node.data)
            place.chmod(node.mode)
