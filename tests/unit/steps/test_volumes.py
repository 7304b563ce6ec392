from __future__ import annotations

import pytest

from converter.model import Array, RemoveFile, Volume
from converter.steps import volumes
from tests.unit.machines import Files, Lab, holds, lab, system
from tests.unit.steps.planning import plan_of

UUID = "0bacc5df:969178df:42fc3437:f23d24a8"
DEVICES = "/etc/lvm/devices/system.devices"
ENTRY = "VERSION=1.1.1\nIDTYPE=sys_wwid IDNAME=naa.6 DEVNAME=/dev/sda2 PVID=x PART=2\n"


def on_lvm(files: Files) -> Lab:
    return lab(
        [holds("LVM2_member", "pv")],
        on={"/dev/vg/root": holds("xfs", "r", system("/dev/mapper/vg-root / xfs\n", files))},
        volumes=[Volume("/dev/vg/root", "vg", "root", 1)],
    )


def on_raid(files: Files, table: str = "UUID=r / ext4\n") -> Lab:
    return lab(
        [holds("linux_raid_member", UUID)],
        on={"/dev/md127": holds("ext4", "r", system(table, files))},
        arrays=[Array("/dev/md127", "raid1", UUID, "", 2, 2)],
    )


def test_the_list_of_the_old_machine_s_disks_goes() -> None:
    guest = on_lvm({DEVICES: ENTRY})
    (change,) = plan_of(guest, volumes.STEP).changes
    assert isinstance(change, RemoveFile)
    assert guest.lstat(DEVICES) is None
    assert change.backup is not None
    assert guest.read(change.backup) == ENTRY.encode()


@pytest.mark.parametrize("path", volumes.LVM_CONFIGS)
def test_filters_for_old_disks_go(path: str) -> None:
    guest = on_lvm({path: 'devices {\n filter = [ "a|/dev/sda2|", "r|.*|" ]\n}\n'})
    plan_of(guest, volumes.STEP)
    assert b'\n#  filter = [ "a|/dev/sda2|", "r|.*|" ]\n' in guest.read(path)


def test_a_configuration_as_distributions_have_it_stays() -> None:
    guest = on_lvm({"/etc/lvm/lvm.conf": 'devices {\n\t# filter = [ "a|.*|" ]\n}\n'})
    assert plan_of(guest, volumes.STEP).changes == ()


def test_arrays_are_found_on_any_disk() -> None:
    text = "DEVICE /dev/sda1 /dev/sdb1\nARRAY /dev/md0 devices=/dev/sda1,/dev/sdb1\n"
    guest = on_raid({"/etc/mdadm/mdadm.conf": text, "/etc/mdadm.conf": text})
    plan_of(guest, volumes.STEP)
    wanted = f"DEVICE partitions\nARRAY /dev/md0 UUID={UUID}\n".encode()
    assert guest.read("/etc/mdadm/mdadm.conf") == wanted
    assert guest.read("/etc/mdadm.conf") == wanted


def test_a_guest_without_either_is_left_alone() -> None:
    guest = lab([holds("ext4", "r", system("", {DEVICES: ENTRY}))])
    assert plan_of(guest, volumes.STEP).changes == ()
