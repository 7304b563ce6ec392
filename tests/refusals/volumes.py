"""Disks that only a kernel makes: arrays, volume groups, subvolumes. They are made once, kept."""

from __future__ import annotations

import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from images import appliance
from images.appliance import here
from images.cache import digest, kept
from tests.guests import written
from tests.guests.harness import HERE
from tests.refusals.guests import default_gone, guest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.guests.machine import Tree

_SIZE = 256 << 20
# Each is half of something; the last is a guest with Btrfs, which only that can fill.
_HALVES = (
    *("group-1", "group-2", "mirror-1", "mirror-2", "stripe-1", "stripe-2"),
    *("pair-1", "pair-2"),
)
_BTRFS = "btrfs"
_SCRIPT = """
set -eu
vgcreate vg0 {group[0]} {group[1]}
lvcreate -y -Zn -Wn -n root -l 100%FREE vg0
vgchange -an vg0
array() {{
    mdadm --create $1 --run --assume-clean --homehost=any --level=$2 --raid-devices=2 $3 $4
    mdadm --stop $1
}}
array /dev/md1 1 {mirror[0]} {mirror[1]}
array /dev/md2 0 {stripe[0]} {stripe[1]}
mkfs.btrfs -q -f -d raid1 -m raid1 {pair[0]} {pair[1]}
mkfs.btrfs -q -f -U {uuid} -L fedora {btrfs}3
mount {btrfs}3 /sysroot
for name in {subvolumes}; do btrfs subvolume create /sysroot/$name; done
tar -C /sysroot -xf {tree}
umount /sysroot
"""


def halves(*names: str) -> Sequence[Path]:
    """Give disks whose other halves are missing: of a group, a mirror, a stripe or a Btrfs."""
    return [_made() / f"{name}.raw" for name in names]


def fedora() -> Sequence[Path]:
    """Give a Fedora whose root and /home are subvolumes, and whose default entry is gone."""
    return [_made() / f"{_BTRFS}.raw"]


@cache
def _made() -> Path:
    parts = [Path(__file__), *sorted(HERE.glob("*.py")), *sorted(HERE.rglob("*.toml"))]
    return kept(f"refused-{digest(*parts)}", _make)


def _make(directory: Path) -> None:
    machine = guest("fedora-43", default_gone).machine()
    [disk] = written.write(machine, directory)
    disks = [directory / f"{name}.raw" for name in _HALVES]
    for path in disks:
        with path.open("wb") as file:
            file.truncate(_SIZE)
    disks.append(disk.rename(directory / f"{_BTRFS}.raw"))
    filesystem = machine.contents("/dev/sda3")
    with tempfile.TemporaryDirectory() as work:
        disks.append(_packed(filesystem.tree, Path(work)))
        names = [here(appliance.disk_device(number)) for number in range(len(disks))]
        script = _SCRIPT.format(
            group=names[0:2], mirror=names[2:4], stripe=names[4:6], pair=names[6:8],
            btrfs=names[8], tree=names[9],
            uuid=filesystem.found.uuid, subvolumes=" ".join(filesystem.subvolumes),
        )  # fmt: skip
        appliance.run(script, disks)


def _packed(tree: Tree, work: Path) -> Path:
    top, archive = work / "tree", work / "tree.tar"
    top.mkdir()
    written.write_tree(tree, top)
    with tarfile.open(archive, "w") as file:
        file.add(top, arcname=".")
    return archive
