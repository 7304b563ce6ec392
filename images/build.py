"""From a recipe to a bootable disk image."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from images import bootloader, disk, rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from images.recipe import Recipe


def build(recipe: Recipe, directory: Path) -> None:
    """Make `directory`/disk.raw by `recipe`; everything else made on the way is removed."""
    tree = directory / "root"
    rootfs.make(recipe, tree)
    bootloader.install_files(tree)
    image = directory / "building.raw"
    placed = disk.partitioned(recipe, image)
    if "bios" in recipe.firmware:
        bootloader.install_bios(recipe, tree, image, placed)
    if "uefi" in recipe.firmware:
        bootloader.install_uefi(recipe, tree)
    # The innermost mounts first: each takes its files out of the tree of the next.
    for item in sorted(placed, key=lambda item: len(item.partition.mount), reverse=True):
        disk.fill(image, item, _subtree(tree, item.partition.mount))
    (directory / "root.sh").unlink()
    shutil.rmtree(directory / "root.files")
    shutil.rmtree(tree)
    image.rename(directory / "disk.raw")


def _subtree(tree: Path, mount: str) -> Path | None:
    """Take what belongs to a mount out of the tree, leaving the empty directory for it."""
    if not mount:
        return None
    if mount == "/":
        return tree
    taken = tree.with_name("mount-" + mount.strip("/").replace("/", "-"))
    (tree / mount.lstrip("/")).rename(taken)
    (tree / mount.lstrip("/")).mkdir()
    return taken
