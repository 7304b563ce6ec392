"""From a recipe to the disks of a bootable guest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from images import disk, rootfs

if TYPE_CHECKING:
    from pathlib import Path

    from images.recipe import Recipe


def build(recipe: Recipe, directory: Path) -> None:
    """Make the disks of `recipe` in `directory`; everything else made on the way is removed."""
    files = rootfs.make(recipe, directory)
    disk.make(recipe, files, directory)
    files.unlink()
