from __future__ import annotations

import pytest

from converter.steps import grub_legacy
from tests.unit.boot_samples import ROOT, SWAP, codes, link, machine
from tests.unit.formats.test_grub_legacy import DEBIAN
from tests.unit.inspection.test_grub_legacy import CONF, LST, NEW, legacy, menu

CONSOLES = "console=tty0 console=ttyS0,115200n8"


def test_red_hat() -> None:
    found = machine(
        {CONF: menu().replace("timeout=5", "timeout=30"), LST: link("./grub.conf")},
        loader="grub-legacy",
    )
    plan = found.convert(grub_legacy.STEP)
    assert codes(plan, CONF) == ["grub-device-name", "grub-console", "grub-timeout"]
    expected = menu().replace(
        "root=/dev/sda1 rhgb quiet", f"root=UUID={ROOT} rhgb quiet {CONSOLES}"
    )
    assert found.text(CONF) == expected


def test_debian_keeps_its_settings() -> None:
    found = machine(
        {LST: DEBIAN, "/boot/vmlinuz-2.6.32-5-amd64": b""},
        loader="grub-legacy",
    )
    found.convert(grub_legacy.STEP)
    text = found.text(LST)
    assert f"\n# kopt=root=UUID={ROOT} ro {CONSOLES}\n" in text
    assert f"\n# kopt_2_6=root=UUID={ROOT} ro quiet {CONSOLES}\n" in text
    assert "\n## e.g. kopt=root=/dev/hda1 ro\n" in text
    assert f"root=UUID={ROOT} ro single {CONSOLES}\n" in text


def test_suse_keeps_its_settings_and_device_map() -> None:
    settings = (
        '## Type: string\nDEFAULT_APPEND="resume=/dev/sda2 splash=silent showopts"\n'
        'FAILSAFE_APPEND="showopts noresume"\nLOADER_TYPE="grub"\n'
    )
    devices = "(hd0)\t/dev/disk/by-id/ata-VMware_0001\n"
    found = legacy(
        menu(),
        LST,
        **{"/etc/sysconfig/bootloader": settings, "/boot/grub/device.map": devices},
    )
    found.convert(grub_legacy.STEP)
    assert found.text("/etc/sysconfig/bootloader") == (
        "## Type: string\n"
        f'DEFAULT_APPEND="resume=UUID={SWAP} splash=silent showopts {CONSOLES}"\n'
        f'FAILSAFE_APPEND="showopts noresume {CONSOLES}"\nLOADER_TYPE="grub"\n'
    )
    assert found.text("/boot/grub/device.map") == devices


@pytest.mark.parametrize("path", [CONF, LST])
def test_a_menu_without_a_timeout_gets_one(path: str) -> None:
    found = legacy(menu().replace("timeout=5\n", ""), path)
    found.convert(grub_legacy.STEP)
    assert f"timeout 5\ntitle Linux ({NEW})\n" in found.text(path)
