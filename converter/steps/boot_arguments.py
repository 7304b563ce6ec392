"""What every bootloader's entries are told: devices by names that hold, the consoles, the time.

The edits are the same for all (LNX-4, LNX-5); how an entry is written is the affair of one module
for each. A file is written once for each of the three, so that each has its reason and its diff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from converter.data import load
from converter.formats import kernel_args
from converter.guest import paths
from converter.steps.devices import is_unstable, root_name, stable_name, stable_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.formats.kernel_args import Edit
    from converter.steps.step import Context

    Rewrite = Callable[[str], str]

CONSOLES: Final = ("tty0", "ttyS0,115200n8")
TIMEOUT_LIMIT: Final = 5
KERNEL_OPTIONS: Final = frozenset({"kernelopts", "default_kernelopts"})

_DEVICES_REASON: Final = "disks have other names on EC2: the kernel finds its root by UUID"
_CONSOLE_REASON: Final = "EC2 shows the serial console (get-console-output, serial console)"
_TIMEOUT_REASON: Final = f"nobody is at the keyboard: at most {TIMEOUT_LIMIT} s in the menu"


@dataclass(frozen=True, slots=True)
class Arguments:
    """The edits of kernel arguments for one guest."""

    context: Context

    def devices(self, words: Sequence[str], has_initramfs: bool = True) -> Edit:  # noqa: FBT001, FBT002 - as editors of entries are called
        """Name devices so that they are found on any machine; a resume= that leads nowhere goes.

        Only an initramfs knows filesystems' UUIDs: without one, the kernel itself looks for the
        partition's.
        """
        keys: list[str] = load("linux")["kernel_arguments"]["devices"]

        def name(key: str, value: str) -> str | None:
            if key == "rootflags":
                options = value.split(",")
                stable = stable_options(self.context.storage, options)
                return value if list(stable) == options else ",".join(stable) or None
            if key not in keys or not is_unstable(value):
                return value
            if not has_initramfs:
                return self._partition(value) or value
            new = stable_name(self.context.storage, value)
            if new is not None:
                return new
            if key == "root" and value in self._own_roots():
                return root_name(self.context.storage, self.context.facts) or value
            return None if key == "resume" else value

        return kernel_args.renaming(words, name)

    def _partition(self, value: str) -> str | None:
        """Give a partition by its UUID."""
        storage = self.context.storage
        device = storage.resolve(value)
        uuids = (part.uuid for name, part in storage.partitions() if name == device)
        uuid = next(uuids, "")
        return f"PARTUUID={uuid}" if uuid else None

    def _own_roots(self) -> list[str]:
        """Give the default entry's names for the root; other entries may start other systems."""
        bootloader = self.context.facts.linux.bootloader
        entry = bootloader.default if bootloader is not None else None
        return kernel_args.values(entry.arguments, "root") if entry is not None else []

    # --- files ------------------------------------------------------------------------------------

    def edit(
        self,
        path: str,
        *,
        devices: Rewrite | None = None,
        consoles: Rewrite | None = None,
        timeout: Rewrite | None = None,
    ) -> None:
        """Plan what the three make of the text of the file `path`, if it is there."""
        self.rewrite(path, devices, "device-name", _DEVICES_REASON)
        self.rewrite(path, consoles, "console", _CONSOLE_REASON)
        self.rewrite(path, timeout, "timeout", _TIMEOUT_REASON)

    def rewrite(self, path: str, make: Rewrite | None, code: str, reason: str) -> None:
        """Plan what `make` makes of the text of the file `path`, if it is there."""
        text = paths.text(self.context.guest, path)
        if make is None or text is None:
            return
        new = make(text)
        if new != text:
            full = f"{self._prefix()}-{code}"
            self.context.guest.write(path, paths.encode(new), code=full, reason=reason)

    def _prefix(self) -> str:
        bootloader = self.context.facts.linux.bootloader
        return "loader" if bootloader and bootloader.kind == "systemd-boot" else "grub"


class AnyEditor(Protocol):
    """An edit of kernel arguments for entries and for lines that entries are made from alike."""

    def __call__(self, words: Sequence[str], has_initramfs: bool = ..., /) -> Edit:  # noqa: FBT001 - as editors of entries are called
        """Say what becomes of `words`."""


def consoles(words: Sequence[str], _has_initramfs: bool = True) -> Edit:  # noqa: FBT001, FBT002 - as editors of entries are called
    """Make the screen and the serial line consoles, that one last."""
    return kernel_args.consoles(words, CONSOLES)


def is_too_long(value: str) -> bool:
    """Tell whether a time in seconds is above the limit, or without end."""
    try:
        return not 0 <= float(value) <= TIMEOUT_LIMIT
    except ValueError:
        return False
