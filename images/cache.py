"""Built images, kept outside the tree under a key made from what they are built from.

`$XDG_CACHE_HOME/converter/images/NAME-DIGEST/`: a recipe that changes, or the code that builds it,
makes another image. Several processes may ask at once: one builds, the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import converter.cache
from images import recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from images.recipe import Recipe

_HERE = Path(__file__).parent
# What has no part in building an image must not make a new one.
_BUILDERS = (
    "appliance.py", "base.py", "bootloader.py", "build.py", "disk.py", "recipe.py", "rootfs.py",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A guest's disks as sparse raw images, boot disk first, and the recipe they were made by."""

    name: str
    disks: tuple[Path, ...]
    recipe: Recipe

    @property
    def path(self) -> Path:
        """The boot disk."""
        return self.disks[0]


def root() -> Path:
    """Give the directory of the cache."""
    base = converter.cache.directory()
    if base is None:
        raise RuntimeError("built images need a place: set XDG_CACHE_HOME or HOME")
    return base / "images"


def image(name: str) -> BuiltImage:
    """Give the image `name`, building it if it is not there."""
    from images.build import build

    found = recipe.load(name)
    key = digest(recipe.path(name), *(_HERE / builder for builder in _BUILDERS))
    directory = kept(f"{name}-{key}", lambda target: build(found, target))
    disks = tuple(directory / disk_name(number) for number in range(len(found.disks)))
    return BuiltImage(name, disks, found)


def disk_name(number: int) -> str:
    """Give the file name of a guest's disk, counted from 0."""
    return f"disk{number}.raw"


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Give the directory `name` of the cache; `make` fills it when it is not there."""
    target = root() / name
    root().mkdir(parents=True, exist_ok=True)
    with _locked(root() / f"{name}.lock"):
        if not target.is_dir():
            staging = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root()))
            try:
                make(staging)
                staging.rename(target)
            except BaseException:
                shutil.rmtree(staging, ignore_errors=True)
                raise
    return target


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(*paths: Path) -> str:
    """Give a key made from the content of files."""
    content = hashlib.sha256()
    for path in paths:
        content.update(path.read_bytes())
    return content.hexdigest()[:16]
