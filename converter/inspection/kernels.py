"""The kernels a Linux guest has, and the modules each of them has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.formats import kmod
from converter.guest import paths
from converter.model import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.model import BootEntry

MODULES: Final = "/lib/modules"
# modules.dep of a distribution kernel is about 1 MiB; this bounds a hostile one.
INDEX_LIMIT: Final = 16 << 20
_IMAGE: Final = re.compile(r"(?:vmlinuz|vmlinux|bzImage|kernel|linux)-(.+)")


def inspect_kernels(guest: ReadableGuest) -> tuple[Kernel, ...]:
    """Give every kernel that has modules or an image, by release."""
    images = _images(guest)
    releases = {name for name in paths.names(guest, MODULES) if _has_modules(guest, name)}
    return tuple(
        Kernel(
            release=release,
            image=images.get(release, ""),
            modules=frozenset(modules(guest, release)),
            builtin=frozenset(builtin(guest, release)),
        )
        for release in sorted(releases | images.keys())
    )


def _images(guest: ReadableGuest) -> dict[str, str]:
    found = {}
    for name in paths.names(guest, "/boot"):
        match = _IMAGE.fullmatch(name)
        if match and not name.endswith(".old") and paths.is_file(guest, f"/boot/{name}"):
            found[match[1]] = f"/boot/{name}"
    return found


def _has_modules(guest: ReadableGuest, release: str) -> bool:
    return paths.is_file(guest, f"{MODULES}/{release}/modules.dep")


def index(guest: ReadableGuest, release: str, name: str) -> str:
    """Give the text of the module index `name` (modules.dep, …) of `release`; "" if it has none."""
    path = f"{MODULES}/{release}/{name}"
    if not paths.is_file(guest, path):
        return ""
    return guest.read(path, limit=INDEX_LIMIT).decode("utf-8", "surrogateescape")


def modules(guest: ReadableGuest, release: str) -> set[str]:
    """Give the names of the modules that `release` can load."""
    return {kmod.module_name(path) for path in kmod.parse_dep(index(guest, release, "modules.dep"))}


def builtin(guest: ReadableGuest, release: str) -> set[str]:
    """Give the names of the modules that are part of the kernel image of `release`."""
    return set(kmod.parse_builtin(index(guest, release, "modules.builtin")))


def kernel_of(
    guest: ReadableGuest, entry: BootEntry | None, kernels: Sequence[Kernel]
) -> Kernel | None:
    """Give the kernel that `entry` starts; its image may be named through links (/vmlinuz)."""
    if entry is None:
        return None
    image = paths.resolve(guest, entry.kernel)
    match = _IMAGE.fullmatch(image.rpartition("/")[2])
    return next(
        (kernel for kernel in kernels if match and kernel.release == match[1]),
        None,
    )
