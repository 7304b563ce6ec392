from __future__ import annotations

import pytest

from converter.errors import ConversionError
from converter.guest.memory import MemoryGuest
from converter.model import FileKind
from converter.probe import install

TOKEN = "feedbeef"


def test_goes_in_where_systemd_looks() -> None:
    guest = MemoryGuest({"/etc/systemd/system/x.service": "", "/boot/grub/grub.cfg": "set x=1\n"})
    install(guest, TOKEN)
    script = guest.read("/converter-probe").decode()
    assert f'"{TOKEN} $1 $line"' in script
    assert "{" + "token}" not in script
    found = guest.lstat("/converter-probe")
    assert found is not None
    assert found.mode == 0o700
    link = "/etc/systemd/system/multi-user.target.wants/converter-probe.service"
    stat = guest.lstat(link)
    assert stat is not None
    assert stat.kind is FileKind.SYMLINK
    unit = guest.read(link).decode()
    assert "ExecStart=/bin/sh /converter-probe" in unit
    assert TOKEN not in unit


def test_needs_systemd() -> None:
    with pytest.raises(ConversionError) as caught:
        install(MemoryGuest({"/etc/inittab": ""}), TOKEN)
    assert caught.value.code == "probe-unsupported"


def test_the_guest_is_seen_and_not_taken_for_broken() -> None:
    config = "menuentry 'Debian' {\n\tlinux /vmlinuz root=/dev/sda1 ro quiet\n}\n"
    guest = MemoryGuest({"/etc/systemd/system/x.service": "", "/boot/grub/grub.cfg": config})
    install(guest, TOKEN)
    line = guest.read("/boot/grub/grub.cfg").decode().splitlines()[1].split()
    assert line[:5] == ["linux", "/vmlinuz", "root=/dev/sda1", "ro", "quiet"]
    assert sorted(line[5:]) == [
        "console=tty0", "console=ttyS0,115200n8", "mitigations=off", "no_timer_check",
    ]  # fmt: skip
