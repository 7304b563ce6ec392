from __future__ import annotations

import pytest

from converter.steps import grub_defaults
from tests.unit.boot_samples import ROOT, SWAP, Machine, codes, machine
from tests.unit.grub_samples import RECORDFAIL, debian

CONFIG = "/boot/grub/grub.cfg"
DEFAULTS = "/etc/default/grub"
CLOUD = "/etc/default/grub.d/50-cloudimg-settings.cfg"
CONSOLES = "console=tty0 console=ttyS0,115200n8"


def with_defaults(text: str, **more: str) -> Machine:
    return machine({CONFIG: debian(), DEFAULTS: text, **more})


def converted(text: str) -> str:
    found = with_defaults(text)
    found.convert(grub_defaults.STEP)
    return found.text(DEFAULTS)


def test_debian() -> None:
    text = (
        "# If you change this file, run 'update-grub' afterwards\n"
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=10 # seconds\n"
        "GRUB_DISTRIBUTOR=`lsb_release -i -s 2> /dev/null || echo Debian`\n"
        'GRUB_CMDLINE_LINUX_DEFAULT="quiet  resume=/dev/sda2"\n'
        'GRUB_CMDLINE_LINUX=""\n#GRUB_DISABLE_LINUX_UUID=true\nGRUB_DISABLE_LINUX_UUID=true\n'
    )
    found = with_defaults(text)
    plan = found.convert(grub_defaults.STEP)
    assert codes(plan, DEFAULTS) == ["grub-device-name", "grub-console", "grub-timeout"]
    assert found.text(DEFAULTS) == text.replace("GRUB_TIMEOUT=10", "GRUB_TIMEOUT=5").replace(
        "/dev/sda2", f"UUID={SWAP}"
    ).replace('LINUX=""', f'LINUX="{CONSOLES}"').replace(
        "\nGRUB_DISABLE_LINUX_UUID=true", "\nGRUB_DISABLE_LINUX_UUID=false"
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('GRUB_CMDLINE_LINUX="quiet"', f'GRUB_CMDLINE_LINUX="quiet {CONSOLES}"'),
        ("GRUB_CMDLINE_LINUX='a b'", f"GRUB_CMDLINE_LINUX='a b {CONSOLES}'"),
        ("export GRUB_CMDLINE_LINUX=a", f'export GRUB_CMDLINE_LINUX=a" {CONSOLES}"'),
        ('GRUB_CMDLINE_LINUX="a \\\n b" # c', f'GRUB_CMDLINE_LINUX="a \\\n b {CONSOLES}" # c'),
        ('GRUB_CMDLINE_LINUX+=" a"', f'GRUB_CMDLINE_LINUX+=" a {CONSOLES}"'),
        ("GRUB_TIMEOUT=5", f'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="{CONSOLES}"\n'),
        # Computed values keep their expansions.
        ('GRUB_CMDLINE_LINUX="$(cat /x) a"', f'GRUB_CMDLINE_LINUX="$(cat /x) a {CONSOLES}"'),
        (
            'A=x\nGRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX b"',
            f'A=x\nGRUB_CMDLINE_LINUX="a"\nGRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX b {CONSOLES}"',
        ),
        # There already.
        (f'GRUB_CMDLINE_LINUX="{CONSOLES}"', f'GRUB_CMDLINE_LINUX="{CONSOLES}"'),
        (f'GRUB_CMDLINE_LINUX_DEFAULT="{CONSOLES}"', f'GRUB_CMDLINE_LINUX_DEFAULT="{CONSOLES}"'),
        (
            f'C="{CONSOLES}"\nGRUB_CMDLINE_LINUX="quiet $C"',
            f'C="{CONSOLES}"\nGRUB_CMDLINE_LINUX="quiet $C"',
        ),
        # The normal entries have a console of their own behind those of all.
        (
            'GRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="console=hvc0 quiet"',
            (
                f'GRUB_CMDLINE_LINUX="{CONSOLES}"\n'
                f'GRUB_CMDLINE_LINUX_DEFAULT="console=hvc0 quiet {CONSOLES}"'
            ),
        ),
    ],
)
def test_consoles(old: str, new: str) -> None:
    assert converted(old) == new


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GRUB_TIMEOUT=30", "GRUB_TIMEOUT=5"),
        ('GRUB_TIMEOUT="-1"', 'GRUB_TIMEOUT="5"'),
        ("GRUB_TIMEOUT=0", "GRUB_TIMEOUT=0"),
        ("GRUB_TIMEOUT=2.5", "GRUB_TIMEOUT=2.5"),
        ("GRUB_TIMEOUT=$(x)", "GRUB_TIMEOUT=$(x)"),
        ("GRUB_HIDDEN_TIMEOUT=10", "GRUB_HIDDEN_TIMEOUT=5"),
        ("GRUB_RECORDFAIL_TIMEOUT=30", "GRUB_RECORDFAIL_TIMEOUT=5"),
        ("GRUB_TIMEOUT_STYLE=hidden", "GRUB_TIMEOUT_STYLE=hidden"),
        ("GRUB_TERMINAL=serial", "GRUB_TERMINAL=serial"),
    ],
)
def test_times(old: str, new: str) -> None:
    line = f'GRUB_CMDLINE_LINUX_DEFAULT="{CONSOLES}"\n'
    assert converted(f"{line}{old}\n") == f"{line}{new}\n"


