"""SPEC FS-2, FS-3, FS-4."""

from __future__ import annotations

from dataclasses import replace

import pytest

from converter.model import (
    AppendFile,
    CopyFile,
    Facts,
    Finding,
    MakeDirectory,
    Mount,
    Plan,
    Policy,
    Severity,
    Space,
    WriteFile,
)
from converter.policy import judge_guest
from converter.policy_storage import judge_room
from tests.unit.samples import FACTS

MB = 1_000_000


def write(path: str, size: int, *, backup: bool = False) -> WriteFile:
    return WriteFile("c", "r", path, bytes(size), 0o644, 0, 0, None, "/b" if backup else None)


def append(path: str, size: int, data: int) -> AppendFile:
    return AppendFile("c", "r", path, bytes(data), size, "ab", "/boot/.x")


def mount(path: str, free: int, inodes: int | None = 10_000, kind: str = "ext4") -> Mount:
    return Mount(path, f"/dev/sd{path}", kind, space=Space(8000 * MB, free, inodes))


def facts(*mounts: Mount, **more: object) -> Facts:
    return replace(FACTS, mounts=mounts, **more)  # type: ignore[arg-type]


def lacks(found: tuple[Finding, ...]) -> list[str]:
    errors = [finding for finding in found if finding.code == "space-too-little"]
    assert all(error.severity is Severity.ERROR and error.hint for error in errors)
    return [error.message for error in errors]


ROOT = mount("/", 500 * MB)


@pytest.mark.parametrize(
    ("mounts", "wanted"),
    [
        ([ROOT], []),
        ([mount("/", 100 * MB)], []),
        ([mount("/", 99_950_000)], ["/ (/dev/sd/): 100.0 MB are free, 100.0 MB are needed"]),
        ([mount("/", 1 * MB)], ["/ (/dev/sd/): 1.0 MB are free, 100.0 MB are needed"]),
        ([mount("/", 500 * MB, 99)], ["/ (/dev/sd/): 99 inodes are free, 100 are needed"]),
        ([mount("/", 500 * MB, None, "btrfs")], []),
        ([ROOT, mount("/boot", 49 * MB)],
         ["/boot (/dev/sd/boot): 49.0 MB are free, 50.0 MB are needed"]),
        ([ROOT, mount("/boot", 50 * MB)], []),
        ([ROOT, mount("/home", 0, 0), mount("/boot/efi", 0, None, "vfat")], []),
        ([replace(ROOT, space=None)], []),
    ],
)  # fmt: skip
@pytest.mark.parametrize("policy", Policy)
def test_what_has_to_be_free_before_anything_is_written(
    mounts: list[Mount], wanted: list[str], policy: Policy
) -> None:
    assert lacks(judge_guest(facts(*mounts), policy)) == wanted


class TestPlans:
    def test_that_fit(self) -> None:
        plan = Plan((write("/etc/fstab", 100, backup=True), append("/boot/initrd", 60 * MB, MB)))
        assert judge_room(facts(mount("/", 200 * MB)), plan) == ()

    def test_that_do_not(self) -> None:
        """An initramfs is kept whole before something is added to it."""
        plan = Plan((append("/boot/initrd", 60 * MB, MB),))
        (message,) = lacks(judge_room(facts(ROOT, mount("/boot", 55 * MB)), plan))
        assert message == "/boot (/dev/sd/boot): 55.0 MB are free, 67.1 MB are needed"

    def test_what_was_told_before_is_not_told_again(self) -> None:
        plan = Plan((append("/boot/initrd", 60 * MB, MB),))
        assert judge_room(facts(ROOT, mount("/boot", 5 * MB)), plan) == ()

    def test_only_filesystems_that_are_written_need_room(self) -> None:
        full = mount("/var", 5 * MB)
        assert judge_room(facts(ROOT, full), Plan((write("/etc/a", 1),))) == ()
        assert judge_room(facts(ROOT, full), Plan((write("/variable", 1),))) == ()
        (message,) = lacks(judge_room(facts(ROOT, full), Plan((write("/var/lib/a", 1),))))
        assert message == "/var (/dev/sd/var): 5.0 MB are free, 10.0 MB are needed"

    def test_small_esps_need_what_is_written(self) -> None:
        copy = CopyFile("c", "r", "/boot/efi/EFI/BOOT/BOOTX64.EFI", "/s", "ab")
        small = mount("/boot/efi", 8 * MB, None, "vfat")
        assert judge_room(facts(ROOT, small), Plan((copy,))) == ()
        esp = replace(small, space=Space(10 * MB, 1 * MB))
        assert len(lacks(judge_room(facts(ROOT, esps=(esp,)), Plan((copy,))))) == 1

    def test_inodes(self) -> None:
        plan = Plan(tuple(MakeDirectory("c", "r", f"/opt/{number}") for number in range(30)))
        (message,) = lacks(judge_room(facts(ROOT, mount("/opt", 100 * MB, 29)), plan))
        assert message == "/opt (/dev/sd/opt): 29 inodes are free, 30 are needed"
        assert judge_room(facts(ROOT, mount("/opt", 100 * MB, 30)), plan) == ()


def judged(found: Facts, policy: Policy, code: str) -> list[Finding]:
    return [finding for finding in judge_guest(found, policy) if finding.code == code]


def test_subvolumes_are_beyond_the_service() -> None:
    found = facts(replace(ROOT, type="btrfs", subvolume="@"))
    assert [f.severity for f in judged(found, Policy.AWS, "btrfs-subvolumes")] == [Severity.ERROR]
    assert [f.severity for f in judged(found, Policy.OPEN, "btrfs-subvolumes")] == [Severity.INFO]
    top = facts(replace(ROOT, type="btrfs"))
    assert judged(top, Policy.AWS, "btrfs-subvolumes") == []


def test_other_systems_are_beyond_the_service() -> None:
    found = facts(ROOT, other_roots=("/dev/sdb1 (ext4)",))
    for policy, severity in ((Policy.AWS, Severity.ERROR), (Policy.OPEN, Severity.WARNING)):
        (finding,) = judged(found, policy, "other-systems")
        assert finding.severity is severity
        assert finding.service_message == "Unsupported configuration - Multiple directories found"
        assert "/dev/sdb1 (ext4)" in finding.message
