from __future__ import annotations

import pytest

from converter.steps import crypttab, fstab
from tests.unit.machines import holds, lab, system
from tests.unit.steps.planning import context, plan_of


def converted(line: str) -> tuple[str, list[str]]:
    """Convert a crypttab; partitions 2 to 5 hold swap, nothing, data, and an unnamed key's data."""
    files = system("/dev/sda1 / ext4\n", {"/etc/crypttab": line})
    parts = [holds("ext4", "r", files), holds("swap", "s"), holds(""), holds("ext4", "d")]
    guest = lab(parts)
    plan = plan_of(guest, crypttab.STEP)
    return guest.read("/etc/crypttab").decode(), [finding.code for finding in plan.findings]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("s\t/dev/sda2\t/dev/urandom\tswap,cipher=x\n",
         "s\t/dev/disk/by-partuuid/00001000-02\t/dev/urandom\tswap,cipher=x\n"),
        ("s /dev/sda3 /dev/random swap", "s /dev/disk/by-partuuid/00001000-03 /dev/random swap"),
        ("d /dev/sda4 /root/key plain\n", "d /dev/disk/by-uuid/d /root/key plain\n"),
        ("s PARTUUID=00001000-02 /dev/random x\n", "s PARTUUID=00001000-02 /dev/random x\n"),
        ("s UUID=s /dev/urandom swap,offset=1024\n", "s UUID=s /dev/urandom swap,offset=1024\n"),
        ("i /images/x.img none\n", "i /images/x.img none\n"),
        ("s /dev/sdz1 /dev/urandom swap,noauto\n", "s /dev/sdz1 /dev/urandom swap,noauto\n"),
        ("# s /dev/sda2 /dev/urandom swap\n", "# s /dev/sda2 /dev/urandom swap\n"),
    ],
)  # fmt: skip
def test_names_that_hold(line: str, wanted: str) -> None:
    assert converted(line) == (wanted, [])


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("s /dev/sdz1 /dev/urandom swap\n", "s /dev/sdz1 /dev/urandom swap,noauto,nofail\n"),
        ("s UUID=gone none\n", "s UUID=gone none noauto,nofail\n"),
        ("s UUID=gone\n", "s UUID=gone none noauto,nofail\n"),
        ("s /dev/mapper/vg-swap /dev/urandom swap,nofail\n",
         "s /dev/mapper/vg-swap /dev/urandom swap,nofail,noauto\n"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_opened(line: str, wanted: str) -> None:
    assert converted(line) == (wanted, ["crypttab-device-missing"])


@pytest.mark.parametrize("device", ["/dev/sda4", "UUID=d", "/dev/sda1"])
def test_a_random_key_never_overwrites_data(device: str) -> None:
    text, found = converted(f"s {device} /dev/urandom swap\n")
    assert text == f"s {device} /dev/urandom swap,noauto,nofail\n"
    assert found == ["crypttab-device-missing"]


def test_the_swap_line_of_what_is_not_opened_is_not_waited_for() -> None:
    files = system(
        "/dev/sda1 / ext4\n/dev/mapper/s none swap sw\n",
        {"/etc/crypttab": "s /dev/sdz1 /dev/urandom swap\n"},
    )
    work = context(lab([holds("ext4", "r", files)]))
    crypttab.STEP.run(work)
    fstab.STEP.run(work)
    text = work.guest.read("/etc/fstab")
    assert text == b"UUID=r / ext4\n/dev/mapper/s none swap sw,nofail\n"


def test_a_guest_without_it() -> None:
    guest = lab([holds("ext4", "r", system(""))])
    assert plan_of(guest, crypttab.STEP).changes == ()
