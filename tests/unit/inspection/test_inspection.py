"""Inspection as a whole: names that the boot loader explains, and why nothing was found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from converter.errors import GuestError, GuestRefusedError
from converter.guest.protocol import Code
from converter.inspection import inspect_machine
from converter.model import Severity, Volume, VolumeGroup
from tests.unit.machines import Lab, holds, lab, system

if TYPE_CHECKING:
    from converter.model import Stat

GROUP = "Unsupported configuration - Logical volume group activation failed"


def refusal(machine: Lab) -> GuestRefusedError:
    with pytest.raises(GuestRefusedError) as caught:
        inspect_machine(machine)
    return caught.value


def test_a_group_that_does_not_start_explains_that_there_is_no_system() -> None:
    machine = lab(
        [holds("ext4", "boot"), holds("LVM2_member", "pv")],
        volumes=[Volume("/dev/vg/root", "vg", "root", 1, is_active=False)],
        groups=[VolumeGroup("vg", "u", is_complete=False)],
    )
    error = refusal(machine)
    assert error.code == "volume-group-inactive"
    assert error.findings[0].service_message == GROUP
    assert [finding.code for finding in error.findings] == ["volume-group-inactive", "unknown-os"]


def test_so_does_encryption() -> None:
    error = refusal(lab([holds("ext4", "boot"), holds("crypto_LUKS", "l")]))
    assert error.code == "encrypted-volume"
    assert "/dev/sda2" in error.message
    assert error.hint


def test_an_array_that_lacks_members_is_said_as_well() -> None:
    error = refusal(lab([holds("linux_raid_member", "aa")]))
    assert error.code == "unknown-os"
    assert "array-inactive" in [finding.code for finding in error.findings]


class Damaged(Lab):
    """A machine one directory of which cannot be read."""

    def lstat(self, path: str) -> Stat | None:
        if path == "/boot/grub":
            raise GuestError(Code.DAMAGED, f"{path}: lstat: {path}: Structure needs cleaning")
        return super().lstat(path)


def test_damage_inside_of_a_filesystem_is_the_guest_s() -> None:
    made = lab([holds("ext4", "r", system("UUID=r / ext4\n", {"/boot/grub/grub.cfg": ""}))])
    made.__class__ = Damaged
    error = refusal(made)
    assert error.code == "guest-filesystem-damaged"
    assert "/boot/grub" in error.message
    assert "fsck" in error.hint


def test_two_systems_stay_two_systems_whatever_else_there_is() -> None:
    machine = lab(
        [
            holds("ext4", "a", system("UUID=a / ext4\n")),
            holds("ext4", "b", system("UUID=b / ext4\n")),
            holds("crypto_LUKS", "l"),
        ]
    )
    error = refusal(machine)
    assert error.code == "several-roots"
    assert {finding.code for finding in error.findings} == {"several-roots", "encrypted-volume"}


def test_facts_and_findings_of_the_disks() -> None:
    files = system("UUID=r / ext4\n")
    machine = lab(
        [holds("ext4", "r", files, is_dirty=True), holds("swsuspend", "s")], [holds("ext4", "r")]
    )
    found = inspect_machine(machine)
    codes = {finding.code: finding.severity for finding in found.findings}
    assert codes["guest-hibernated"] is Severity.ERROR
    assert codes["duplicate-uuid"] is Severity.WARNING
    assert found.facts.other_roots == ()
    assert [mount.path for mount in found.facts.mounts] == ["/"]


def test_the_kernel_command_line_says_what_the_root_s_disk_was_called() -> None:
    menu = "menuentry 'x' {\n linux /boot/vmlinuz-1 root=/dev/sdb1 ro\n}\n"
    files = system("UUID=r / ext4\n", {"/boot/grub/grub.cfg": menu, "/boot/vmlinuz-1": ""})
    found = inspect_machine(lab([holds("ext4", "r", files), holds("swap", "s")]))
    assert found.storage.resolve("/dev/sdb2") == "/dev/sda2"
    assert found.storage.resolve("/dev/sda1") is None
