"""The EFI programs of a guest: what starts without what firmware remembers, and what could.

Firmware that knows no boot entry starts EFI/BOOT/BOOTX64.EFI of an ESP (UEFI 2.10, 3.5.1.1). What
follows must be there too: shim starts its second stage from its own directory, or, in EFI/BOOT, the
fallback program beside it, which goes by the CSV files of the vendors' directories (shim's README
and README.fallback); GRUB needs its configuration where its prefix says. A loader is *whole* when
all of that is there. Nothing is run, and a program is only read, never changed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from converter.data import load
from converter.errors import GuestError
from converter.formats import FormatError, efi_program
from converter.formats.efi_program import Kind, Program
from converter.guest import caseless, paths
from converter.inspection.esp import find_esps
from converter.model import BootMode, TableType

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from converter.guest.protocol import ReadableGuest
    from converter.inspection.storage import Storage
    from converter.model import Mount

# The name of the program that firmware starts by itself (UEFI 2.10, 3.5.1.1), and its suffix.
FALLBACK: Final = {"x86_64": "BOOTX64", "aarch64": "BOOTAA64"}
_GRUB_CONFIGS: Final = ("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg")
# Loaders have up to 5 MiB; kernels are not read.
_SIZE_LIMIT: Final = 32 << 20
_MOST_FILES: Final = 64
_CONFIG_LIMIT: Final = 1 << 20
_KIND_ORDER: Final = (Kind.SHIM, Kind.GRUB, Kind.SYSTEMD_BOOT)
_ON_PARTITION: Final = re.compile(r"\((?:hd\d+)?,(?:gpt|msdos)(\d{1,3})\)(.*)", re.DOTALL)
_SEARCH: Final = re.compile(r"^[ \t]*search(?:\.fs_uuid)?[ \t]([^\n]*)$", re.MULTILINE)
# A filesystem's UUID, or the serial number of a FAT.
_UUID: Final = re.compile(
    r"(?<![\w-])(?:[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
    r"|[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4})(?![\w-])"
)


@dataclass(frozen=True, slots=True)
class Loader:
    """A program on an ESP, by its path in the guest's tree as it is mounted now."""

    path: str
    program: Program

    @property
    def directory(self) -> str:
        """Where it lies."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class EfiView:
    """The ESPs of a guest whose programs are those of one architecture."""

    guest: ReadableGuest
    storage: Storage
    mounts: Sequence[Mount]
    architecture: str = "x86_64"
    distribution: str = ""

    # --- what is there ----------------------------------------------------------------------------

    def fallback_path(self, esp: Mount) -> str:
        """Give the path of what firmware starts by itself, whether it is there or not."""
        return caseless.find(self.guest, esp.path, f"EFI/BOOT/{FALLBACK[self.architecture]}.EFI")

    def fallback(self, esp: Mount) -> Loader | None:
        """Give what firmware starts by itself, if that is a program for the architecture."""
        return self._loader(self.fallback_path(esp))

    def vendors(self, esp: Mount) -> tuple[Loader, ...]:
        """Give the loaders that could be started instead, the best first.

        The distribution's own directory comes first, then loaders that find all they need; in a
        directory shim, where its second stage is, then GRUB, then systemd-boot.
        """
        found = [loader for loader in self._all_loaders(esp) if self._is_startable(loader)]
        names = [self.distribution, *load("linux")["efi"]["vendors"].get(self.distribution, ())]

        def rank(loader: Loader) -> tuple[bool, bool, int, str]:
            vendor = loader.directory.rpartition("/")[2].casefold()
            kind = _KIND_ORDER.index(loader.program.kind)
            return vendor not in names, bool(self.lacking(esp, loader)), kind, loader.path

        return tuple(sorted(found, key=rank))

    def _all_loaders(self, esp: Mount) -> Iterator[Loader]:
        top = caseless.find(self.guest, esp.path, "EFI")
        for vendor in paths.names(self.guest, top):
            if vendor.casefold() in ("boot", "microsoft"):
                continue
            names = paths.names(self.guest, f"{top}/{vendor}")
            programs = [name for name in names if name.casefold().endswith(".efi")]
            for name in programs[:_MOST_FILES]:
                loader = self._loader(f"{top}/{vendor}/{name}")
                if loader is not None and loader.program.kind in _KIND_ORDER:
                    yield loader

    def _loader(self, path: str) -> Loader | None:
        """Give the program at `path`, if firmware of the architecture would start it."""
        if not paths.is_file(self.guest, path):
            return None
        try:
            program = efi_program.parse(self.guest.read(path, limit=_SIZE_LIMIT))
        except (FormatError, GuestError):
            return None
        return Loader(path, program) if program.machine == self.architecture else None

    def second_stage(self, shim: Loader) -> Loader | None:
        """Give what a shim starts from its own directory."""
        return self._loader(caseless.find(self.guest, shim.directory, shim.program.second_stage))

    def _is_startable(self, loader: Loader) -> bool:
        return loader.program.kind is not Kind.SHIM or self.second_stage(loader) is not None

    # --- what it needs ----------------------------------------------------------------------------

    def lacking(self, esp: Mount, loader: Loader) -> str:
        """Tell what `loader` would not find when it is started from where it is; "" if nothing."""
        if loader.program.kind is Kind.GRUB:
            return self.grub_lacking(esp, loader)
        if loader.program.kind is not Kind.SHIM:
            return ""
        if self.runs_fallback(esp, loader):
            return self._csv_lacking(esp)
        stage = self.second_stage(loader)
        if stage is None:
            return f"{loader.directory}/{loader.program.second_stage}"
        return self.lacking(esp, stage) if stage.program.kind is Kind.GRUB else ""

    def runs_fallback(self, esp: Mount, shim: Loader) -> bool:
        """Tell whether a shim starts the fallback program instead of its second stage."""
        beside = caseless.find(self.guest, shim.directory, shim.program.fallback)
        return (
            shim.path == self.fallback_path(esp)
            and bool(shim.program.fallback)
            and paths.is_file(self.guest, beside)
        )

    def _csv_lacking(self, esp: Mount) -> str:
        """Ask that a CSV file names a program that is there; the first such one is started."""
        top = caseless.find(self.guest, esp.path, "EFI")
        for vendor in paths.names(self.guest, top):
            if vendor.casefold() == "boot":
                continue
            for name in self._csv_programs(f"{top}/{vendor}"):
                loader = self._loader(caseless.find(self.guest, f"{top}/{vendor}", name))
                if loader is not None:
                    return self.lacking(esp, loader)
        return f"{top}/*/{FALLBACK[self.architecture]}.CSV"

    def _csv_programs(self, directory: str) -> Iterator[str]:
        """Give the programs that a directory's CSV file names (UTF-16, `file,label,options,…`)."""
        for name in ("boot.csv", f"{FALLBACK[self.architecture]}.CSV"):
            path = caseless.find(self.guest, directory, name)
            if paths.is_file(self.guest, path):
                text = self.guest.read(path, limit=_CONFIG_LIMIT).decode("utf-16-le", "replace")
                for line in text.removeprefix("\ufeff").splitlines():
                    if name := line.partition(",")[0].strip():
                        yield name

    def grub_config(self, esp: Mount, grub: Loader) -> str | None:
        """Give the configuration on the ESP that a GRUB reads; None where it reads another one."""
        modules = grub.program.modules
        if "search" in modules.config or modules.prefix.startswith("("):
            return None
        directory = grub.directory
        if modules.prefix:
            directory = caseless.find(self.guest, esp.path, modules.prefix)
        return caseless.find(self.guest, directory, "grub.cfg")

    def grub_lacking(self, esp: Mount, grub: Loader) -> str:
        """Tell what a GRUB would not find; "" if nothing."""
        config = self.grub_config(esp, grub)
        if config is None:
            return self._partition_lacking(esp, grub)
        if not paths.is_file(self.guest, config):
            return config
        return self.leads_nowhere(paths.text(self.guest, config, limit=_CONFIG_LIMIT) or "")

    def _partition_lacking(self, esp: Mount, grub: Loader) -> str:
        """Ask that the filesystem or partition that a GRUB was installed for is there."""
        modules = grub.program.modules
        if "search" in modules.config:
            return self.leads_nowhere(modules.config)
        match = _ON_PARTITION.match(modules.prefix)
        if match is None:
            return ""
        name = esp.device.rstrip("0123456789")
        disk = next((disk for disk in self.storage.disks if disk.device == name), None)
        there = disk is None or any(part.number == int(match[1]) for part in disk.partitions)
        return "" if there else f"partition {match[1]} for {modules.prefix}"

    def leads_nowhere(self, config: str) -> str:
        """Tell which filesystem a configuration searches that is on no disk; "" if it is there."""
        wanted = [
            match[0] for line in _SEARCH.finditer(config) for match in _UUID.finditer(line[1])
        ]
        if not wanted or any(self.storage.resolve(f"UUID={uuid}") for uuid in wanted):
            return ""
        return f"the filesystem {wanted[0]}"

    def stub(self) -> str | None:
        """Give a configuration for the ESP that leads to the guest's own grub.cfg.

        None where there is none, or no UUID tells where it is.
        """
        for config in _GRUB_CONFIGS:
            if not paths.is_file(self.guest, config):
                continue
            real = paths.resolve(self.guest, config)
            holder = max(
                (m for m in self.mounts if f"{real}/".startswith(f"{m.path.rstrip('/')}/")),
                key=lambda mount: len(mount.path),
            )
            if not holder.uuid or holder.type == "vfat":
                continue
            inside = real.removeprefix(holder.path.rstrip("/")).rpartition("/")[0]
            if holder.subvolume:
                # GRUB counts from the top level of Btrfs, whatever is mounted by default.
                inside = f"/{holder.subvolume}{inside}"
            return (
                f"search.fs_uuid {holder.uuid} root\n"
                f"set prefix=($root)'{inside}'\n"
                "configfile $prefix/grub.cfg\n"
            )
        return None

    def starts(self, esp: Mount) -> bool:
        """Tell whether firmware without boot entries comes to the system by this ESP, or will.

        It will when a loader is there that can be copied to where firmware looks, and made whole.
        """
        now = self.fallback(esp)
        if now is not None and not self.lacking(esp, now):
            return True
        loaders = [*self.vendors(esp), *([now] if now is not None else [])]
        return any(self.can_be_whole(esp, loader) for loader in loaders)

    def can_be_whole(self, esp: Mount, loader: Loader) -> bool:
        """Tell whether `loader` finds all it needs, or lacks only what can be written."""
        if not self.lacking(esp, loader):
            return True
        grub = self.second_stage(loader) if loader.program.kind is Kind.SHIM else loader
        if grub is None or grub.program.kind is not Kind.GRUB:
            return False
        return self.grub_config(esp, grub) is not None and self.stub() is not None


def boot_modes(
    guest: ReadableGuest,
    storage: Storage,
    mounts: Sequence[Mount],
    *,
    esps: Sequence[Mount] | None = None,
    architecture: str = "x86_64",
) -> frozenset[BootMode]:
    """Tell which firmware the guest can start from after its conversion, by what is on its disks.

    BIOS: the first disk's boot code leads to a loader. UEFI: an ESP holds a loader. `mounts` must
    include the ESPs, or `esps` be given.
    """
    modes = set()
    first = storage.disks[0]
    if first.boot_code and first.table is not TableType.NONE:
        modes.add(BootMode.LEGACY_BIOS)
    if architecture in FALLBACK:
        view = EfiView(guest, storage, mounts, architecture)
        known = find_esps(storage, mounts)
        candidates = [m for m in mounts if m.device in known] if esps is None else esps
        if any(view.starts(esp) for esp in candidates):
            modes.add(BootMode.UEFI)
    return frozenset(modes)