def test_ubuntu_waits_after_a_boot_that_failed() -> None:
    text = f'GRUB_CMDLINE_LINUX="{CONSOLES}"\n'
    found = machine({CONFIG: RECORDFAIL + debian(), DEFAULTS: text})
    found.convert(grub_defaults.STEP)
    assert found.text(DEFAULTS) == f"{text}GRUB_RECORDFAIL_TIMEOUT=5\n"


def test_what_is_read_later_counts() -> None:
    found = with_defaults(
        'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX=""\nGRUB_CMDLINE_LINUX_DEFAULT="quiet splash"\n',
        **{
            CLOUD: "GRUB_RECORDFAIL_TIMEOUT=0\nGRUB_TIMEOUT=10\n"
            'GRUB_CMDLINE_LINUX_DEFAULT="console=tty1 console=ttyS0 resume=/dev/sda2"\n',
            f"{CLOUD}.dpkg-old": "GRUB_TIMEOUT=99\n",
        },
    )
    plan = found.convert(grub_defaults.STEP)
    assert found.text(CLOUD) == (
        "GRUB_RECORDFAIL_TIMEOUT=0\nGRUB_TIMEOUT=5\n"
        f'GRUB_CMDLINE_LINUX_DEFAULT="console=tty1 resume=UUID={SWAP} {CONSOLES}"\n'
    )
    assert codes(plan, f"{CLOUD}.dpkg-old") == []


def test_an_empty_value_that_is_read_later_gets_the_consoles() -> None:
    found = with_defaults(
        'GRUB_CMDLINE_LINUX="quiet"\n',
        **{CLOUD: 'GRUB_CMDLINE_LINUX=""\n'},
    )
    found.convert(grub_defaults.STEP)
    assert found.text(CLOUD) == f'GRUB_CMDLINE_LINUX="{CONSOLES}"\n'
    assert found.text(DEFAULTS).startswith('GRUB_CMDLINE_LINUX="quiet"\n')


def test_a_root_in_the_settings() -> None:
    text = f'GRUB_CMDLINE_LINUX="root=/dev/sda1 {CONSOLES}"\n'
    assert converted(text) == text.replace("/dev/sda1", f"UUID={ROOT}")


def test_without_the_file_nothing_is_made() -> None:
    assert machine({CONFIG: debian()}).plan(grub_defaults.STEP).changes == ()
