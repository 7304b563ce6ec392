"""The kernels a Linux guest has, and the modules each of them has.

The release of a kernel is what its image says (Linux Documentation/arch/x86/boot.rst, header field
`kernel_version`), whatever the file is called: Arch has /boot/vmlinuz-linux, SUSE and Fedora keep
the image as /usr/lib/modules/RELEASE/vmlinuz.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import GuestError
from converter.formats import kmod
from converter.guest import paths
from converter.guest.protocol import Code
from converter.model import Kernel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.model import BootEntry

MODULES: Final = "/lib/modules"
# modules.dep of a distribution kernel is about 1 MiB; this bounds a hostile one.
INDEX_LIMIT: Final = 16 << 20
# Servers that never remove a kernel get to some hundreds, of four files and 7000 modules each.
_NAMES_LIMIT: Final = 5000
_MODULES_LIMIT: Final = 3_000_000
_IMAGE: Final = re.compile(r"(?:vmlinuz|vmlinux|bzImage|kernel|linux)-(.+)")
_INSTALLED: Final = re.compile(r"(?:/usr)?/lib/modules/([^/]+)/[^/]+")

# Of the boot protocol's header: its magic, and where the version's place (16 bits) is. The setup
# code that the version lies in has at most 64 sectors.
_MAGIC_AT: Final = 0x202
_VERSION_AT: Final = 0x20E
_SETUP_LIMIT: Final = 65 * 512
_RELEASE: Final = re.compile(rb"[\w.+~-]{1,64}")

# A distribution's is 300 KiB.
_CONFIG_LIMIT: Final = 4 << 20
_CONFIGS: Final = ("/boot/config-{}", "/lib/modules/{}/config", "/lib/modules/{}/build/.config")


def inspect_kernels(guest: ReadableGuest) -> tuple[Kernel, ...]:
    """Give every kernel that has modules or an image, by release."""
    images = _images(guest)
    releases = {name for name in _names(guest, MODULES) if _has_modules(guest, name)}
    found: list[Kernel] = []
    modules_in_all = 0
    for release in sorted(releases | images.keys()):
        kernel = Kernel(
            release=release,
            image=images.get(release, ""),
            modules=frozenset(modules(guest, release)),
            builtin=frozenset(builtin(guest, release)),
        )
        modules_in_all += len(kernel.modules) + len(kernel.builtin)
        if modules_in_all > _MODULES_LIMIT:
            raise GuestError(
                Code.TOO_LARGE, f"{MODULES}: its kernels have more than {_MODULES_LIMIT} modules"
            )
        found.append(kernel)
    return tuple(found)


def _names(guest: ReadableGuest, directory: str) -> tuple[str, ...]:
    """Give the names in a directory of kernels. Raises `GuestError` where there are too many."""
    found = paths.names(guest, directory)
    if len(found) > _NAMES_LIMIT:
        raise GuestError(Code.TOO_LARGE, f"{directory}: has {len(found)} files, too many to read")
    return found


def _images(guest: ReadableGuest) -> dict[str, str]:
    """Give the image of each release; of two, the one that has the release in its name."""
    found: dict[str, str] = {}
    for name in _names(guest, "/boot"):
        match = _IMAGE.fullmatch(name)
        if match is None or name.endswith(".old") or not paths.is_file(guest, f"/boot/{name}"):
            continue
        release = release_of(guest, f"/boot/{name}")
        if release not in found or match[1] == release:
            found[release] = f"/boot/{name}"
    return found


def release_of(guest: ReadableGuest, image: str) -> str:
    """Give the release of the kernel in the file `image`; "" if nothing tells it."""
    real = paths.resolve(guest, image)
    if not paths.is_file(guest, real):
        return ""
    named = _INSTALLED.fullmatch(real) or _IMAGE.fullmatch(real.rpartition("/")[2])
    return _release_inside(guest.head(real, length=_SETUP_LIMIT)) or (named[1] if named else "")


def _release_inside(head: bytes) -> str:
    """Read the release from the header of a bzImage; "" if this is none."""
    if head[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS":
        return ""
    place = int.from_bytes(head[_VERSION_AT : _VERSION_AT + 2], "little")
    match = _RELEASE.match(head, place + 512) if place else None
    return match[0].decode() if match else ""


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
    """Give the names of the modules that are part of the kernel image of `release`.

    modules.builtin exists since Linux 2.6.33; of EC2's drivers, the kernel's configuration tells
    it as well.
    """
    listed = set(kmod.parse_builtin(index(guest, release, "modules.builtin")))
    return listed | _configured(guest, release)


def _configured(guest: ReadableGuest, release: str) -> set[str]:
    """Give EC2's drivers that the configuration of the kernel `release` has built in."""
    places = (place.format(release) for place in _CONFIGS)
    place = next((place for place in places if paths.is_file(guest, place)), None)
    config = "" if place is None else paths.text(guest, place, limit=_CONFIG_LIMIT) or ""
    lines = frozenset(config.splitlines())
    rows = load("linux")["drivers"].values()
    return {row["modules"][0] for row in rows if f"{row['option']}=y" in lines}


def kernel_of(
    guest: ReadableGuest, entry: BootEntry | None, kernels: Sequence[Kernel]
) -> Kernel | None:
    """Give the kernel that `entry` starts; its image may be named through links (/vmlinuz)."""
    release = release_of(guest, entry.kernel) if entry is not None and entry.kernel else ""
    return next((kernel for kernel in kernels if release and kernel.release == release), None)
