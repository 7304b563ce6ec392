"""The probe that tells, from inside a booted guest, what came up.

A systemd unit that waits until the guest has finished starting and then prints, each line behind a
token that nobody else knows, to the serial port. It goes into throw-away overlays only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from converter.errors import ConversionError
from converter.formats import FormatError
from converter.guest import paths
from converter.steps import boot_entries, grub2, grub_legacy

if TYPE_CHECKING:
    from collections.abc import Callable

    from converter.guest.protocol import Guest

_SCRIPT_PATH: Final = "/converter-probe"
_UNIT: Final = "converter-probe.service"
_UNITS: Final = "/etc/systemd/system"
# Where boot entries stand, and what puts a serial console into them.
_CONFIGS: Final[tuple[tuple[str, Callable[[str], str]], ...]] = (
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
    state=$(systemctl is-system-running)
    case "$state" in initializing | starting) ;; *) break ;; esac
    sleep 1
    waited=$((waited + 1))
done
# An address may come later than "running": ifupdown's hotplug units count as started at once.
waited=0
while [ "$waited" -lt 30 ] && [ -z "$(ip -o addr show scope global)" ]; do
    sleep 1
    waited=$((waited + 1))
done
echo "$state" | say state
findmnt -rno SOURCE,FSTYPE / | say root
findmnt -rno TARGET,SOURCE,FSTYPE --real | say mount
ip -o addr show scope global | while read -r _ _ _ address _; do
    echo "$address"
done | say address
systemctl list-units --state=failed --no-legend --plain | while read -r unit _; do
    echo "$unit"
done | say failed
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
            hint="boot it by hand: qemu-system-x86_64 -snapshot",
        )
    # Only root may read it: the token tells the probe from everything else in the guest.
    _write(guest, _SCRIPT_PATH, _SCRIPT.format(token=token), mode=0o700)
    _write(guest, f"{_UNITS}/{_UNIT}", _UNIT_TEXT, mode=0o644)
    wants = f"{_UNITS}/multi-user.target.wants"
    guest.mkdir(wants)
    guest.symlink(f"../{_UNIT}", f"{wants}/{_UNIT}")
    for pattern, with_consoles in _CONFIGS:
        for path in paths.glob(guest, pattern):
            _show(guest, path, with_consoles)


def _show(guest: Guest, path: str, with_consoles: Callable[[str], str]) -> None:
    text = paths.text(guest, path)
    if text is None:
        return
    try:
        seen = with_consoles(text)
    except FormatError:
        return
    if seen != text:
        guest.write(paths.resolve(guest, path), paths.encode(seen), mode=0o600, uid=0, gid=0)


def _write(guest: Guest, path: str, text: str, *, mode: int) -> None:
    guest.write(path, text.encode(), mode=mode, uid=0, gid=0)
