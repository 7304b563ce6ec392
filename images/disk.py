"""A disk image with a partition table and filesystems, made by tools that need no devices."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter import process
from images.recipe import bytes_of

if TYPE_CHECKING:
    from pathlib import Path

    from images.recipe import Partition, Recipe

SECTOR: Final = 512
_DISK_ID: Final = "0xc0ffee12"
_GPT_ID: Final = "C0FFEE12-5B5E-4B5C-9D5B-7D1C0FFEE012"


@dataclass(frozen=True)
class Placed:
    """A partition of the recipe, and where in the image it lies (bytes)."""

    partition: Partition
    start: int
    size: int


def partitioned(recipe: Recipe, image: Path) -> list[Placed]:
    """Make `image` with the recipe's partition table, sparse, and say where the partitions are."""
    with image.open("wb") as file:
        file.truncate(bytes_of(recipe.size))
    label = "dos" if recipe.table == "mbr" else "gpt"
    identifier = _DISK_ID if recipe.table == "mbr" else _GPT_ID
    lines = [f"label: {label}", f"label-id: {identifier}"]
    for number, partition in enumerate(recipe.partitions, start=1):
        fields = [f"size={bytes_of(partition.size) // SECTOR}", f"type={partition.type}"]
        fields += ["bootable"] if partition.active else []
        if label == "gpt":
            fields += [f'name="{partition.name}"', f"uuid={_part_uuid(number)}"]
        lines.append(", ".join(fields))
    process.run(["sfdisk", "--quiet", str(image)], stdin="\n".join(lines).encode())
    table = json.loads(process.run(["sfdisk", "--json", str(image)]).stdout)["partitiontable"]
    return [
        Placed(partition, found["start"] * SECTOR, found["size"] * SECTOR)
        for partition, found in zip(recipe.partitions, table["partitions"], strict=True)
    ]


def _part_uuid(number: int) -> str:
    return f"C0FFEE12-5B5E-4B5C-9D5B-7D1C0FFEE{number:03X}"


def fill(image: Path, placed: Placed, tree: Path | None) -> None:
    """Make the filesystem of a partition, with the files of `tree` in it, and put it in place."""
    partition = placed.partition
    part = image.with_name(f"part-{placed.start}")
    with part.open("wb") as file:
        file.truncate(placed.size)
    match partition.filesystem:
        case "ext4":
            source = ["-d", str(tree)] if tree is not None else []
            process.run(["mkfs.ext4", "-q", "-F", "-U", partition.uuid, *source, str(part)])
        case "swap":
            process.run(["mkswap", "--uuid", partition.uuid, str(part)])
        case "vfat":
            _make_vfat(part, partition, tree)
        case "":
            part.unlink()
            return
    process.run(
        [
            "dd", f"if={part}", f"of={image}", "bs=1M", f"seek={placed.start}",
            "oflag=seek_bytes", "conv=notrunc,sparse", "status=none",
        ]
    )  # fmt: skip
    part.unlink()


def _make_vfat(part: Path, partition: Partition, tree: Path | None) -> None:
    serial = partition.uuid.replace("-", "")
    process.run(["mkfs.vfat", "-i", serial, str(part)])
    if tree is not None:
        children = [str(child) for child in sorted(tree.iterdir())]
        process.run(["mcopy", "-s", "-i", str(part), *children, "::/"])
