"""RESUME as initramfs.conf(5) and initramfs-tools(7) have it."""

from __future__ import annotations

import pytest

from converter.model import Volume
from converter.steps import resume
from tests.unit.machines import Files, empty, holds, lab, system
from tests.unit.steps.planning import context, plan_of

CONF = "/etc/initramfs-tools/initramfs.conf"
DROP_IN = "/etc/initramfs-tools/conf.d/resume"


def converted(text: str, path: str = DROP_IN) -> str:
    files: Files = {path: text, **empty("/etc/initramfs-tools/conf.d/directory")}
    guest = lab(
        [holds("ext4", "r", system("/dev/sdb1 / ext4\n", files)), holds("swap", "s", label="sw"),
         holds("LVM2_member", "pv")],
        on={"/dev/vg/swap": holds("swap", "v")},
        volumes=[Volume("/dev/vg/swap", "vg", "swap", 1)],
    )  # fmt: skip
    plan_of(guest, resume.STEP)
    return guest.read(path).decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("RESUME=/dev/sdb2\n", "RESUME=UUID=s\n"),
        ("RESUME=/dev/sdb2", "RESUME=UUID=s"),
        ('# x\nMODULES=dep\nRESUME="/dev/sdb2"\n', "# x\nMODULES=dep\nRESUME=UUID=s\n"),
        ("RESUME=/dev/disk/by-id/ata-x-part2\n", "RESUME=UUID=s\n"),
        ("RESUME=/dev/sda2\n", "RESUME=none\n"),
        ("RESUME=/dev/sdb9\n", "RESUME=none\n"),
        ("RESUME=UUID=gone\n", "RESUME=none\n"),
        ("RESUME=/dev/mapper/vg-gone\n", "RESUME=none\n"),
        ("RESUME=/dev/mapper/cryptswap\n", "RESUME=none\n"),
        ("RESUME=/dev/sda2\nRESUME=/dev/sdb2\n", "RESUME=/dev/sda2\nRESUME=UUID=s\n"),
    ],
)
def test_devices_by_names_that_hold_or_none(text: str, wanted: str) -> None:
    assert converted(text) == wanted
    assert converted(text, CONF) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "", "RESUME=\n", "RESUME=none\n", "RESUME=auto\n", "RESUME=UUID=s\n", "RESUME=LABEL=sw\n",
        "RESUME=/dev/mapper/vg-swap\n", "RESUME=/dev/vg/swap\n", "#RESUME=/dev/sda2\n",
        "RESUME=$(blkid -L swap)\n", "RESUME=$SWAP\n", "MODULES=most\n", "# \udcff\n",
    ],
)  # fmt: skip
def test_what_holds_stays(text: str) -> None:
    guest_text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    if "\udcff" not in text:
        assert converted(guest_text) == text


def test_text_that_is_not_utf_8() -> None:
    guest = lab([holds("ext4", "r", system("", {CONF: b"# \xff\nRESUME=/dev/sda2\n"})),
                 holds("swap", "s")])  # fmt: skip
    plan_of(guest, resume.STEP)
    assert guest.read(CONF) == b"# \xff\nRESUME=UUID=s\n"


def test_other_generators_have_no_such_file() -> None:
    work = context(lab([holds("ext4", "r", system(""))]))
    assert resume.STEP.applies(work.facts)
