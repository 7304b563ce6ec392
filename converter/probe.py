"""The probe that tells, from inside a booted guest, what came up.

A systemd unit that waits until the guest has finished starting and then prints, each line behind a
token that nobody else knows, to the serial port. It goes into throw-away overlays only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError
from converter.formats import FormatError
from converter.formats.kernel_args import Edit
from converter.guest import paths
from converter.steps import boot_entries, grub2, grub_legacy
from converter.steps.boot_arguments import consoles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from converter.guest.protocol import Guest
    from converter.steps.boot_arguments import AnyEditor

    _Writer = Callable[[str, AnyEditor], str]

_SCRIPT_PATH: Final = "/converter-probe"
_UNIT: Final = "converter-probe.service"
_UNITS: Final = "/etc/systemd/system"
# What a slow machine needs (kernel-parameters): Linux takes a timer that does not tick in the
# moment in which it looks, on a busy host that emulates, for a broken one, and panics; and going
# round faults in its processor, which an emulated one does not have, costs a fifth of the boot.
_PATIENCE: Final = ("no_timer_check", "mitigations=off")
# Where boot entries stand, and what puts arguments into them.
_CONFIGS: Final[tuple[tuple[str, _Writer], ...]] = (
    ("/boot/grub*/grub.cfg", grub2.with_consoles),
    ("/boot/efi/EFI/*/grub.cfg", grub2.with_consoles),
    ("/boot/grub/grub.conf", grub_legacy.with_consoles),
    ("/boot/grub/menu.lst", grub_legacy.with_consoles),
    ("/boot/loader/entries/*.conf", boot_entries.with_consoles),
    ("/boot/efi/loader/entries/*.conf", boot_entries.with_consoles),
    ("/efi/loader/entries/*.conf", boot_entries.with_consoles),
)

_SCRIPT: Final = """\
#!/bin/sh
exec 2> /dev/null
# Opened anew for each line, and never by the session's leader: a getty that starts hangs up
# whoever has the port open, and kills the session that it is the terminal of (vhangup(2)).
say() {{ while read -r line; do printf '\\n%s\\n' "{token} $1 $line" > /dev/ttyS0; done; }}
waited=0
while [ "$waited" -lt 120 ]; do
    case "$(systemctl is-system-running)" in initializing | starting) ;; *) break ;; esac
    sleep 1
    waited=$((waited + 1))
done
# An address may come later than "running": the driver of the card may still be loading, and
# ifupdown's hotplug units count as started at once.
udevadm settle --timeout=60
waited=0
while [ "$waited" -lt 60 ] && [ -z "$(ip -o addr show scope global)" ]; do
    sleep 1
    waited=$((waited + 1))
done
# What is mounted when it is used is used now.
findmnt --fstab -rno TARGET | while read -r place; do timeout 20 ls "$place" > /dev/null; done
systemctl is-system-running | say state
findmnt -rno SOURCE,FSTYPE / | say root
findmnt -rno TARGET,SOURCE,FSTYPE --real | say mount
ip -o addr show scope global | while read -r _ _ _ address _; do
    echo "$address"
done | say address
systemctl list-units --state=failed --no-legend --plain | while read -r unit _; do
    echo "$unit"
done | say failed
systemctl list-units --type=service --state=running --no-legend --plain |
    while read -r unit _; do echo "$unit"; done | say running
uname -r | say kernel
echo | say end
"""
_UNIT_TEXT: Final = f"""\
[Unit]
Description=Tell converter what came up
After=multi-user.target

[Service]
Type=idle
ExecStart=/bin/sh {_SCRIPT_PATH}

[Install]
WantedBy=multi-user.target
"""


def install(guest: Guest, token: str) -> None:
    """Put the probe into the mounted `guest`, and a serial console where it has none.

    Raises `ConversionError` ``probe-unsupported`` for a guest without systemd.
    """
    if not paths.is_directory(guest, _UNITS):
        raise ConversionError(
            "probe-unsupported",
            "the guest has no systemd, and the probe needs it",
            hint="boot it by hand, and look at its screen: qemu-system-x86_64 -m 2G -snapshot"
            " -drive file=NAME.raw,format=raw",
        )
    # Only root may read it: the token tells the probe from everything else in the guest.
    _write(guest, _SCRIPT_PATH, _SCRIPT.format(token=token), mode=0o700)
    _write(guest, f"{_UNITS}/{_UNIT}", _UNIT_TEXT, mode=0o644)
    wants = f"{_UNITS}/multi-user.target.wants"
    guest.mkdir(wants)
    guest.symlink(f"../{_UNIT}", f"{wants}/{_UNIT}")
    for pattern, with_arguments in _CONFIGS:
        for path in paths.glob(guest, pattern):
            _show(guest, path, with_arguments)


def _arguments(words: Sequence[str], _has_initramfs: bool = True) -> Edit:  # noqa: FBT001, FBT002 - as editors of entries are called
    """Add the consoles, and what a slow machine needs."""
    edit = consoles(words)
    missing = [word for word in _PATIENCE if word not in words]
    return Edit(edit.changed, (*edit.added, *missing))


def _show(guest: Guest, path: str, with_arguments: _Writer) -> None:
    text = paths.text(guest, path)
    if text is None:
        return
    try:
        seen = with_arguments(text, _arguments)
    except FormatError:
        return
    if seen != text:
        guest.write(paths.resolve(guest, path), paths.encode(seen), mode=0o600, uid=0, gid=0)


def _write(guest: Guest, path: str, text: str, *, mode: int) -> None:
    guest.write(path, text.encode(), mode=mode, uid=0, gid=0)
