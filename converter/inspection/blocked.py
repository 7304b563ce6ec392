"""Which modules for EC2 are kept from loading: by modprobe.d(5), or the kernel's command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.formats import kmod
from converter.guest import paths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from converter.guest.protocol import ReadableGuest
    from converter.model import Bootloader

# A file hides those of the same name in the directories behind its own.
_DIRECTORIES: Final = (
    "/etc/modprobe.d", "/usr/local/lib/modprobe.d", "/usr/lib/modprobe.d", "/lib/modprobe.d",
)  # fmt: skip
# Of module-init-tools, and of SUSE's.
_FILES: Final = ("/etc/modprobe.conf", "/etc/modprobe.conf.local")
# Of the kernel (module_blacklist), of modprobe, and of dracut before and after version 8.
_ARGUMENTS: Final = (
    "module_blacklist", "modprobe.blacklist", "rd.driver.blacklist", "rdblacklist",
)  # fmt: skip


def blocked_modules(
    guest: ReadableGuest, bootloader: Bootloader | None
) -> dict[str, tuple[str, ...]]:
    """Give the modules of EC2's devices that are blocked, each with the files and arguments."""
    rows = load("linux")["drivers"].values()
    wanted = {name for row in rows for name in (*row["modules"], *row.get("also", ()))}
    found: dict[str, tuple[str, ...]] = {}
    for place, text in (*_configured(guest), *_argued(bootloader)):
        for module in sorted(wanted & kmod.parse_blocked(text)):
            found[module] = (*found.get(module, ()), place)
    return found


def _configured(guest: ReadableGuest) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for directory in _DIRECTORIES:
        for name in paths.names(guest, directory):  # a link to /dev/null hides others, too
            if name.endswith(".conf"):
                seen.setdefault(name, f"{directory}/{name}")
    for path in (*_FILES, *seen.values()):
        yield path, paths.text(guest, path) or ""


def _argued(bootloader: Bootloader | None) -> Iterator[tuple[str, str]]:
    entry = bootloader.default if bootloader else None
    for word in entry.arguments if entry else ():
        key, _, value = word.partition("=")
        if key in _ARGUMENTS:
            yield word, "".join(f"blacklist {name}\n" for name in value.split(","))
