"""What is in the ext filesystem of a guest, read by e2fsprogs: another reader than libguestfs."""

from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING

from converter import process

if TYPE_CHECKING:
    from pathlib import Path


def partition_start(image: Path, number: int) -> int:
    """Give where partition `number`, from 1, of a raw image begins (bytes)."""
    table = json.loads(process.run(["sfdisk", "--json", str(image)]).stdout)["partitiontable"]
    return int(table["partitions"][number - 1]["start"]) * 512


def read_tree(image: Path, number: int, scratch: Path) -> dict[str, str]:
    """Give every path on an ext partition of a raw image with its kind, owner, mode and content.

    Times are left out: two conversions are not done in the same second.
    """
    target = scratch / "tree"
    target.mkdir()
    filesystem = f"{image}?offset={partition_start(image, number)}"
    process.run(["e2fsck", "-fn", filesystem])
    process.run(["debugfs", "-R", f"rdump / {target}", filesystem])
    return {
        str(path).removeprefix(str(target)): _describe(path) for path in sorted(target.rglob("*"))
    }


def _describe(path: Path) -> str:
    found = path.lstat()
    owner = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
    if stat.S_ISLNK(found.st_mode):
        return f"{owner} -> {path.readlink()}"
    if not stat.S_ISREG(found.st_mode):
        return owner
    with path.open("rb") as file:
        return f"{owner} {hashlib.file_digest(file, 'sha256').hexdigest()}"
